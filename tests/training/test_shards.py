"""Sets in shards: the same batches from disk as from memory, flat memory, and a damaged shard that is named."""

import dataclasses
import io
import json
import pickle
import subprocess
import sys
import tarfile
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
from ocrkit.training.loop import fit, set_aside, used_steps
from ocrkit.training.rates import lr_find
from ocrkit.training.shards import (
    ShardError,
    ShardOrder,
    Shards,
    open_shards,
    packed_shards,
    shard_batches,
    write_shards,
)

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


def in_twenties(n=103):
    return (numbered(min(20, n - i), i) for i in range(0, n, 20))


@pytest.fixture
def store(tmp_path):
    """103 records, which come in packs of 20, in shards of 10."""
    return write_shards(in_twenties(), tmp_path / "s", 10, "numbers")


@pytest.fixture
def reads(monkeypatch):
    """How often the records of each shard are read."""
    counts, real = Counter(), Shards._records
    monkeypatch.setattr(Shards, "_records", lambda self, number: counts.update([number]) or real(self, number))
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


def numbers_in(batches):
    return sorted(int(t) for b in batches for t in b.texts)


def test_every_record_comes_once_with_its_own_text_and_each_shard_is_read_once(reads, store):
    assert len(store) == 103 and len(store.files) == 11
    batches = epoch(store)
    assert [len(b.texts) for b in batches] == [8] * 12 + [7]
    assert numbers_in(batches) == list(range(103))
    assert all(number_of(b.images) == [int(t) for t in b.texts] for b in batches)
    assert reads == dict.fromkeys(range(11), 1), "a shard was read more than once"
    assert store._load.cache_info().currsize <= store.window


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
    first, rest = epoch(store)[:5], [epoch(store, part=(rank, processes), start_step=5) for rank in range(processes)]
    assert numbers_in([*first, *(b for part in rest for b in part)]) == list(range(103)), "one began, several went on"
    with pytest.raises(ValueError, match="from 0 to 1"):
        epoch(store, part=(2, 2))


def test_an_epoch_goes_on_at_any_step_without_reading_what_is_before(reads, store):
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
    reads.clear()
    batches = epoch(store, used=used)
    assert numbers_in(batches) == list(range(640))
    assert max(reads.values()) == 1, "each shard is read once an epoch"
    spread = [np.ptp(used[[int(t) for t in b.texts]]) for b in batches]
    plain = [np.ptp(used[[int(t) for t in b.texts]]) for b in epoch(store)]
    assert np.median(spread) < np.median(plain) / 3


def test_a_shard_is_a_tar_file_that_others_read(samples, tmp_path):
    (tmp_path / "3.png").write_bytes(b"no image")
    store = packed_shards(samples.assign(nothing=np.nan), tmp_path / "s", (8, 16), "RGB", per_shard=4)
    plain = pack(samples, (8, 16))
    assert [f.name for f in store.files] == ["shard-00000.tar", "shard-00001.tar"]
    records = {}
    for path in store.files:
        with tarfile.open(path) as tar:
            records |= {member.name: tar.extractfile(member).read() for member in tar}
    assert sorted(records) == [f"{i:09d}.{kind}" for i in range(6) for kind in ("json", "png")]
    for i in range(6):
        image = np.asarray(Image.open(io.BytesIO(records[f"{i:09d}.png"])))
        assert np.array_equal(image, plain.images[i].permute(1, 2, 0))
        facts = json.loads(records[f"{i:09d}.json"], parse_constant=pytest.fail)
        row = plain.samples.iloc[i].to_dict() | {"nothing": None}
        assert facts["text"] == plain.texts[i] and facts["row"] == row and facts["width"] == plain.widths[i]
    images, texts = store.__getitems__([4, 1])
    assert texts == ["NA", "22"] and torch.equal(images, plain.images[[4, 1]])


