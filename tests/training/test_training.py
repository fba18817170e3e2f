import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from ocrkit.data.batches import loader
from ocrkit.data.packed import pack_arrays
from ocrkit.reader.recognizer import Recognizer
from ocrkit.tasks.glyphs import network
from ocrkit.training.loop import fit, set_aside
from ocrkit.training.rates import lr_find, overfit_one_batch
from ocrkit.training.recipe import GLYPH_BACKBONES, DetectorRecipe, GlyphRecipe, Recipe, find_recipe
from ocrkit.training.step import autocast_dtype, keep_memory

RECIPE = Recipe(
    alphabet="digits", image_size=(32, 64), epochs=4, batch_size=16, learning_rate=2e-3, amp="off", augment="plates"
)


def bars(n, seed=0, size=(32, 64)):
    """Images in which each digit is a bar of its own height: quick to learn."""
    rng = np.random.default_rng(seed)
    images, texts = np.zeros((n, *size, 3), dtype=np.uint8), []
    for image in images:
        digits = rng.integers(0, 10, 2)
        for k, d in enumerate(digits):
            image[: 3 + 3 * d, 8 + 30 * k : 24 + 30 * k] = 255
        texts.append("".join(map(str, digits)))
    table = pd.DataFrame({"image": [f"bars {i}" for i in range(n)], "text": texts, "split": "train"})
    return pack_arrays(images, table)


def reader():
    return Recognizer.create("digits", image_size=(32, 64), device="cpu")


def weights(recognizer):
    return {k: v.clone() for k, v in recognizer.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_fit_learns_and_keeps_the_best_epoch(tmp_path):
    recognizer, valid = reader(), bars(48, seed=1)
    recipe = dataclasses.replace(RECIPE, epochs=6, augment="none", learning_rate=5e-3)
    seen = []
    history = fit(recognizer, bars(320), valid, recipe, tmp_path, on_epoch=lambda h: seen.append(len(h)))
    assert seen == [1, 2, 3, 4, 5, 6] and history.epoch.tolist() == seen
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0] / 2
    results = recognizer.read(valid)
    assert (results.prediction == results.text).mean() == history.valid_accuracy[history.valid_cer.idxmin()]
    assert Recognizer.load(tmp_path, device="cpu").read(valid).prediction.tolist() == results.prediction.tolist()
    assert len(pd.read_csv(tmp_path / "history.csv")) == 6
    assert not list(tmp_path.glob(".*tmp"))


@pytest.mark.parametrize("schedule", ["one-cycle", "plateau", "constant"])
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, schedule):
    recipe = dataclasses.replace(RECIPE, schedule=schedule, epochs=3)
    train, valid = bars(40), bars(8, seed=1)
    whole = reader()
    expected = fit(whole, train, valid, recipe)

    def stop(history):
        if len(history) == 1:
            raise KeyboardInterrupt

    broken = reader()
    fit(broken, train, valid, recipe, tmp_path, on_epoch=stop)
    assert not same(weights(broken), weights(whole))
    resumed = Recognizer.create("digits", image_size=(32, 64), seed=9, device="cpu")
    history = fit(resumed, train, valid, recipe, tmp_path, resume=True)
    columns = ["epoch", "train_loss", "valid_loss", "valid_cer", "valid_accuracy", "learning_rate"]
    pd.testing.assert_frame_equal(history[columns], expected[columns])
    assert same(weights(resumed), weights(whole))


def test_stopped_in_the_first_epoch_nothing_is_saved(tmp_path, monkeypatch, capsys):
    def stop(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr("ocrkit.training.step.Stepper.__call__", stop)
    assert fit(reader(), bars(16), bars(8), RECIPE, tmp_path).empty
    assert "stopped by hand in epoch 1; no epoch was finished" in capsys.readouterr().out
    assert not (tmp_path / "model.safetensors").exists()


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_training import RECIPE, bars, fit, reader
epochs = []
def die(history):
    if len(history) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
fit(reader(), bars(40), bars(8, seed=1), RECIPE, {run!r}, on_epoch=die)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_resumes_to_the_same_weights(tmp_path, request):
    code = KILLED.format(tests=str(request.path.parent), run=str(tmp_path / "run"))
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    whole, resumed = reader(), reader()
    fit(whole, bars(40), bars(8, seed=1), RECIPE, tmp_path / "whole")
    history = fit(resumed, bars(40), bars(8, seed=1), RECIPE, tmp_path / "run", resume=True)
    assert len(history) == 4
    assert same(weights(resumed), weights(whole))
    a, b = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "run"))
    assert same(a, b)


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    fit(reader(), bars(16), bars(8), dataclasses.replace(RECIPE, epochs=1), tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("ocrkit.training.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="No space"):
        fit(reader(), bars(16), bars(8), dataclasses.replace(RECIPE, epochs=1), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.5}, "learning_rate was 0.002, is 0.5"),
        ({"epochs": 9}, "epochs was 1, is 9"),
    ],
)
def test_resume_refuses_another_recipe(tmp_path, change, words):
    first = dataclasses.replace(RECIPE, epochs=1)
    fit(reader(), bars(16), bars(8), first, tmp_path)
    with pytest.raises(ValueError, match=words):
        fit(reader(), bars(16), bars(8), dataclasses.replace(first, **change), tmp_path, resume=True)


