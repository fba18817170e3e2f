import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ocrkit.errors.suspects import label_losses
from ocrkit.reader.crnn import CRNN
from ocrkit.reader.recognizer import Recognizer
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def reader():
    return Recognizer.create("digits", image_size=(32, 64), device="cpu")


@pytest.fixture
def saved(reader, tmp_path):
    return reader.save(tmp_path / "model")


def image(width=100, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (30, width, 3), dtype=np.uint8)


def test_save_and_load_give_the_same_readings(reader, saved):
    again = Recognizer.load(saved, device="cpu")
    pixels = torch.randint(0, 256, (5, 3, 32, 64), dtype=torch.uint8)
    assert torch.equal(again.logits(pixels), reader.logits(pixels))
    assert again.tokenizer == reader.tokenizer and again.image_size == (32, 64)
    assert repr(again) == repr(reader)


def test_the_same_model_gives_the_same_bytes(reader, saved, tmp_path):
    for i in range(8):
        again = reader.save(tmp_path / str(i))
        assert (again / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()


def test_half_precision_is_half_the_size(reader, saved, tmp_path):
    half = reader.save(tmp_path / "half", half=True)
    size = lambda folder: (folder / "model.safetensors").stat().st_size  # noqa: E731
    assert size(half) < 0.55 * size(saved)
    pixels = torch.randint(0, 256, (5, 3, 32, 64), dtype=torch.uint8)
    near = Recognizer.load(half, device="cpu").logits(pixels)
    assert near.dtype == torch.float32
    assert torch.allclose(near, reader.logits(pixels), atol=0.02)


def test_batch_size_does_not_change_logits(reader):
    pixels = torch.randint(0, 256, (7, 3, 32, 64), dtype=torch.uint8)
    assert torch.allclose(reader.logits(pixels, 2), reader.logits(pixels, 64), atol=1e-5)
    assert reader.logits(pixels[:0]).shape == (reader.model.time_steps, 0, 13)


def test_results_table(reader, tmp_path):
    for i in range(3):
        Image.fromarray(image(100 + i)).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"")
    samples = pd.DataFrame(
        {"image": [str(tmp_path / f"{i}.png") for i in range(3)], "text": ["123", "4", ""], "writer": [7, 8, 9]},
        index=[5, 6, 7],
    )
    results = reader.read(samples)
    assert results.index.tolist() == [5, 6, 7] and results.writer.tolist() == [7, 8, 9]
    assert results.error.ne("").tolist() == [False, True, False]
    assert (results.prediction[6], results.confidence[6], results.spans[6]) == ("", 0.0, [])
    assert results.distance.tolist() == [len(o) for o in results.operations]
    for row in results.itertuples():
        assert "".join(s.text for s in row.spans) == row.prediction
        assert 0 <= row.confidence <= 1
        assert all(0 <= s.start < s.end <= 102 for s in row.spans)


def test_reads_paths_and_arrays(reader, tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.png")
    by_path = reader.read(tmp_path / "a.png")
    by_array = reader.read([image()])
    assert by_path.prediction.tolist() == by_array.prediction.tolist()
    assert "distance" not in by_path
    assert len(reader.read([])) == 0


def test_read_leaves_training_mode_as_it_was(reader):
    reader.model.train()
    reader.read(image())
    assert reader.model.training
    reader.model.eval()


@pytest.mark.parametrize(
    ("samples", "error", "words"),
    [
        (pd.DataFrame({"file": ["a"]}), ValueError, "no column 'image'"),
        (17, TypeError, "samples table, paths or uint8 arrays"),
        ("nowhere.png", ValueError, "nowhere.png"),
        (np.zeros((4, 4), dtype=np.float32), ValueError, "uint8"),
    ],
)
def test_bad_input(reader, samples, error, words):
    with pytest.raises(error, match=words):
        reader.read(samples)


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match="20 classes and the tokenizer 13"):
        Recognizer(CRNN(20), Tokenizer("0123456789"))
    with pytest.raises(ValueError, match='"RGB" has 3'):
        Recognizer(CRNN(13), Tokenizer("0123456789"), mode="L")


def rewrite_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config = {k: v for k, v in (config | changes).items() if v is not None}
    (folder / "config.json").write_text(json.dumps(config))


