import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ocrkit.data.batches import collate, loader, set_epoch
from ocrkit.data.packed import Mixed, concatenate, pack, pack_arrays
from ocrkit.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer("ABC")


def table(texts, images=None):
    return pd.DataFrame({"image": images or [f"{i}.png" for i in range(len(texts))], "text": texts, "split": "train"})


def arrays(n, size=(8, 16)):
    return np.random.default_rng(0).integers(0, 256, (n, *size, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        Image.fromarray(arrays(1, (20, 50 + 10 * i))[0]).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:60])
    return tmp_path


def test_a_corrupt_file_is_set_aside_and_named(folder):
    paths = [str(folder / f"{i}.png") for i in range(4)] + [str(folder / "none.png")]
    packed = pack(table(["A", "B", "C", "AB", "AC"], paths), (8, 16))
    assert packed.texts == ["A", "B", "AB"]
    assert packed.images.shape == (3, 3, 8, 16) and packed.images.dtype == torch.uint8
    assert packed.widths == [50, 60, 80]
    assert packed.rejected.image.tolist() == [paths[2], paths[4]]
    assert all(packed.rejected.reason)


def test_grey_mode(folder):
    assert pack(table(["A"], [str(folder / "0.png")]), (8, 16), "L").images.shape == (1, 1, 8, 16)


def test_arrays_keep_their_pixels():
    images = arrays(3)
    packed = pack_arrays(images, table(["A", "B", "C"]))
    assert np.array_equal(packed.images.permute(0, 2, 3, 1).numpy(), images)
    with pytest.raises(ValueError, match="3 images, 2 samples"):
        pack_arrays(images, table(["A", "B"]))


def test_collate_pads_with_pad():
    packed = pack_arrays(arrays(3), table(["A", "ABC", "BB"]))
    one_by_one = collate([packed[i] for i in range(3)], TOKENIZER)
    at_once = collate(packed.__getitems__([0, 1, 2]), TOKENIZER)
    for batch in (one_by_one, at_once):
        assert batch.targets.tolist() == [[3, 2, 2], [3, 4, 5], [4, 4, 2]]
        assert batch.lengths.tolist() == [1, 3, 2]
        assert torch.equal(batch.images, packed.images)


def test_order_depends_on_seed_and_epoch_only():
    packed = pack_arrays(arrays(20), table(list("ABCAB") * 4).assign(number=range(20)))

    def seen(seed, epoch):
        batches = loader(packed, TOKENIZER, 6, seed)
        set_epoch(batches, epoch)
        return torch.cat([b.images for b in batches])

    assert torch.equal(seen(1, 0), seen(1, 0))
    assert not torch.equal(seen(1, 0), seen(1, 1))
    assert not torch.equal(seen(1, 0), seen(2, 0))
    key = lambda images: sorted(images.flatten(1).sum(1).tolist())  # noqa: E731
    assert key(seen(1, 0)) == key(packed.images)


def test_no_seed_keeps_the_order():
    packed = pack_arrays(arrays(5), table(list("ABCAB")))
    assert [t for b in loader(packed, TOKENIZER, 2) for t in b.texts] == list("ABCAB")


def test_concatenate_copies_in_order():
    a, b = pack_arrays(arrays(2), table(["A", "B"])), pack_arrays(arrays(3)[2:], table(["C"]))
    joined = concatenate([a, b])
    assert joined.texts == ["A", "B", "C"] and len(joined.widths) == 3
    assert torch.equal(joined.images, pack_arrays(arrays(3), table(["A", "B", "C"])).images)


def test_mixed_packs_deal_out_what_lies_in_them_without_a_copy():
    a, b = pack_arrays(arrays(2), table(["A", "B"])), pack_arrays(arrays(5)[2:], table(["C", "AA", "BB"]))
    mixed = Mixed([a, b], [1, 2])
    assert len(mixed) == 8 and mixed.parts[1] is b
    texts = ["A", "B", "C", "AA", "BB", "C", "AA", "BB"]
    assert [mixed[i][1] for i in range(8)] == texts
    order = [7, 0, 5, 1, 2, 7]
    images, some = mixed.__getitems__(order)
    assert some == [texts[i] for i in order]
    assert torch.equal(images, torch.stack([mixed[i][0] for i in order]))
    assert torch.equal(mixed[5][0], b.images[0])
    batches = list(loader(mixed, TOKENIZER, 3, seed=1))
    assert sorted(t for batch in batches for t in batch.texts) == sorted(texts)


@pytest.mark.parametrize("join", [concatenate, Mixed])
def test_images_of_different_sizes_cannot_be_joined(join):
    with pytest.raises(ValueError, match="cannot be joined"):
        join([pack_arrays(arrays(2), table(["A", "B"])), pack_arrays(arrays(1, (9, 9)), table(["C"]))])


def test_keep():
    packed = pack_arrays(arrays(3), table(["A", "B", "C"])).keep([True, False, True])
    assert packed.texts == ["A", "C"] and len(packed.images) == len(packed.widths) == 2
