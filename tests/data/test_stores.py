import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ocrkit.data.packed import pack
from ocrkit.data.store import StoreError, open_store, packed_store
from ocrkit.synth import render_plates
from ocrkit.synth.store import RENDERERS, rendered_store, renderer_code


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (20, 50 + i, 3), dtype=np.uint8)).save(path)
    texts = ["A", "007", "", "皖A25V59", "B"]
    return pd.DataFrame(
        {"image": [str(p) for p in paths], "text": texts, "split": "train", "number": range(5)}, index=[3, 1, 4, 10, 5]
    )


@pytest.fixture
def packings(monkeypatch):
    """The calls of `pack` that a store makes."""
    calls = []
    monkeypatch.setattr("ocrkit.data.store.pack", lambda *a: calls.append(len(a[0])) or pack(*a))
    return calls


def test_a_store_gives_what_pack_gives(samples, tmp_path, monkeypatch, packings):
    monkeypatch.setattr("ocrkit.data.store.CHUNK", 2)
    (tmp_path / "3.png").write_bytes(b"no image")
    for mode in ("RGB", "L"):
        kept, plain = packed_store(samples, tmp_path / mode, (8, 16), mode), pack(samples, (8, 16), mode)
        assert torch.equal(kept.images, plain.images) and kept.widths == plain.widths and kept.texts == plain.texts
        pd.testing.assert_frame_equal(kept.samples, plain.samples)
        assert kept.rejected.reason.tolist() == plain.rejected.reason.tolist() and kept.rejected.index.tolist() == [10]
    assert packings == [2, 2, 1] * 2


def test_images_are_decoded_once_until_the_source_changes(samples, tmp_path, packings):
    store = tmp_path / "store"
    packed_store(samples, store, (8, 16))
    packed_store(samples, store, (8, 16))
    assert packings == [5]
    packed_store(samples.assign(text="C"), store, (8, 16))
    packed_store(samples.assign(text="C"), store, (8, 12))
    packed_store(samples.assign(text="C"), store, (8, 12), "L")
    assert packings == [5] * 4
    Image.new("RGB", (30, 30)).save(samples.image.iloc[0])
    changed = packed_store(samples.assign(text="C"), store, (8, 12), "L")
    assert len(packings) == 5 and not changed.images[0].any()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["store"], "a working folder was left behind"


def test_a_new_store_that_fails_leaves_the_old_one(samples, tmp_path, monkeypatch):
    store = tmp_path / "store"
    before = packed_store(samples, store, (8, 16)).images.clone()

    def disk_is_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ocrkit.data.store.pack", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        packed_store(samples.assign(text="C"), store, (8, 16))
    assert torch.equal(open_store(store).images, before)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["store"]


@pytest.mark.parametrize("name", ["images.npy", "samples.json"])
@pytest.mark.parametrize("fault", ["flipped", "cut", "gone"])
def test_damage_is_named_and_repaired(samples, tmp_path, capsys, name, fault):
    store = tmp_path / "store"
    whole = packed_store(samples, store, (8, 16)).images.clone()
    data = bytearray((store / name).read_bytes())
    data[-3] ^= 1
    if fault == "gone":
        (store / name).unlink()
    else:
        (store / name).write_bytes(data if fault == "flipped" else data[:-7])
    with pytest.raises(StoreError, match=f"{name} is missing or damaged; delete the folder"):
        open_store(store)
    assert torch.equal(packed_store(samples, store, (8, 16)).images, whole)
    assert f"{name} is missing or damaged" in capsys.readouterr().out
    assert torch.equal(open_store(store).images, whole)


def test_a_write_to_the_images_never_reaches_the_file(samples, tmp_path):
    images = packed_store(samples, tmp_path / "store", (8, 16)).images
    before = images.clone()
    images.zero_()
    assert torch.equal(open_store(tmp_path / "store").images, before)


def test_other_folders_and_versions_are_no_stores(samples, tmp_path):
    with pytest.raises(StoreError, match="no packed store"):
        open_store(tmp_path)
    store = tmp_path / "store"
    packed_store(samples, store, (8, 16))
    facts = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(facts | {"format": "ocrkit store 0"}))
    with pytest.raises(StoreError, match="ocrkit store 1"):
        open_store(store)
    (store / "store.json").write_text("{")
    with pytest.raises(StoreError, match="no packed store"):
        open_store(store)


def test_a_store_moves_with_its_folder(samples, tmp_path):
    packed_store(samples, tmp_path / "store", (8, 16))
    shutil.move(tmp_path / "store", tmp_path / "elsewhere")
    assert open_store(tmp_path / "elsewhere").texts == samples.text.tolist()


def test_nothing_to_pack_is_refused(samples, tmp_path):
    with pytest.raises(ValueError, match="empty"):
        packed_store(samples[:0], tmp_path / "store")


def test_rendered_plates_are_those_of_render_plates(tmp_path, monkeypatch):
    monkeypatch.setattr("ocrkit.synth.store.CHUNK", 7)
    kept = rendered_store(10, 4, tmp_path / "store", (16, 64))
    images, table = render_plates(10, 4, (16, 64))
    assert np.array_equal(kept.images.permute(0, 2, 3, 1), images) and kept.texts == table.text.tolist()
    monkeypatch.setitem(RENDERERS, "plates", None)  # it must not be called again
    assert rendered_store(10, 4, tmp_path / "store", (16, 64)).texts == kept.texts
    with pytest.raises(TypeError):
        rendered_store(10, 5, tmp_path / "store", (16, 64))


def test_a_table_may_hold_images_and_corners(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (20, 60, 3), dtype=np.uint8)
    corners = np.array([[5, 5], [50, 5], [50, 15], [5, 15]])
    table = pd.DataFrame({"image": [image], "corners": [corners], "text": ["A"]})
    first = packed_store(table, tmp_path / "store", (8, 16))
    assert torch.equal(first.images, pack(table, (8, 16)).images)
    other = table.assign(image=[255 - image])
    assert torch.equal(packed_store(other, tmp_path / "store", (8, 16)).images, pack(other, (8, 16)).images)


@pytest.mark.parametrize("index", [[0, 0, 1], list("aab"), pd.MultiIndex.from_tuples([(1, "x"), (1, "x"), (2, "y")])])
def test_the_index_of_the_rows_comes_back(samples, tmp_path, index):
    samples = samples.head(3).set_axis(index)
    packed = packed_store(samples, tmp_path / "store", (8, 16))
    wanted = pack(samples, (8, 16))
    assert packed.samples.index.tolist() == wanted.samples.index.tolist()
    assert packed.rejected.index.tolist() == wanted.rejected.index.tolist()
    assert packed.samples.index.nlevels == samples.index.nlevels


def test_a_pattern_that_fits_no_renderer_is_refused():
    assert len(renderer_code("plates*.*")) >= 2  # the code and its atlas
    with pytest.raises(ValueError, match="no file of ocrkit.synth fits 'plats"):
        renderer_code("plats*.*")