def test_resume_refuses_another_alphabet_and_a_damaged_file(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    fit(reader(), bars(16), bars(8), recipe, tmp_path)
    other = Recognizer.create("plates", image_size=(32, 64), device="cpu")
    with pytest.raises(ValueError, match="another alphabet"):
        fit(other, bars(16), bars(8), recipe, tmp_path, resume=True)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        fit(reader(), bars(16), bars(8), recipe, tmp_path, resume=True)


def test_early_stopping():
    recipe = dataclasses.replace(RECIPE, epochs=50, patience=2, learning_rate=1e-9, schedule="constant")
    # Weights that do not move cannot get better: the first epoch stays the best, or ties with it.
    history = fit(reader(), bars(16), bars(8), recipe)
    assert len(history) < 50


def test_bad_labels_are_set_aside_counted_and_named(tmp_path, capsys):
    train = bars(20)
    train.texts[:3] = ["", "1A", "1" * 40]
    usable, lost = set_aside(train, reader())
    assert len(usable) == 17
    assert lost.reason.tolist() == [
        "the label is empty",
        "the label '1A' has 'A', not in the alphabet",
        f"the label '{'1' * 40}' needs 79 time steps, the image has 16",
    ]
    history = fit(reader(), train, bars(8), dataclasses.replace(RECIPE, epochs=1), tmp_path)
    assert "3 samples are set aside (bars 0: the label is empty" in capsys.readouterr().out
    assert len(history.attrs["set_aside"]) == 3
    assert pd.read_csv(tmp_path / "set_aside.csv").image.tolist() == ["bars 0", "bars 1", "bars 2"]


def test_nothing_to_train_on():
    empty = bars(3)
    empty.texts[:] = ["", "", ""]
    with pytest.raises(ValueError, match="0 usable training"):
        fit(reader(), empty, bars(4), RECIPE)


def test_a_loss_that_is_no_number_stops_the_run():
    recognizer = reader()
    with torch.no_grad():
        recognizer.model.classifier[-1].weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(recognizer, bars(16), bars(8), RECIPE)


def test_overfit_one_batch_learns_by_heart():
    train = bars(32)
    recognizer = reader()
    batch = next(iter(loader(train, recognizer.tokenizer, 16)))
    table = overfit_one_batch(recognizer, batch, dataclasses.replace(RECIPE, learning_rate=5e-3), steps=120)
    assert table.cer.min() == 0
    assert table.loss.iloc[-1] < 0.1


def test_lr_find_puts_the_weights_back():
    recognizer = reader()
    before = weights(recognizer)
    table = lr_find(recognizer, bars(40), RECIPE, steps=25)
    assert same(before, weights(recognizer))
    assert table.learning_rate.is_monotonic_increasing and table.learning_rate[0] == pytest.approx(1e-6)
    assert 1e-6 < table.attrs["suggestion"] < 1


def test_autocast_choices():
    cpu = torch.device("cpu")
    assert autocast_dtype(cpu, "off") is None
    assert autocast_dtype(cpu, "bf16") is torch.bfloat16
    assert autocast_dtype(cpu, "auto") in (None, torch.bfloat16)


def test_bf16_learns_too():
    recipe = dataclasses.replace(RECIPE, amp="bf16", augment="none", epochs=3, learning_rate=5e-3)
    history = fit(reader(), bars(64), bars(8, seed=1), recipe)
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]


def test_recipe_files(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('epochs = 3\nimage_size = [48, 160]\nsamples = ["a", "b"]\n')
    recipe = find_recipe(path, learning_rate="0.01", rendered="500", samples="c,d", half="true")
    assert (recipe.epochs, recipe.image_size, recipe.learning_rate, recipe.rendered) == (3, (48, 160), 0.01, 500)
    assert recipe.samples == ("c", "d") and recipe.half is True
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 9


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epoch": 3}, "unknown setting epoch; there are: samples"),
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"epochs": "many"}, "epochs='many' must be of type int"),
        ({"epochs": 2.5}, "epochs=2.5 must be of type int"),
        ({"learning_rate": -1}, "above 0"),
        ({"schedule": "cosine"}, "one-cycle, plateau, constant"),
        ({"amp": "int8"}, "auto, off, bf16, fp16"),
        ({"mode": "CMYK"}, "RGB, L"),
        ({"image_size": "32,wide"}, "image_size='32,wide'"),
        ({"epochs": True}, "epochs=True"),
        ({"half": "maybe"}, "half='maybe' must be of type bool"),
        ({"window": 64}, "window is a setting of detectors of fields, and .* of readers of lines: leave it out"),
        ({"renderer": "letters", "repeat": 2}, "repeat is a setting of readers of lines or glyph classifiers"),
        ({"backbone": "resnet18", "patience": 1}, "patience is a setting of readers of lines, and .* glyph"),
        ({"renderer": "letters", "window": -1}, "window=-1 must be at least 0"),
    ],
)
def test_recipes_that_cannot_work(values, words):
    with pytest.raises(ValueError, match=words):
        Recipe.from_dict(values)


def test_a_recipe_is_of_the_kind_of_its_renderer_and_backbone():
    assert set(GLYPH_BACKBONES) == set(network.BACKBONES)
    assert isinstance(Recipe.from_dict({}), Recipe)
    assert isinstance(Recipe.from_dict({"backbone": "resnet18"}), GlyphRecipe)
    assert isinstance(Recipe.from_dict({"renderer": "letters"}), DetectorRecipe)
    with pytest.raises(ValueError, match="training of glyph classifiers, and this is a Recipe: make a GlyphRecipe"):
        dataclasses.replace(RECIPE, backbone="resnet18")


def test_recipe_file_that_is_no_toml(tmp_path):
    (tmp_path / "bad.toml").write_text("epochs: 3")
    with pytest.raises(ValueError, match="bad.toml is not valid TOML"):
        find_recipe(tmp_path / "bad.toml")


def test_freed_memory_is_kept_where_the_c_library_can():
    import platform

    assert keep_memory() == (platform.libc_ver()[0] == "glibc")
