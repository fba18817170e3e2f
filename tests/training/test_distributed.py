"""Several processes must train as one does. Started by a launcher, this file is what each process of the tests runs."""

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from test_training import bars
from torch import nn

import ocrkit.reader.recognizer
import ocrkit.training.checkpoint
import ocrkit.training.loop
import ocrkit.training.step
from ocrkit.__main__ import main
from ocrkit.data.batches import Batch, loader
from ocrkit.reader.crnn import blank_logits
from ocrkit.reader.device import normalize_images
from ocrkit.reader.recognizer import Recognizer
from ocrkit.tasks.run import run_recipe
from ocrkit.training.centers import AlignedLoss, CenterLoss
from ocrkit.training.loop import fit
from ocrkit.training.processes import accelerator, own_part, rank_and_world, set_seed
from ocrkit.training.rates import lr_find
from ocrkit.training.recipe import Recipe, find_recipe
from ocrkit.training.step import Stepper

ROOT = Path(__file__).parents[2]
TIMES = ["seconds", "images_per_second"]
# 33 images: the last batch has one, which both processes compute.
RECIPE = Recipe(
    alphabet="digits", image_size=(32, 64), epochs=2, batch_size=16, learning_rate=2e-3, amp="off", augment="none"
)
RUNS = {
    "light": RECIPE,
    "pieces": dataclasses.replace(RECIPE, accumulate=3, schedule="plateau"),
    "lenet, padded": dataclasses.replace(RECIPE, backbone="lenet", resize="pad"),
}


@contextmanager
def float64():
    """Compute in 64 bits, where sums in another order differ by 1e-15.

    In 32 bits a change of 1e-7 in the weights grows to 1e-4 in the losses of the second epoch: that would hide errors.
    """
    normalize, blank, threads = normalize_images, blank_logits, torch.get_num_threads()
    torch.set_num_threads(1)  # as launchers do: pictures are moved in 32 bits, by more threads with another rounding
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        for module in (ocrkit.training.step, ocrkit.reader.recognizer):
            patch.setattr(module, "normalize_images", lambda images: normalize(images).double())
        patch.setattr(ocrkit.reader.recognizer, "blank_logits", lambda num_classes: blank(num_classes).double())
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def reader(recipe=RECIPE, seed=0, batch_norm=False):
    """Without dropout, and without batch norm if it is not asked for: what an image gives hangs on that image alone."""
    recognizer = Recognizer.create(recipe.alphabet, recipe.backbone, (32, 64), "RGB", seed, "cpu", recipe.resize)
    features = recognizer.model.features
    for name, module in [] if batch_norm else [*features.named_children()]:
        if isinstance(module, nn.BatchNorm2d):
            setattr(features, name, nn.GroupNorm(8, module.num_features))
    for module in recognizer.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    recognizer.model.to(torch.zeros(()).float().dtype)
    return recognizer


def data():
    """33 images for training and 7 for validation, some of them half as wide as the others."""
    train, valid = bars(33), bars(7, seed=1)
    for packed in (train, valid):
        packed.images[::3, :, :, 30:] = 255
        packed.texts[::3] = [text[0] for text in packed.texts[::3]]
    return train, valid


def weights(recognizer):
    return torch.cat([t.double().flatten() for t in recognizer.model.state_dict().values()])


def stop_after_first_epoch(patch):
    """Make the second epoch of a run end in Ctrl-C."""
    set_epoch = ocrkit.training.loop.set_epoch

    def only_first(batches, epoch):
        if epoch:
            raise KeyboardInterrupt
        set_epoch(batches, epoch)

    patch.setattr(ocrkit.training.loop, "set_epoch", only_first)


# --- what each of the processes does; the results of all are compared below ---