def test_images_in_memory_are_kept_once_and_have_a_name(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    corners = [np.array([[0, 0], [90, 0], [90, 40], [0, 40]])] * 2
    table = pd.DataFrame({"image": [image, image[::-1]], "text": ["1", "2"], "corners": corners}, index=[7, 3])
    store = packed_shards(table, tmp_path / "s", (8, 16))
    rows = [json.loads(record["json"])["row"] for record in store._records(0)]
    assert [row["image"] for row in rows] == ["in memory 7", "in memory 3"]
    assert rows[0]["corners"] == corners[0].tolist()
    assert torch.equal(store.__getitems__([0, 1])[0], pack(table, (8, 16)).images)


def test_bad_labels_are_set_aside_with_their_rows(samples, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    store = packed_shards(samples, tmp_path / "s", (32, 64), per_shard=3)
    packed = pack(samples, (32, 64))
    usable, lost = set_aside(store, reader())
    also_usable, also_lost = set_aside(packed, reader())
    assert len(usable) == len(also_usable) == 1 and usable.__getitems__([0])[1] == ["1"]
    assert len(store) == 6, "the store itself is as it was"
    assert sorted(zip(lost.image, lost.reason)) == sorted(zip(also_lost.image, also_lost.reason))
    assert "the label 'x' has 'x', not in the alphabet" in lost.reason.tolist()


def test_fit_trains_from_shards_as_from_memory_and_resumes_to_the_same_weights(tmp_path):
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


def damage(path, fault):
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(data if fault == "flipped" else data[:-7])


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("fault", ["cut", "flipped", "gone"])
def test_a_damaged_shard_is_named_and_the_rest_goes_on(store, fault, window):
    folder = store.files[2].parent
    damage(store.files[2], fault)
    words = r"shard-00002.tar \(shard 3 of 11\) is missing, cut off or damaged: its 10 records are left out"
    with pytest.warns(UserWarning, match=words):
        batches = epoch(open_shards(folder, window))
    assert numbers_in(batches) == [i for i in range(103) if i // 10 != 2]
    assert [len(b.texts) for b in batches] == [8] * 11 + [5], "the batches are as large as ever"
    with pytest.warns(UserWarning), pytest.raises(ShardError, match=r"shard-00002.tar is missing, cut off or damaged"):
        open_shards(folder).__getitems__([25])
    with pytest.warns(UserWarning):
        usable, lost = open_shards(folder).set_aside(reader())
    assert len(usable) == sum(usable.ends[-1:]) <= 93 and usable.kept[2].tolist() == []
    assert lost[lost.image == str(store.files[2])].reason.tolist() == ["its shard is damaged"] * 10
    mended = write_shards(in_twenties(), folder, 10, "numbers")
    assert numbers_in(epoch(mended)) == list(range(103))


def test_fit_goes_on_without_a_damaged_shard_and_says_so(tmp_path):
    store = write_shards([bars(32)], tmp_path / "s", 8)
    damage(store.files[1], "flipped")
    recipe = dataclasses.replace(RECIPE, epochs=1, batch_size=8)
    with pytest.warns(UserWarning, match="shard-00001.tar"):
        history = fit(reader(), open_shards(tmp_path / "s"), bars(8, seed=1), recipe, tmp_path / "run")
    assert np.isfinite(history.train_loss.iloc[0])
    assert "its shard is damaged" in (tmp_path / "run" / "set_aside.csv").read_text()


def test_shards_are_written_again_only_where_the_source_has_changed(samples, tmp_path, monkeypatch):
    packings = []
    monkeypatch.setattr("ocrkit.data.store.pack", lambda part, *a: packings.append(len(part)) or pack(part, *a))

    def packed(table=samples):
        return packed_shards(table, tmp_path / "s", (8, 16), per_shard=2)

    packed()
    packed()
    assert packings == [7]
    other = samples.assign(text=["1", "22", "", "y", "皖", "NA", " 7"])
    assert packed(other).__getitems__([3])[1] == ["y"]
    Image.new("RGB", (30, 30)).save(samples.image[6])
    packed(other)
    assert packings == [7] * 3
    assert len(packed(other.head(4))) == 4 and len(list((tmp_path / "s").glob("*.tar"))) == 2
    before = write_shards([numbered(5)], tmp_path / "t").files[0].stat().st_mtime_ns
    assert write_shards([numbered(5)], tmp_path / "t").files[0].stat().st_mtime_ns > before, "no source was given"


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_shards import numbered, write_shards
def packs():
    yield numbered(30)
    os.kill(os.getpid(), signal.SIGKILL)
write_shards(packs(), {folder!r}, 10, "more numbers")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_writer_leaves_the_old_set(store, request):
    folder = store.files[0].parent
    code = KILLED.format(tests=str(request.path.parent), folder=str(folder))
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    assert numbers_in(epoch(open_shards(folder))) == list(range(103))


def test_what_cannot_be_written_or_opened(store, samples, tmp_path):
    with pytest.raises(ShardError, match="none holds no shards .*FileNotFoundError.*: write them with packed_shards"):
        open_shards(tmp_path / "none")
    with pytest.raises(ValueError, match="window=0"):
        open_shards(store.files[0].parent, window=0)
    with pytest.raises(ValueError, match="cannot be written together.*\\(1, 4, 8\\), \\(1, 4, 9\\)"):
        write_shards([numbered(3), numbered(3, size=(4, 9))], tmp_path / "t")
    with pytest.raises(ValueError, match="u: no pack came"):
        write_shards([], tmp_path / "u")
    with pytest.raises(ValueError, match="no image to write"):
        packed_shards(samples[:0], tmp_path / "v")
    with pytest.raises(TypeError, match="Shards cannot be joined with other packs: write all sets into one folder"):
        Mixed([store, numbered(3)])
    assert not (tmp_path / "t").exists()
    with pytest.raises(ShardError, match="holds other files, which would be lost: give the shards a folder"):
        write_shards([numbered(3)], tmp_path)


def test_shards_of_the_older_format_are_refused(tmp_path, samples):
    (tmp_path / "shards.json").write_text('{"format": "ocrkit shards 1", "done": true, "shards": []}')
    for action in (open_shards, lambda folder: packed_shards(samples, folder), lambda f: write_shards([], f)):
        with pytest.raises(ShardError, match="holds shards of an older ocrkit .*delete it and write the set again"):
            action(tmp_path)


def test_webdataset_is_asked_for_when_shards_are_used_and_only_then(store, tmp_path, monkeypatch):
    code = "import sys, ocrkit as ok; ok.fit, ok.open_shards; assert 'webdataset' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "webdataset", None)
    for action in (lambda: write_shards([numbered(3)], tmp_path / "t"), lambda: epoch(store)):
        with pytest.raises(RuntimeError, match=r"pip install webdataset.*\[scale\]"):
            action()


MEMORY = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_shards import TOKENIZER, numbered, write_shards, shard_batches
from tools.benchmarks.streaming import resident
packs = (numbered(1000, i, (32, 64)) for i in range(0, 20_000, 1000))
store = write_shards(packs, {folder!r}, 1000)
seen, held = 0, []
for batch in shard_batches(store, TOKENIZER, 100, 0, 0):
    seen += len(batch.texts)
    held.append(resident())
print(seen, max(held) - max(held[:40]), sum(file.stat().st_size for file in store.files))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_is_flat_after_the_first_window(tmp_path, request):
    tests = request.path.parent
    code = MEMORY.format(tests=str(tests), root=str(tests.parent.parent), folder=str(tmp_path / "s"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen, grown, size = map(int, done.stdout.split())
    assert seen == 20_000 and size > 20e6
    # The first window, four of the twenty shards, is 4,000 records; what follows takes its place.
    assert grown < size / 10


def test_shards_travel_to_workers_and_give_single_records(tmp_path):
    store = write_shards([bars(32)], tmp_path / "s", 8)
    image, text = pickle.loads(pickle.dumps(store))[9]
    assert text == store[9][1] and torch.equal(image, store[9][0]) and image.shape == store.shape
    with pytest.raises(ValueError, match="per_shard=0: a shard needs at least 1 record"):
        write_shards([bars(8)], tmp_path / "t", 0)
    for content in (b"[1]", b"\xff\xfe", b"{"):
        (tmp_path / "s" / "store.json").write_bytes(content)
        with pytest.raises(ShardError, match="holds no shards"):
            open_shards(tmp_path / "s")


def test_a_set_of_damaged_shards_ends_the_search_of_a_rate(tmp_path):
    store = write_shards([bars(16)], tmp_path / "s", 8)
    for file in store.files:
        damage(file, "flipped")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no batch came: is every shard damaged"):
        lr_find(reader(), store, dataclasses.replace(RECIPE, batch_size=8), steps=3)
