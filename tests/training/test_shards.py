"""Sets in shards: the same batches from disk as from memory, little memory, and what is broken is named and mended."""

import dataclasses
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_training import RECIPE, bars, reader, same, weights

from ocrkit.data.batches import loader, set_epoch
from ocrkit.data.packed import Mixed, Packed, pack
from ocrkit.data.sizes import used_columns
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training import shard_files
from ocrkit.training.loop import fit, set_aside, used_steps
from ocrkit.training.rates import lr_find
from ocrkit.training.shard_files import packed_shards, write_shards
from ocrkit.training.shard_order import ShardOrder
from ocrkit.training.shards import ShardError, Shards, open_shards, shard_batches

TOKENIZER = Tokenizer("0123456789")


def numbered(n, first=0, size=(4, 8)):
    """Records whose image and text are both their number."""
    numbers = np.arange(first, first + n)
    images = (numbers[:, None] // 256 ** np.arange(4) % 256).astype(np.uint8)
    block = np.zeros((n, 1, *size), np.uint8)
    block[:, 0, 0, :4] = images
    table = pd.DataFrame({"image": [f"n {i}" for i in numbers], "text": [str(i) for i in numbers], "writer": "w1"})
    return Packed(torch.from_numpy(block), table, [float(size[1])] * n)


def number_of(images):
    return (images[:, 0, 0, :4].long() * 256 ** torch.arange(4)).sum(1).tolist()


@pytest.fixture
def store(tmp_path):
    """103 records, which come in packs of 20, in shards of 10."""
    return write_shards((numbered(min(20, 103 - i), i) for i in range(0, 103, 20)), tmp_path / "s", 10, "numbers")


@pytest.fixture
def reads(monkeypatch):
    """How often each shard is read with its images."""
    counts, real = Counter(), Shards._read
    monkeypatch.setattr(Shards, "_read", lambda self, number, to: counts.update([number]) or real(self, number, to))
    return counts


@pytest.fixture
def samples(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for i, path in enumerate(paths):
        Image.fromarray(np.full((8, 20 + i, 3), 30 * i, np.uint8)).save(path)
    texts = ["1", "22", "", "x", "皖", "NA", " 7"]
    return pd.DataFrame({"image": [str(p) for p in paths], "text": texts, "split": "train"})


def epoch(store, **choice):
    return list(shard_batches(store, TOKENIZER, choice.pop("batch_size", 8), 5, choice.pop("epoch", 0), **choice))


def test_every_record_comes_once_with_its_own_text_and_each_shard_is_read_once(store, reads):
    assert len(store) == 103 and len(store.shards) == 11
    batches = epoch(store)
    assert [len(b.texts) for b in batches] == [8] * 12 + [7]
    assert sorted(int(t) for b in batches for t in b.texts) == list(range(103))
    assert all(number_of(b.images) == [int(t) for t in b.texts] for b in batches)
    assert reads == dict.fromkeys(range(11), 1), "a shard was read more than once"
    assert len(store._loaded) <= store.window


def test_the_order_is_of_seed_and_epoch_and_shuffles_over_shards(store):
    def texts(**choice):
        return [t for b in epoch(store, **choice) for t in b.texts]

    assert texts() == texts() != texts(epoch=1)
    order = ShardOrder(store.ends, 4, 8, 6)
    assert [i for b in order for i in b] != [int(t) for t in texts()]
    assert len({int(t) // 10 for t in texts()[:8]}) > 1, "a batch is of one shard"


@pytest.mark.parametrize("processes", [2, 3, 9])
def test_processes_share_the_same_global_batches(store, processes):
    shares = [epoch(store, part=(rank, processes)) for rank in range(processes)]
    for whole, *parts in zip(epoch(store), *shares):
        assert [t for part in parts for t in part.texts] == whole.texts
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    with pytest.raises(ValueError, match="from 0 to 1"):
        epoch(store, part=(2, 2))


def test_an_epoch_goes_on_at_any_step_without_reading_what_is_before(store, reads):
    whole = epoch(store)
    reads.clear()
    rest = epoch(store, start_step=9)
    assert [b.texts for b in rest] == [b.texts for b in whole[9:]]
    assert sum(reads.values()) <= 7, "shards of windows that are over were read"


def test_the_loader_deals_out_the_same(store):
    batches = loader(store, TOKENIZER, 8, seed=5)
    for number in (0, 1):
        set_epoch(batches, number)
        assert [b.texts for b in batches] == [b.texts for b in epoch(store, epoch=number)]
    assert len(batches) == 13
    plain = loader(store, TOKENIZER, 8)
    assert [int(t) for b in plain for t in b.texts] == list(range(103))


@pytest.mark.parametrize(
    ("sizes", "window", "batch"), [([3], 1, 8), ([5, 0, 2, 9], 2, 4), ([1] * 9, 1, 4), ([8], 3, 4)]
)
@pytest.mark.parametrize("sort", [False, True])
def test_orders_of_odd_sizes_are_permutations(sizes, window, batch, sort):
    n = sum(sizes)
    order = ShardOrder(np.cumsum(sizes), window, batch, 1, np.arange(n) if sort else None)
    batches = list(order)
    assert sorted(i for b in batches for i in b) == list(range(n))
    assert [len(b) for b in batches[:-1]] == [batch] * (len(batches) - 1) and len(order) == len(batches)


def test_batches_of_equally_wide_images_stay_within_their_windows(tmp_path, reads):
    rng = np.random.default_rng(0)
    packs = []
    for first in range(0, 640, 80):
        packed = numbered(80, first, (4, 64))
        packed.images[:] = 255
        for image, width in zip(packed.images, rng.integers(1, 48, 80)):
            image[..., :width] = 0
        packs.append(packed)
    store = write_shards(packs, tmp_path / "s", 40)
    used = np.concatenate([used_columns(p.images).numpy() for p in packs])
    recognizer = reader()
    assert (store.steps(recognizer) == recognizer.model.time_steps).all()
    batches = epoch(store, used=used)
    assert sorted(int(t) for b in batches for t in b.texts) == list(range(640))
    spread = [np.ptp(used[[int(t) for t in b.texts]]) for b in batches]
    plain = [np.ptp(used[[int(t) for t in b.texts]]) for b in epoch(store)]
    assert np.median(spread) < np.median(plain) / 3
    assert max(reads.values()) == 2, "in two epochs each shard is read twice"


def test_a_shard_keeps_all_that_was_packed(samples, tmp_path):
    (tmp_path / "3.png").write_bytes(b"no image")
    store = packed_shards(samples, tmp_path / "s", (8, 16), "L", per_shard=4)
    plain = pack(samples, (8, 16), "L")
    assert len(store) == 6
    parts = [store.shard(k) for k in range(2)]
    assert torch.equal(torch.cat([p.images for p in parts]), plain.images)
    assert sum((p.texts for p in parts), []) == plain.texts and sum((p.widths for p in parts), []) == plain.widths
    pd.testing.assert_frame_equal(pd.concat([p.samples for p in parts]), plain.samples)
    assert parts[0].rejected["image"].tolist() == plain.rejected["image"].tolist()
    images, texts = store[4]
    assert texts == "NA" and torch.equal(images, plain.images[4])
    mapped = np.memmap(tmp_path / "s" / "shard-00000.bin", np.uint8, "r", shape=(3, 1, 8, 16))
    assert np.array_equal(mapped, plain.images[:3])


def test_images_in_memory_are_kept_once_and_have_a_name(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    table = pd.DataFrame({"image": [image, image[::-1]], "text": ["1", "2"]}, index=[7, 3])
    part = packed_shards(table, tmp_path / "s", (8, 16)).shard(0)
    assert part.samples["image"].tolist() == ["in memory 7", "in memory 3"]
    assert torch.equal(part.images, pack(table, (8, 16)).images)
    assert (tmp_path / "s" / "shard-00000.bin").stat().st_size < 2 * 3 * 8 * 16 + 500


def test_bad_labels_are_set_aside_with_their_rows(samples, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    store = packed_shards(samples, tmp_path / "s", (32, 64), per_shard=3)
    packed = pack(samples, (32, 64))
    usable, lost = set_aside(store, reader())
    also_usable, also_lost = set_aside(packed, reader())
    assert len(usable) == len(also_usable) == 1 and usable[0][1] == "1"
    assert len(store) == 6, "the store itself is as it was"
    assert sorted(zip(lost.image, lost.reason)) == sorted(zip(also_lost.image, also_lost.reason))
    assert "the label 'x' has 'x', not in the alphabet" in lost.reason.tolist()


def test_fit_trains_from_shards_and_resumes_to_the_same_weights(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=2, augment="none", learning_rate=5e-3)
    train, valid = bars(48), bars(8, seed=1)
    store = write_shards([train], tmp_path / "s", 16)
    whole, broken = reader(), reader()
    history = fit(whole, open_shards(tmp_path / "s", window=2), valid, recipe)
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]

    def stop(history):
        if len(history) == 1:
            raise KeyboardInterrupt

    fit(broken, open_shards(tmp_path / "s", window=2), valid, recipe, tmp_path / "run", on_epoch=stop)
    fit(broken, open_shards(tmp_path / "s", window=2), valid, recipe, tmp_path / "run", resume=True)
    assert same(weights(broken), weights(whole))
    assert len(lr_find(whole, store, recipe, steps=7)) == 7


def test_padded_names_need_no_images_to_know_their_steps(tmp_path):
    from ocrkit.reader.recognizer import Recognizer

    recognizer = Recognizer.create("digits", image_size=(32, 64), device="cpu", resize="pad")
    train = bars(12)
    store = write_shards([train], tmp_path / "s", 5)
    assert used_steps(store, recognizer).tolist() == used_steps(train, recognizer).tolist()
    history = fit(recognizer, store, bars(4), dataclasses.replace(RECIPE, epochs=1, batch_size=4))
    assert np.isfinite(history.train_loss.iloc[0])


@pytest.mark.parametrize("fault", ["cut", "flipped", "gone"])
def test_a_damaged_shard_is_named_and_it_alone_is_made_anew(samples, tmp_path, monkeypatch, fault):
    folder = tmp_path / "s"
    whole = packed_shards(samples, folder, (8, 16), per_shard=2)
    before = [whole.shard(k).images for k in range(4)]
    path = folder / "shard-00002.bin"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(data if fault == "flipped" else data[:-7])
    words = r"shard-00002.bin \(shard 3 of 4\) is missing, cut off or damaged: write the shards again"
    with pytest.raises(ShardError, match=words):
        list(shard_batches(open_shards(folder), Tokenizer("12x皖NA 7"), 2, 0, 0))
    packings = []
    monkeypatch.setattr(shard_files, "pack", lambda part, *a: packings.append(len(part)) or pack(part, *a))
    mended = packed_shards(samples, folder, (8, 16), per_shard=2)
    assert packings == [2], "more than the damaged shard was packed again"
    assert all(torch.equal(mended.shard(k).images, images) for k, images in enumerate(before))


def test_only_shards_whose_rows_changed_are_packed_again(samples, tmp_path, monkeypatch):
    packed_shards(samples, tmp_path / "s", (8, 16), per_shard=2)
    packings = []
    monkeypatch.setattr(shard_files, "pack", lambda part, *a: packings.append(part.index[0]) or pack(part, *a))
    other = samples.assign(text=["1", "22", "", "y", "皖", "NA", " 7"])
    assert packed_shards(other, tmp_path / "s", (8, 16), per_shard=2).shard(1).texts == ["", "y"]
    Image.new("RGB", (30, 30)).save(samples.image[6])
    packed_shards(other, tmp_path / "s", (8, 16), per_shard=2)
    assert packings == [2, 6]
    fewer = packed_shards(other.head(4), tmp_path / "s", (8, 16), per_shard=2)
    assert len(fewer) == 4 and len(list((tmp_path / "s").glob("*.bin"))) == 2


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_shards import numbered, write_shards
def packs():
    for i in range(5):
        if i == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield numbered(10, 10 * i)
write_shards(packs(), {folder!r}, 10, "numbers")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_writer_goes_on_where_it_was(tmp_path, request, monkeypatch):
    folder = tmp_path / "s"
    code = KILLED.format(tests=str(request.path.parent), folder=str(folder))
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    with pytest.raises(ShardError, match="broken off after 3 shards: write them again"):
        open_shards(folder)
    written = []
    real = shard_files.ShardWriter.write
    monkeypatch.setattr(
        shard_files.ShardWriter, "write", lambda self, number, *a: written.append(number) or real(self, number, *a)
    )
    store = write_shards((numbered(10, 10 * i) for i in range(5)), folder, 10, "numbers")
    assert written == [3, 4] and len(store) == 50
    assert sorted(int(t) for b in epoch(store) for t in b.texts) == list(range(50))
    write_shards((numbered(10, 10 * i) for i in range(5)), folder, 10)
    assert written == [3, 4, 0, 1, 2, 3, 4], "without a source nothing that is there can be trusted"


def test_what_cannot_be_written_or_opened(store, samples, tmp_path):
    with pytest.raises(ShardError, match="holds no shards"):
        open_shards(tmp_path / "none")
    with pytest.raises(ValueError, match="window=0"):
        open_shards(store.folder, window=0)
    with pytest.raises(ValueError, match=r"holds shards of images \(C, H, W\) = \(1, 4, 8\).*choose another folder"):
        write_shards([numbered(3, size=(4, 9))], store.folder)
    with pytest.raises(ValueError, match="cannot be written together"):
        write_shards([numbered(3), numbered(3, size=(4, 9))], tmp_path / "t")
    with pytest.raises(ValueError, match="no pack came"):
        write_shards([], tmp_path / "u")
    with pytest.raises(ValueError, match="table is empty"):
        packed_shards(samples[:0], tmp_path / "v")
    with pytest.raises(TypeError, match="Shards cannot be joined with other packs: write all sets into one folder"):
        Mixed([store, numbered(3)])


MEMORY = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_shards import TOKENIZER, numbered, write_shards, shard_batches
from tools.benchmarks.streaming import resident
packs = (numbered(1000, i, (32, 64)) for i in range(0, 20_000, 1000))
store = write_shards(packs, {folder!r}, 1000)
start = resident()
seen, most = 0, 0
for batch in shard_batches(store, TOKENIZER, 100, 0, 0):
    seen += len(batch.texts)
    most = max(most, resident())
print(seen, most - start, sum(s["bytes"] for s in store.shards))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_stays_under_a_bound(tmp_path, request):
    tests = request.path.parent
    code = MEMORY.format(tests=str(tests), root=str(tests.parent), folder=str(tmp_path / "s"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen, grown, size = map(int, done.stdout.split())
    assert seen == 20_000 and size > 41e6
    # Four shards of 2 MB and a batch.
    assert grown < 16e6
