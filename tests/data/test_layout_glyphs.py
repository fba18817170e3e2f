"""Single characters: a folder a class, and Hoda's `.cdb` files, made up here byte by byte."""

import json
import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.__main__ import main
from ocrkit.data.layouts import hoda
from ocrkit.data.samples import load_samples


@pytest.fixture
def put(tmp_path):
    def write(*names):
        for k, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                Image.new("L", (50, 90), k % 200).save(path)
            else:
                path.write_bytes(b"junk")
        return tmp_path

    return write


def cdb(path, glyphs, gray=False, size=(0, 0)):
    """Write a `.cdb` file of (image, label) pairs as the format says; dark pixels are ink."""
    counts = Counter(label for _, label in glyphs)
    head = struct.pack("<HBBBBI", 2005, 9, 6, *size, len(glyphs))
    head += struct.pack("<128I", *(counts[c] for c in range(128))) + bytes([gray]) + bytes(256 + 245)
    records = []
    for image, label in glyphs:
        body = image.tobytes() if gray else b"".join(map(runs, image))
        shape = b"" if all(size) else bytes([image.shape[1], image.shape[0]])
        records.append(bytes([255, label]) + shape + struct.pack("<H", len(body)) + body)
    path.write_bytes(head + b"".join(records))
    return path


def runs(row):
    lengths, white = [0], True
    for pixel in row:
        if (pixel == 255) != white:
            lengths, white = [*lengths, 0], not white
        lengths[-1] += 1
    return bytes(lengths)


@pytest.fixture(scope="module")
def glyphs():
    rng = np.random.default_rng(0)
    shapes = [(7, 5), (9, 1), (1, 6), (12, 12)] * 5
    return [(np.where(rng.random(shape) < 0.5, 0, 255).astype(np.uint8), k % 10) for k, shape in enumerate(shapes)]


# --- folders of classes ---


def test_folders_are_classes(put):
    samples = load_samples(put("train/Date/1.png", "valid/Date/2.png", "train/7/1.png", "test/-/3.png"))
    assert list(samples.columns) == ["image", "text", "split", "glyph_file"]
    assert dict(zip(samples["text"] + " " + samples["split"], samples["glyph_file"])) == {
        "Date train": "1.png", "Date valid": "2.png", "7 train": "1.png", "- test": "3.png"
    }  # fmt: skip
    assert all(os.path.isfile(p) for p in samples["image"])


def test_a_set_without_splits_is_split_by_file_so_each_class_is_in_each_split(put):
    samples = load_samples(put(*[f"{c}/{k}.png" for c in "ab" for k in range(40)]))
    assert (samples.groupby("text")["split"].nunique() == 3).all()
    assert (samples.groupby("glyph_file")["split"].nunique() == 1).all()


def test_junk_is_skipped_and_strays_are_reported(put):
    names = [f"train/{c}/{k}.png" for c in "abc" for k in range(10)]
    junk = ["train/.DS_Store", "train/a/.DS_Store", "train/a/._1.png", "__MACOSX/train/a/1.png"]
    samples = load_samples(put(*names, *junk, "train/stray.png", "train/a/notes.txt"))
    assert len(samples) == 32
    odd = samples[samples["problem"] != ""]
    assert set(odd["problem"]) == {"lies in no class folder: [split/]CLASS/file", "not an image file"}
    assert (odd["text"] == "").all()


@pytest.mark.parametrize(
    "names",
    [["a/1.png", "a/2.png"], ["1.png", "2.png"], ["train/1.png", "test/2.png"], ["x/y/1.png", "x/z/2.png"],
     ["a/1.png", "b/1.png", "1.png"]],
)  # fmt: skip
def test_other_folders_are_no_classes(put, names):
    with pytest.raises(ValueError, match="(?s)layout of .* is not known.*glyphs: "):
        load_samples(put(*names))


def test_other_layouts_go_first(put):
    assert load_samples(put("a/1-皖A25V59.png", "b/1-皖A25V58.png"))["text"].tolist() == ["皖A25V59", "皖A25V58"]


def test_lint_takes_classes_in_two_splits_for_granted(put, capsys):
    found = ok.lint(load_samples(put("train/a/1.png", "test/a/2.png", "train/b/3.png", "test/b/4.png")))
    assert "same text in two splits" not in set(found["check"])


# --- Hoda ---


@pytest.mark.parametrize("form", ["runs", "gray", "one size"])
def test_cdb_round_trip(tmp_path, glyphs, form):
    if form == "one size":
        glyphs = [(image, label) for image, label in glyphs if image.shape == (7, 5)]
    path = cdb(tmp_path / "x.cdb", glyphs, gray=form == "gray", size=(7, 5) if form == "one size" else (0, 0))
    read = list(hoda.read_cdb(path))
    assert [glyph.label for glyph in read] == [label for _, label in glyphs]
    for glyph, (image, _) in zip(read, glyphs, strict=True):
        np.testing.assert_array_equal(glyph.image, image)