def work(folder: Path) -> None:
    connected, (train, valid), found = accelerator(), data(), {"errors": {}}
    rank, found["size"] = rank_and_world()
    for name, recipe in RUNS.items():
        recognizer = reader(recipe, seed=9 * rank)  # the weights of the main process count
        history = fit(recognizer, train, valid, recipe, folder / name)
        found[name] = {"history": history.to_dict("list"), "weights": weights(recognizer).tolist()[::1000]}
    found["lr_find"] = lr_find(reader(), train, RECIPE, steps=8).loss.tolist()
    for name, recipe in {"batch norm": RECIPE, "drawn": dataclasses.replace(RECIPE, augment="plates")}.items():
        recognizer = reader(seed=9 * rank, batch_norm=True)
        history = fit(recognizer, train, valid, recipe)
        found[name] = {"history": history.to_dict("list"), "weights": weights(recognizer).tolist()[::1000]}

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_first_epoch(patch)
        fit(reader(), train, valid, RECIPE, folder / "2 to 1")
    found["1 to 2"] = fit(reader(), train, valid, RECIPE, folder / "1 to 2", resume=True).to_dict("list")

    center = AlignedLoss(CenterLoss(11, 256), 0.1)
    nan = reader()
    nan.model.classifier[-1].bias.data.fill_(float("nan"))
    refused = {
        "batch too small": lambda: fit(reader(), train, valid, dataclasses.replace(RECIPE, batch_size=1)),
        "extra": lambda: fit(reader(), train, valid, RECIPE, extra=center),
        "other data": lambda: fit(reader(), bars(20 + rank), valid, RECIPE),
        "no number": lambda: fit(nan, train, valid, RECIPE),
        "glyphs": lambda: run_recipe(find_recipe("chinese-glyphs"), folder / "glyphs"),
    }
    for name, function in refused.items():
        with pytest.raises((ValueError, FloatingPointError)) as error:
            function()
        found["errors"][name] = str(error.value)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    connected.wait_for_everyone()
    connected.end_training()


NOTEBOOK = """
import sys
sys.path.insert(0, {tests!r})
import test_distributed
from accelerate import notebook_launcher
def train():
    connected = test_distributed.accelerator()  # first, since the notebook has used threads
    with test_distributed.float64():
        history = test_distributed.fit(test_distributed.reader(), *test_distributed.data(), test_distributed.RECIPE)
    if connected.is_main_process:
        history.to_csv({csv!r}, index=False)
def fail():
    connected = test_distributed.accelerator()
    if connected.process_index:
        raise OSError("the disk of this process is full")
    connected.wait_for_everyone()
test_distributed.torch.set_num_threads(2)
test_distributed.reader()
notebook_launcher(train, num_processes=2, use_port={port!r})
try:
    notebook_launcher(fail, num_processes=2, use_port={port!r})
except Exception as error:
    print("failed together:", error)
"""


def launched(*command: str | Path, timeout: int = 300) -> subprocess.CompletedProcess:
    """Run a Python module or script; processes that wait for each other in vain would run into the time limit."""
    env = os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env)


def free_port() -> str:
    from torch.distributed import TCPStore

    return str(TCPStore("127.0.0.1", 0, is_master=True).port)


