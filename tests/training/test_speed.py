"""The time of a run from some of its steps: the sum, what is left out, and that nothing is changed."""

import pytest
import torch

import ocrkit as ok
from ocrkit.training import speed
from ocrkit.training.loop import set_aside
from ocrkit.training.step import Stepper

RECIPE = ok.Recipe(image_size=(32, 64), batch_size=8, epochs=3, amp="off")


@pytest.fixture(scope="module")
def packed():
    return ok.pack(ok.load_samples("plates", split="train").head(20), RECIPE.image_size)


def reader(alphabet="plates"):
    return ok.Recognizer.create(alphabet, "light", RECIPE.image_size, device="cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that says that steps take 9, 9, 9 (to warm up), then 2, 10, 3, 4 and 6 seconds."""
    times = [0.0]
    for seconds in (9, 9, 9, 2, 10, 3, 4, 6):
        times += [times[-1], times[-1] + seconds]
    monkeypatch.setattr(speed.time, "perf_counter", iter(times[1:]).__next__)


def test_seconds_are_multiplied_up_to_the_run(packed, clock):
    table = ok.measure_steps(reader(), packed, RECIPE, steps=5)
    assert table["seconds"].to_dict() == {"fastest": 2, "median": 4, "mean": 5, "slowest": 10}
    assert table["images_per_second"].tolist() == pytest.approx([8 / 2, 8 / 4, 8 / 5, 8 / 10])
    # 20 images are 3 batches of at most 8, in 3 epochs.
    assert table["minutes"].tolist() == pytest.approx([s * 9 / 60 for s in (2, 4, 5, 10)])


def test_another_number_of_images(packed, clock):
    table = ok.measure_steps(reader(), packed, RECIPE, steps=5, images=801)
    assert table.loc["median", "minutes"] == pytest.approx(4 * 3 * 101 / 60)


def test_steps_are_those_of_a_training_and_leave_nothing_behind(packed, monkeypatch):
    sizes, step = [], Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self, batch: (sizes.append(len(batch.texts)), step(self, batch))[1])
    recognizer = reader()
    recognizer.model.eval()
    before = {name: value.clone() for name, value in recognizer.model.state_dict().items()}
    torch.manual_seed(5)
    table = ok.measure_steps(recognizer, packed, RECIPE, steps=4)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3)), "the random numbers go on as if nothing had been"
    assert sizes == [8] * (speed.WARM_UP + 4), "the last batches of the epochs, of 4 images, are left out"
    assert all(torch.equal(value, before[name]) for name, value in recognizer.model.state_dict().items())
    assert not recognizer.model.training and all(p.grad is None for p in recognizer.model.parameters())
    assert 0 < table["seconds"]["fastest"] <= table["seconds"]["median"] <= table["seconds"]["slowest"]


def test_padded_images_shards_and_few_images(tmp_path, packed):
    names = ok.Recognizer.create("names", "light", (32, 128), resize="pad", device="cpu")
    some = names.pack(ok.load_samples("names").head(20))
    recipe = ok.Recipe(image_size=(32, 128), alphabet="names", resize="pad", batch_size=8, amp="off")
    assert (ok.measure_steps(names, some, recipe, steps=2) > 0).all(axis=None)
    ok.write_shards([packed], tmp_path, per_shard=6)
    shards = ok.open_shards(tmp_path)
    few = ok.measure_steps(reader(), shards, ok.Recipe(image_size=(32, 64), batch_size=64, amp="off"), steps=2)
    assert few["images_per_second"]["median"] == pytest.approx(20 / few["seconds"]["median"])
    assert few["minutes"]["median"] == pytest.approx(few["seconds"]["median"] * recipe.epochs / 60)


def test_a_measured_run_takes_about_that_long(packed):
    """A factor of three leaves room for a machine that other programs share."""
    recipe = ok.Recipe(image_size=(32, 64), batch_size=4, epochs=2, amp="off")
    table = ok.measure_steps(reader(), packed, recipe)
    history = ok.fit(reader(), packed, packed, recipe)
    assert 1 / 3 < history["seconds"].sum() / (60 * table.loc["mean", "minutes"]) < 3


def test_what_cannot_be_measured(packed):
    with pytest.raises(ValueError, match="nothing to measure: steps=0, 20 usable images"):
        ok.measure_steps(reader(), packed, RECIPE, steps=0)
    foreign = reader("names")
    assert not len(set_aside(packed, foreign)[0])
    with pytest.raises(ValueError, match="steps=20, 0 usable images, 100 in an epoch"):
        ok.measure_steps(foreign, packed, RECIPE, images=100)