def test_cdb_as_samples(tmp_path, glyphs):
    folder = tmp_path / "hoda"
    folder.mkdir()
    cdb(folder / "Train 60000.cdb", glyphs)
    cdb(folder / "Test 20000.cdb", glyphs[:6])
    samples = load_samples(folder)
    assert samples["split"].value_counts().to_dict() == {"train": 20, "test": 6}
    assert samples["text"].tolist()[:3] == ["0", "1", "2"] and samples["glyph_file"][0] == "Test 20000.cdb#1"
    np.testing.assert_array_equal(samples["image"][1], glyphs[1][0])
    alone = load_samples(folder / "Train 60000.cdb")
    assert set(alone["split"]) == {"train"} and len(ok.pack(alone, (32, 32), "L")) == 20
    with pytest.raises(ValueError, match="images in memory"):
        ok.lint(samples)


def test_a_damaged_cdb_gives_what_stands_before_the_damage(tmp_path, glyphs):
    path = cdb(tmp_path / "x.cdb", glyphs)
    path.write_bytes(path.read_bytes()[:-5])
    samples = load_samples(path)
    assert len(samples) == 20 and (samples["text"] != "").sum() == 19
    assert "damaged at record 20 of 20" in samples["problem"].iloc[-1]
    assert "ends in the middle" in samples["problem"].iloc[-1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:500], "has 500 bytes, the header alone has 1024"),
        (lambda data: b"\x89PNG" * 600, "no date, kind of image and counts that add up"),
        (lambda data: data[:1024] + b"\x07" + data[1025:], "damaged at record 1 of 20.*begins with 7, not 255"),
        (lambda data: data[:1026] + b"\x00" + data[1027:], "record 1.*no pixels"),
        (lambda data: data[:1030] + b"\x63" + data[1031:], "record 1.*do not fill 7 rows of 5"),
        (lambda data: data[:1024], "damaged at record 1 of 20"),
    ],
)
def test_a_file_that_is_no_cdb(tmp_path, glyphs, change, words):
    path = cdb(tmp_path / "x.cdb", glyphs)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=words):
        list(hoda.read_cdb(path))


def test_evaluate_on_a_cdb_names_images_by_their_number(tmp_path, glyphs, capsys):
    reader = ok.GlyphClassifier.create(list("0123456789"), "resnet18-short", (32, 32), "L", "ink", device="cpu")
    path = cdb(tmp_path / "x.cdb", glyphs)
    path.write_bytes(path.read_bytes()[:-5])
    out = tmp_path / "results.csv"
    assert main(["evaluate", str(reader.save(tmp_path / "model")), str(path), "--json", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert json.loads(printed)["n"] == 19 and "damaged at record 20" in err
    assert pd.read_csv(out)["image"].tolist() == [f"x.cdb#{k}" for k in range(1, 20)]


def test_cdb_as_files(tmp_path, glyphs):
    folder = tmp_path / "images"
    for number, (image, label) in enumerate(hoda.read_cdb(cdb(tmp_path / "x.cdb", glyphs)), start=1):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{number:06d}.png")
    samples = load_samples(folder)
    assert len(samples) == 20 and set(samples["text"]) == set("0123456789")
    row = samples[samples["glyph_file"] == "000004.png"].iloc[0]
    np.testing.assert_array_equal(ok.read_image(row["image"], "L"), glyphs[3][0])


# --- the real sets ---

real = pytest.mark.skipif("OCRKIT_REAL_DATA" not in os.environ, reason="OCRKIT_REAL_DATA names no folder of real sets")


@real
def test_real_hoda_has_the_counts_of_its_header():
    path = Path(os.environ["OCRKIT_REAL_DATA"]) / "hoda" / "RemainingSamples.cdb"
    counts = struct.unpack_from("<10I", path.read_bytes(), 10)
    samples = load_samples(path)
    assert len(samples) == 22_352 and "problem" not in samples
    assert samples["text"].value_counts().sort_index().tolist() == list(counts)
    assert set(samples["split"]) == {"train", "valid", "test"}  # the file's name says nothing about a split


@real
def test_real_letters_are_43_classes():
    samples = load_samples(Path(os.environ["OCRKIT_REAL_DATA"]) / "persian_printed" / "dev")
    assert (len(samples), samples["text"].nunique()) == (1586, 43)
    assert "problem" not in samples
    # Classes of a few images may miss a split; split by text, each class would be in one.
    assert (samples.groupby("text")["split"].nunique() == 3).sum() > 25
