"""Bad conditions: a full disk, killed processes, cut files, other versions, no memory. Each is told, nothing lost."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_training import RECIPE, bars, reader, same, weights

from ocrkit.data.files import atomic, read_tensors, write_json
from ocrkit.data.store import StoreError, open_store, packed_store
from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth.bulk import draw_many
from ocrkit.training import shards
from ocrkit.training.loop import fit
from ocrkit.training.memory import is_out_of_memory, largest_batch
from ocrkit.training.shards import open_shards, write_shards
from ocrkit.training.step import Stepper

ONE = dataclasses.replace(RECIPE, epochs=1)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits and signals")

# --- a full disk ---


def arrays(n):
    images = [np.full((64, 256, 3), i, np.uint8) for i in range(n)]
    return pd.DataFrame({"image": pd.Series(images, dtype=object), "text": "A", "split": "train"})


def folder_bytes(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@contextmanager
def files_of_at_most(most):
    """No file may grow larger than so many bytes: for a program, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_packing_names_folder_bytes_and_free_space(tmp_path):
    store = tmp_path / "store"
    before = packed_store(arrays(2), store, (8, 16)).images.clone()
    with files_of_at_most(200_000), pytest.raises(OSError) as caught:
        packed_store(arrays(40), store, (32, 128))
    said = str(caught.value)
    assert f"File too large: store of at least 0.5 MB does not fit into {tmp_path}, where " in said
    assert "B are free. What was there before is untouched; make room" in said
    assert torch.equal(open_store(store).images, before)
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_while_shards_are_written_keeps_the_old_set(tmp_path, monkeypatch):
    folder, opened = tmp_path / "s", []
    write_shards([bars(20)], folder, 10, "old bars")

    def second_fails(*arguments):
        opened.append(arguments)
        return disk_full() if len(opened) == 2 else open(*arguments)

    monkeypatch.setattr(shards, "open", second_fails, raising=False)
    words = rf"No space left on device: s does not fit into {tmp_path}, where .* are free. What was there before is unt"
    with pytest.raises(OSError, match=words):
        write_shards([bars(10), bars(10, 1)], folder, 10, "bars")
    assert [p.name for p in tmp_path.iterdir()] == ["s"] and len(open_shards(folder)) == 20
    assert sorted(p.name for p in folder.iterdir()) == ["shard-00000.tar", "shard-00001.tar", "store.json"]


def test_a_full_disk_while_a_checkpoint_or_a_model_is_saved(tmp_path):
    fit(reader(), bars(16), bars(8), ONE, tmp_path)
    before = folder_bytes(tmp_path)
    size = (tmp_path / "checkpoint.safetensors").stat().st_size / 1e6
    words = f"File too large: checkpoint.safetensors of at least {size:.1f} MB does not fit into .*, where "
    with files_of_at_most(1_000_000), pytest.raises(OSError, match=words):
        fit(reader(), bars(16, 2), bars(8), ONE, tmp_path)
    with files_of_at_most(1_000_000), pytest.raises(OSError, match="File too large: model.safetensors of at least "):
        Recognizer.create("plates", device="cpu").save(tmp_path)
    assert folder_bytes(tmp_path) == before, "a file that was there has changed, or half of one was left"