def swap_alphabet(folder):
    rewrite_config(folder, alphabet="1023456789")


def other_backbone(folder):
    rewrite_config(folder, backbone="vgg")


def cut_weights(folder):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500])


def pickle_weights(folder):
    torch.save({"a": torch.zeros(3)}, folder / "model.safetensors")


def fewer_weights(folder):
    from safetensors import safe_open

    path = folder / "model.safetensors"
    with safe_open(path, "pt") as file:
        meta = file.metadata()
    weights = load_file(path)
    weights.pop("classifier.1.bias")
    save_file(weights, path, meta)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (swap_alphabet, "different alphabets"),
        (other_backbone, "does not fit"),
        (cut_weights, "damaged"),
        (pickle_weights, "no safetensors file"),
        (fewer_weights, "classifier.1.bias"),
        (lambda f: rewrite_config(f, format="ocrkit recognizer 9"), "recognizer 9"),
        (lambda f: rewrite_config(f, mode=None), "lacks mode"),
        (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "format 'list'"),
    ],
)
def test_load_refuses_what_does_not_belong_together(saved, spoil, words):
    spoil(saved)
    with pytest.raises(ValueError, match=words):
        Recognizer.load(saved)


def test_load_names_what_is_missing(saved, tmp_path):
    (saved / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors is missing"):
        Recognizer.load(saved)
    with pytest.raises(FileNotFoundError, match="shipped name"):
        Recognizer.load("no such model")
    with pytest.raises(FileNotFoundError, match="has no config.json"):
        Recognizer.load(tmp_path)


def table(n, unreadable):
    images = [f"/nowhere/{i}.png" if i in unreadable else image(60 + i, i) for i in range(n)]
    return pd.DataFrame(
        {"image": pd.Series(images, dtype=object), "text": [str(i) for i in range(n)], "number": range(n)}
    )


INDEXES = {
    "in order": range(6),
    "shuffled": [4, 0, 5, 2, 1, 3],
    "doubled": [0, 1, 2, 0, 1, 2],
    "strings": list("abcabb"),
    "levels": pd.MultiIndex.from_product([["x", "y"], [7, 7, 8]], names=["writer", "page"]),
}


@pytest.mark.parametrize("unreadable", [(), (1,), (0, 3, 5), range(6)], ids=["none", "one", "some", "all"])
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("kind", ["line", "glyph"])
def test_one_row_in_one_row_out(reader, kind, index, unreadable):
    if kind == "glyph":
        reader = GlyphClassifier.create("0123456789", "resnet18-short", (32, 32), "L", device="cpu")
    samples = table(6, unreadable).set_axis(index)
    results = reader.read(samples)
    pd.testing.assert_index_equal(results.index, samples.index)
    pd.testing.assert_frame_equal(results[["image", "text", "number"]], samples)
    assert [bool(e) for e in results["error"]] == [i in unreadable for i in range(6)]
    for i, row in enumerate(results.itertuples()):
        alone = "" if i in unreadable else reader.read(row.image)["prediction"][0]
        assert row.prediction == alone
        assert row.distance == len(row.operations)
    # What was read may be read again; its own columns do not get in the way.
    again = reader.read(results)
    assert again["error"].tolist() == results["error"].tolist() and list(again) == list(results)
    pd.testing.assert_index_equal(again.index, samples.index)


def test_rows_of_two_tables_do_not_multiply(reader):
    both = pd.concat([table(3, {1}), table(3, ())])
    assert both.index.tolist() == [0, 1, 2, 0, 1, 2]
    results = reader.read(both)
    assert len(results) == 6 and results["error"].ne("").sum() == 1
    packed = reader.pack(both)
    assert packed.samples.index.tolist() == reader.read(packed).index.tolist() == [0, 2, 0, 1, 2]
    assert label_losses(reader, both).isna().tolist() == [False, True, False, False, False, False]
    empty = reader.read(both.head(0))
    assert len(empty) == 0 and {"prediction", "error", "distance"} <= set(empty)


def test_a_missing_label_is_no_label(reader):
    samples = table(3, {2}).assign(text=["1", np.nan, None])
    results = reader.read(samples)
    assert results["distance"].tolist() == [len(o) for o in results["operations"]]
    assert results["distance"].tolist()[1:] == [len(results["prediction"][1]), 0]