TORCHRUN = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes found, and the folder of their runs; "1 to 2" was begun by one process."""
    pytest.importorskip("accelerate", reason="several processes need the extra `scale`")
    folder = tmp_path_factory.mktemp("two")
    with float64(), pytest.MonkeyPatch.context() as patch:
        stop_after_first_epoch(patch)
        fit(reader(), *data(), RECIPE, folder / "1 to 2")
    # What it calls GPUs are CPUs where there are none; its own way for CPUs needs MPI.
    launcher = "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"
    options = "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port()
    done = launched(*launcher, *options, __file__, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)], folder


@pytest.fixture(scope="module")
def alone():
    """The same runs in one process."""
    found = {}
    with float64():
        for name, recipe in RUNS.items():
            recognizer = reader(recipe)
            history = fit(recognizer, *data(), recipe)
            found[name] = history, weights(recognizer)[::1000]
    return found


def same_curve(found, expected, rtol=1e-9):
    columns = expected.columns.difference(TIMES)
    pd.testing.assert_frame_equal(pd.DataFrame(found)[columns], expected[columns], rtol=rtol)


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_have_the_curve_of_one(together, alone, name):
    for found in together[0]:
        assert found["size"] == 2
        same_curve(found[name]["history"], alone[name][0])
        assert found[name]["weights"] == pytest.approx(alone[name][1].tolist(), rel=1e-6, abs=1e-9)
    first, second = together[0]
    assert first[name] == second[name]  # the times, too
    assert sorted(p.name for p in (together[1] / name).iterdir()) == [
        "checkpoint.safetensors", "config.json", "history.csv", "model.safetensors", "set_aside.csv"
    ]  # fmt: skip


def test_the_rate_finder_too(together):
    with float64():
        expected = lr_find(reader(), data()[0], RECIPE, steps=8).loss.tolist()
    assert together[0][0]["lr_find"] == together[0][1]["lr_find"] == pytest.approx(expected, rel=1e-9)


def test_a_run_goes_on_with_more_or_fewer_processes(together, alone):
    whole = alone["light"][0]
    same_curve(together[0][0]["1 to 2"], whole)
    folder = together[1] / "2 to 1"
    assert len(pd.read_csv(folder / "history.csv")) == 1
    assert (folder / "model.safetensors").exists()  # Ctrl-C keeps the best weights so far
    with float64():
        same_curve(fit(reader(), *data(), RECIPE, folder, resume=True), whole)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("batch too small", "batch_size=1 is the batch of all processes together, too small for 2 parts"),
        ("extra", "extra=AlignedLoss compares the characters of a whole batch"),
        ("other data", r"do not agree on images: (20, 7), (21, 7)"),
        ("no number", "lower learning_rate"),
        ("glyphs", "was started with 2 processes: start one"),
    ],
)
def test_all_processes_refuse_together(together, name, words):
    for found in together[0]:
        assert words in found["errors"][name]


def test_on_cpus_each_process_has_a_batch_norm_of_its_own(together):
    """So the steps are those of one process with `accumulate=2`; in evaluation the statistics of the first count."""
    with float64():
        pieces = fit(reader(batch_norm=True), *data(), dataclasses.replace(RECIPE, accumulate=2))
        whole = fit(reader(batch_norm=True), *data(), RECIPE)
    first, second = (found["batch norm"] for found in together[0])
    assert first == second
    assert first["history"]["train_loss"] == pytest.approx(pieces.train_loss.tolist(), rel=1e-9)
    assert first["history"]["train_loss"] != pytest.approx(whole.train_loss.tolist(), rel=1e-4)


def test_what_is_drawn_at_random_is_not_the_same_in_both_but_the_run_is(together, monkeypatch):
    first, second = (found["drawn"] for found in together[0])
    assert first == second
    drawn = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        set_seed(5)
        drawn.append(torch.rand(3))
    torch.manual_seed(5)
    assert torch.equal(drawn[0], torch.rand(3)) and not torch.equal(*drawn)


def test_torchrun_trains_a_recipe(tmp_path):
    pytest.importorskip("accelerate", reason="several processes need the extra `scale`")
    settings = "rendered=40", "image_size=32,64", "epochs=1", "batch_size=16", "amp=off", "samples=", "augment=none"
    command = "train", "plates", *settings, "--out"
    done = launched(*TORCHRUN, "-m", "ocrkit", *command, tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("epoch 1: loss") == done.stdout.count("the model lies in") == 1
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    assert (tmp_path / "two" / "README.md").exists()
    assert sorted(p.name[:8] for p in (tmp_path / "stores").iterdir()) == ["rendered"] * 2
    assert main([*command, str(tmp_path / "one")]) == 0
    two, one = (pd.read_csv(tmp_path / name / "history.csv") for name in ("two", "one"))
    same_curve(two, one, rtol=0.05)  # with batch norm of two parts and other dropout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_notebook_launcher(tmp_path, alone, request):
    pytest.importorskip("accelerate", reason="several processes need the extra `scale`")
    csv = tmp_path / "history.csv"
    code = NOTEBOOK.format(tests=str(request.path.parent), csv=str(csv), port=free_port())
    done = launched("-c", code)
    assert done.returncode == 0, done.stderr[-3000:]
    same_curve(pd.read_csv(csv), alone["light"][0])
    assert "failed together" in done.stdout


# --- in one process ---


def test_shares_are_all_images_once_and_nearly_equal(monkeypatch):
    for world in (1, 2, 3, 8):
        monkeypatch.setenv("WORLD_SIZE", str(world))
        for n in (0, 1, 5, 16):
            shares = []
            for rank in range(world):
                monkeypatch.setenv("RANK", str(rank))
                shares.append([*range(n)[own_part(n)]])
            assert [i for part in shares for i in part] == [*range(n)]
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_on_graphics_cards_batch_norm_is_of_all_images(monkeypatch):
    recognizer = reader(batch_norm=True)
    expected, images = recognizer.logits(data()[0].images), data()[0].images
    card = SimpleNamespace(device=torch.device("cuda"), prepare=lambda model: model)
    monkeypatch.setattr(ocrkit.training.step, "accelerator", lambda: card)
    Stepper(recognizer, RECIPE)
    norms = [m for m in recognizer.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 5 and all(isinstance(m, nn.SyncBatchNorm) for m in norms)
    assert recognizer.device.type == "cuda"
    recognizer.device = torch.device("cpu")
    assert torch.equal(recognizer.logits(images), expected)  # a trained model reads as before
    assert recognizer.model.state_dict().keys() == reader(batch_norm=True).model.state_dict().keys()


@pytest.mark.parametrize("accumulate", [2, 5, 16])
def test_pieces_are_the_same_mathematics(accumulate):
    train, found = data()[0], []
    for recipe in (RECIPE, dataclasses.replace(RECIPE, accumulate=accumulate)):
        recognizer = reader()
        stepper = Stepper(recognizer, recipe)
        torch.manual_seed(0)
        losses = [stepper(batch).item() for batch in loader(train, recognizer.tokenizer, 16)]
        found.append((losses, [p.grad.clone() for p in recognizer.model.parameters()]))
    (losses, gradients), (same_losses, same_gradients) = found
    assert losses == pytest.approx(same_losses, rel=1e-5)
    for a, b in zip(gradients, same_gradients):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_pieces_have_batch_norm_of_their_own():
    batch = next(iter(loader(data()[0], reader().tokenizer, 16)))
    halves = slice(8), slice(8, 16)
    pieces = [Batch(batch.images[i], batch.targets[i], batch.lengths[i], batch.texts[i]) for i in halves]
    recipe = dataclasses.replace(RECIPE, augment="none", accumulate=2)
    stepper = Stepper(reader(batch_norm=True), recipe)
    apart = sum(stepper.loss(piece).item() for piece in pieces) / 2
    assert stepper(batch).item() == pytest.approx(apart, rel=1e-5)


def test_extra_losses_see_whole_batches():
    recipe = dataclasses.replace(RECIPE, accumulate=2)
    with pytest.raises(ValueError, match="train with it in one process, with accumulate=1"):
        Stepper(reader(), recipe, AlignedLoss(CenterLoss(11, 256), 0.1))


def test_older_checkpoints_go_on(tmp_path, monkeypatch):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    fit(reader(), *data(), recipe, tmp_path)
    read = ocrkit.training.checkpoint.read_tensors

    def older(path):
        metadata, tensors = read(path)
        meta = json.loads(metadata["ocrkit"])
        for younger in ("accumulate", "words", "spliced", "resize"):
            del meta["recipe"][younger]
        return {"ocrkit": json.dumps(meta)}, tensors

    monkeypatch.setattr(ocrkit.training.checkpoint, "read_tensors", older)
    assert len(fit(reader(), *data(), recipe, tmp_path, resume=True)) == 1
    with pytest.raises(ValueError, match="accumulate was 1, is 2"):
        fit(reader(), *data(), dataclasses.replace(recipe, accumulate=2), tmp_path, resume=True)


def test_without_accelerate_one_process_trains_and_two_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert len(fit(reader(), *data(), dataclasses.replace(RECIPE, epochs=1))) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match=r"pip install accelerate.*\[scale\]"):
        accelerator()


if __name__ == "__main__":
    with float64():
        work(Path(sys.argv[1]))