def test_other_errors_of_writing_stay_what_they_are(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(PermissionError, match="^.Errno 13. denied$"), atomic(tmp_path / "a.json"):
        raise PermissionError(errno.EACCES, "denied")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(OSError, match="a.json does not fit") as caught, atomic(tmp_path / "a.json"):
        disk_full()
    assert caught.value.errno == errno.ENOSPC


# --- a killed process, cut files, other versions ---


def killing(number):
    if number == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return number, None


@POSIX
def test_a_killed_drawing_process_is_told_and_not_waited_for():
    words = r"one of the 2 processes that draw pictures 0 to 199 was killed.*draw with fewer workers \(workers=1"
    with pytest.raises(ChildProcessError, match=words):
        draw_many(killing, range(200), None, 2, ("number",))
    images, table = draw_many(killing, range(80, 200), None, 2, ("number",))
    assert table["number"].tolist() == list(range(80, 200))


def test_a_store_whose_images_are_cut_off(tmp_path, capsys):
    store = tmp_path / "store"
    whole = packed_store(arrays(3), store, (8, 16)).images.clone()
    path = store / "images.npy"
    path.write_bytes(path.read_bytes()[:500])
    for check in (True, False):
        with pytest.raises(
            StoreError, match=r"images.npy is (missing or )?damaged.*; delete the folder and pack again"
        ):
            open_store(store, check)
    assert torch.equal(packed_store(arrays(3), store, (8, 16)).images, whole)
    assert "it is made anew" in capsys.readouterr().out


def test_checkpoints_of_other_formats_are_refused_and_older_ones_load(tmp_path):
    whole = reader()
    fit(whole, bars(16), bars(8), ONE, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    metadata, tensors = read_tensors(path)
    meta = json.loads(metadata["ocrkit"])
    assert meta["format"] == "ocrkit checkpoint 1"
    save_file(tensors, path, {"ocrkit": json.dumps(meta | {"format": "ocrkit checkpoint 7"})})
    kept = path.read_bytes()
    with pytest.raises(ValueError, match="has format 'ocrkit checkpoint 7', this ocrkit reads 'ocrkit checkpoint 1'"):
        fit(reader(), bars(16), bars(8), ONE, tmp_path, resume=True)
    assert path.read_bytes() == kept
    del meta["format"]
    save_file(tensors, path, {"ocrkit": json.dumps(meta)})
    old = reader()
    assert len(fit(old, bars(16), bars(8), ONE, tmp_path, resume=True)) == 1
    assert same(weights(old), weights(whole))


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore Ctrl-C
sys.path.insert(0, {tests!r})
from test_bad_conditions import *
recognizer = reader()
recipe = dataclasses.replace(RECIPE, epochs=10_000, schedule="constant")
history = fit(recognizer, bars(16), bars(8), recipe, {run!r}, on_epoch=lambda h: print(len(h), flush=True))
best = history.sort_values(["valid_cer", "epoch"], ascending=[True, False]).iloc[0]
print("best", int(best.epoch), (recognizer.read(bars(8))["distance"] == 0).mean() == best.valid_accuracy)
"""


@POSIX
def test_a_real_interrupt_keeps_the_best_weights_so_far(tmp_path, request):
    code = INTERRUPTED.format(tests=str(request.path.parent), run=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        while process.stdout.readline().strip() != "2":
            assert process.poll() is None, "the training ended by itself"
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[0]
    finally:
        process.kill()
    assert process.returncode == 0 and "stopped by hand in epoch" in rest
    number, agrees = rest.split()[-2:]
    assert f"the weights of epoch {number} are kept" in rest and agrees == "True"
    best = {k: v for k, v in load_file(tmp_path / "checkpoint.safetensors").items() if k.startswith("best.")}
    saved = Recognizer.load(tmp_path, device="cpu").model.state_dict()
    assert same({k.removeprefix("best."): v for k, v in best.items()}, saved)


# --- memory ---


@pytest.fixture
def limit(monkeypatch):
    """A device with memory for batches of 5 images; the list has the sizes of all steps that were tried."""
    tried, step = [], Stepper.__call__

    def call(self, batch):
        tried.append(len(batch.texts))
        if len(batch.texts) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")
        return step(self, batch)

    monkeypatch.setattr(Stepper, "__call__", call)
    return tried


def test_the_largest_batch_is_tried_and_everything_put_back(limit):
    recognizer = reader()
    before, state = weights(recognizer), torch.get_rng_state()
    assert largest_batch(recognizer, RECIPE, [2, 8, 4, 16]) == 4
    assert limit == [16, 8, 4]
    assert same(weights(recognizer), before) and torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in recognizer.model.parameters())
    assert largest_batch(recognizer, RECIPE, [64, 32]) == 0


def test_fit_says_which_batch_fits_and_keeps_the_checkpoint(limit, tmp_path):
    fit(reader(), bars(4), bars(4), dataclasses.replace(ONE, batch_size=4), tmp_path)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    words = (
        r"out of memory on cpu with batch_size=16: one step fits with batch_size=4: set that, or keep 16 and set "
        r"accumulate=4, .*The finished epochs are kept in .*checkpoint.safetensors: resume=True.*\(CUDA out of memory"
    )
    with pytest.raises(MemoryError, match=words):
        fit(reader(), bars(16), bars(4), ONE, tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept


def test_a_batch_that_does_fit_and_one_that_never_can(monkeypatch):
    words = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: 99 bytes"
    calls, step = [], Stepper.__call__

    def call(self, batch):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError(words)
        return step(self, batch)

    monkeypatch.setattr(Stepper, "__call__", call)
    with pytest.raises(MemoryError, match="something else took the memory for a while: start again"):
        fit(reader(), bars(16), bars(4), ONE)

    def never(self, batch):
        raise RuntimeError(words)

    monkeypatch.setattr(Stepper, "__call__", never)
    with pytest.raises(MemoryError, match="not even one image fits: close other programs"):
        fit(reader(), bars(16), bars(4), ONE)


def test_other_errors_are_not_taken_for_want_of_memory(monkeypatch):
    assert is_out_of_memory(torch.OutOfMemoryError("x")) and not is_out_of_memory(RuntimeError("shapes differ"))
    monkeypatch.setattr(Stepper, "__call__", lambda *a: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="^shapes differ$"):
        fit(reader(), bars(16), bars(4), ONE)
    with pytest.raises(RuntimeError, match="^shapes differ$"):
        largest_batch(reader(), RECIPE, [2])
