"""lint names what is wrong with a data set, and stops at nothing."""

import os
import shutil
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrkit.data.duplicates import NEARLY, near_pairs, thumbnail
from ocrkit.data.images import read_image
from ocrkit.data.lint import CHECKS, COLUMNS, lint
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.text.tokenizer import Tokenizer


@pytest.fixture
def draw(tmp_path):
    """Save a smooth random picture (a new one for each seed) and return its path."""

    def save(name, seed=None, size=(24, 94), **options):
        noise = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed).integers(0, 256, (6, 18))
        path = tmp_path / name
        image = Image.fromarray(noise.astype(np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
        image.save(path, **options)
        return str(path)

    return save


def table(*rows, **columns):
    samples = pd.DataFrame(rows, columns=["image", "text", "split"])
    return samples.assign(**columns)


def checks(findings):
    return findings["check"].tolist()


def test_a_clean_set(draw, capsys):
    samples = table((draw("a.png"), "皖A25V59", "train"), (draw("b.png"), "皖A25V58", "test"))
    findings = lint(samples, Tokenizer.from_name("plates"), 32)
    assert findings.empty and list(findings.columns) == COLUMNS
    assert capsys.readouterr().out == "lint: 2 samples, nothing found\n"


@pytest.mark.parametrize(
    ("make", "check", "words"),
    [
        (lambda p: p.unlink(), "missing image", "no such file"),
        (lambda p: p.write_bytes(b""), "unreadable image", "empty (0 bytes)"),
        (lambda p: p.write_text("<html>"), "unreadable image", "not an image"),
        (lambda p: p.write_bytes(p.read_bytes()[:400]), "truncated image", "truncated"),
        (lambda p: Image.new("L", (50, 7)).save(p), "tiny image", "50 x 7 px"),
    ],
    ids=["missing", "empty", "html", "truncated", "tiny"],
)
def test_bad_images_are_set_aside_and_named(draw, capsys, make, check, words):
    bad = Path(draw("bad.jpg", size=(60, 160)))
    make(bad)
    findings = lint(table((str(bad), "x", "train"), (draw("good.png"), "y", "train")))
    (row,) = findings.itertuples()
    assert (row.check, row.level, row.image, row.text, row.split) == (check, CHECKS[check], str(bad), "x", "train")
    assert words in row.detail
    printed = capsys.readouterr().out
    assert check in printed and f"bad.jpg: {row.detail}"[:60] in printed


@pytest.mark.parametrize(
    ("text", "check", "words"),
    [
        ("", "empty label", "empty"),
        ("  ", "empty label", "empty"),
        ("皖A·25V59", "not in the alphabet", "'·' (U+00B7)"),
        ("皖A 25V59", "not in the alphabet", "' ' (U+0020)"),
        (" 皖A25V59", "label with outer spaces", "' 皖A25V59'"),
        ("皖A1111111", "label too long", "needs 15 time steps, the model has 14"),
    ],
)
def test_bad_labels(draw, text, check, words):
    findings = lint(table((draw("a.png"), text, "train")), Tokenizer.from_name("plates"), 14)
    (row,) = findings[findings["check"] == check].itertuples()
    assert words in row.detail


def test_time_steps_count_the_blank_between_equal_neighbors(draw):
    samples = table((draw("a.png"), "aab", "train"))
    assert checks(lint(samples, time_steps=3)) == ["label too long"]
    assert checks(lint(samples, time_steps=4)) == []


def test_label_that_was_not_nfc_and_files_without_labels_come_from_load_samples(draw, tmp_path):
    raw = unicodedata.normalize("NFD", "é")
    draw("a.png"), draw("stray.png")
    (tmp_path / "w.csv").write_text(f"file_name,text\na.png,{raw}\ngone.png,x\n,y\n", encoding="utf-8")
    findings = lint(load_samples(tmp_path)).set_index("check")["detail"]
    assert "(U+0301)" in findings["label not NFC"] and "(U+00E9)" in findings["label not NFC"]
    assert "no such file" in findings["missing image"]
    assert sorted(findings["unusable file"]) == ["in no row of the CSV", "line 4 of w.csv has no file name"]


def test_plate_that_cannot_be(draw):
    samples = table((draw("a.png"), "皖A25", "train"), (draw("b.png"), "皖A25V59", "train"), kind=["", "standard"])
    (row,) = lint(samples).itertuples()
    assert (row.check, row.text) == ("no plate pattern", "皖A25")


def test_no_split(draw):
    findings = lint(table((draw("a.png"), "x", "train"), (draw("b.png"), "y", "")))
    assert checks(findings) == ["no split"]


def test_a_label_that_its_layout_spells_in_another_way(draw):
    names = [(draw("a.png"), "ZOE", "train"), (draw("b.png"), "LEO", "train"), (draw("c.png"), "EVA", "train")]
    findings = lint(table(*names, label_raw=["Zoé", " LEO", ""]), Tokenizer.from_name("names"))
    assert findings[["check", "level", "detail"]].values.tolist() == [
        ["label rewritten", "warning", "'Zoé' is stored as 'ZOE'"],
        ["label with outer spaces", "warning", "' LEO'"],
    ]


def test_unusable_files_are_counted_by_their_reason(draw, capsys):
    reasons = ["no label"] * 3 + ["no image"] * 2 + [f"line {i}" for i in range(5)]
    samples = table(*[(f"{i}.png", "", "") for i in range(10)], problem=reasons)
    assert checks(lint(samples)) == ["unusable file"] * 10
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:4]] == [["3", "no", "label"], ["2", "no", "image"]]
    assert lines[-1].split() == ["2", "for", "other", "reasons"] and len(lines) == 8


def test_forms_with_the_same_print_are_not_the_same_image(tmp_path):
    def form(name, text, left):
        picture = Image.new("L", (440, 40), 255)
        drawing = ImageDraw.Draw(picture)
        drawing.text((left, 0), "PRENOM", 0, ImageFont.load_default(14))
        for i, letter in enumerate(text):
            drawing.text((left + 20 * i, 21), letter, 0, ImageFont.load_default(14))
        picture.save(tmp_path / name, quality=90)
        return picture

    picture = form("a.jpg", "ELYCIA", 6)
    form("b.jpg", "AXELLE", 8)
    picture.resize((300, 27)).save(tmp_path / "c.jpg", quality=60)
    a, b, c = (str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg"))
    one, two = thumbnail(read_image(a, "L")), thumbnail(read_image(b, "L"))
    assert one.astype(float) @ two.astype(float) > NEARLY, "the thumbnails alone would take them for one"
    assert checks(lint(table((a, "ELYCIA", "train"), (b, "AXELLE", "test")))) == []
    again = lint(table((a, "ELYCIA", "train"), (c, "ELYCIA", "test")))
    assert "nearly same image in two splits" in checks(again)


# --- the same text or image more than once ---


def test_same_text_in_two_splits(draw):
    rows = [("a", "x", "train"), ("b", "x", "train"), ("c", "x", "test"), ("d", "y", "test"), ("e", "y", "test")]
    findings = lint(table(*[(draw(f"{n}.png"), t, s) for n, t, s in rows]))
    (row,) = findings.itertuples()
    assert (row.check, Path(row.image).name, row.detail) == (
        "same text in two splits",
        "c.png",
        "2 in train, 1 in test",
    )


def test_same_bytes(draw, tmp_path):
    first = draw("a.png")
    for name in ("b.png", "c.png", "d.png"):
        shutil.copy(first, tmp_path / name)
    b, c, d = (str(tmp_path / n) for n in ("b.png", "c.png", "d.png"))
    rows = [(first, "x", "train"), (b, "x", "train"), (c, "y", "train"), (d, "z", "test"), (first, "x", "train")]
    findings = lint(table(*rows))
    found = {(f.check, Path(f.image).name) for f in findings.itertuples()}
    assert found == {
        ("duplicate image", "b.png"),
        ("duplicate image", "c.png"),
        ("one image, two labels", "c.png"),
        ("one image, two labels", "d.png"),
        ("same image in two splits", "d.png"),
        ("listed twice", "a.png"),
    }
    two_labels = findings[findings["check"] == "one image, two labels"]["detail"]
    assert "a.png (train, label 'x', not 'y')" in two_labels.iloc[0]


def test_nearly_the_same_image_in_two_splits(draw):
    rows = [(draw(f"{i}.png", seed=i), f"t{i}", "train") for i in range(20)]
    rows += [(draw("again.jpg", seed=3, quality=40), "t3 wrong", "test"), (draw("new.png", seed=99), "n", "test")]
    (row,) = lint(table(*rows)).itertuples()
    assert (row.check, Path(row.image).name) == ("nearly same image in two splits", "again.jpg")
    assert "3.png (train, label 't3', not 't3 wrong')" in row.detail


def test_flat_images_are_not_taken_for_one_another(tmp_path):
    for name, color in (("a.png", 0), ("b.png", 200)):
        Image.new("L", (94, 24), color).save(tmp_path / name)
    samples = table((str(tmp_path / "a.png"), "x", "train"), (str(tmp_path / "b.png"), "y", "test"))
    assert lint(samples).empty


def test_near_pairs_finds_what_the_full_product_finds():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(300, 768))
    other = np.concatenate([rng.normal(size=(200, 768)), base[:150] + rng.normal(size=(150, 768)) * 0.3])

    def unit(x):
        x = x - x.mean(1, keepdims=True)
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)

    a, b = unit(base), unit(other)
    exact = a.astype(np.float32) @ b.astype(np.float32).T
    expected = set(zip(*map(np.ndarray.tolist, np.nonzero(exact > NEARLY)), strict=True))
    found = {(i, j) for i, j, _ in near_pairs(a, b, NEARLY, block=64)}
    assert found == expected and len(found) > 100


# --- corners, tables, real folders ---


def test_corners(draw):
    inside = ((10, 5), (80, 5), (80, 20), (10, 20))
    outside = ((10, 5), (95, 5), (95, 20), (10, 20))
    samples = table(*[(draw(f"{i}.png"), f"t{i}", "train") for i in range(4)])
    samples["corners"] = [inside, outside, inside[::-1], None]
    findings = lint(samples)
    assert [(f.check, f.text) for f in findings.itertuples()] == [
        ("corners outside the image", "t1"),
        ("corners in wrong order", "t2"),
    ]
    samples["corners"] = [((1, 1),) * 4, inside, inside, inside]
    (row,) = lint(samples).itertuples()
    assert (row.check, row.text) == ("unreadable image", "t0")


def test_needs_a_samples_table_of_files():
    with pytest.raises(ValueError, match="no column 'image' and no column 'text'; it has: path"):
        lint(pd.DataFrame({"path": ["a"]}))
    with pytest.raises(ValueError, match="paths, not images in memory"):
        lint(pd.DataFrame({"image": [np.zeros((3, 3))], "text": ["a"]}))


def test_the_table_that_was_given_stays_as_it_was(draw):
    samples = pd.DataFrame({"image": [draw("a.png")], "text": ["x"]}, index=[7])
    before = samples.copy()
    assert checks(lint(samples)) == []
    pd.testing.assert_frame_equal(samples, before)


@pytest.fixture
def real():
    folder = os.environ.get("OCRKIT_REAL_DATA")
    if not folder or not Path(folder, "plates").is_dir():
        pytest.skip("OCRKIT_REAL_DATA does not name a folder with plates/ in it")
    return Path(folder) / "plates"


def test_real_plates_give_few_false_alarms(real):
    crops = assign_splits(load_samples(real / "ccpd"))
    assert lint(crops, Tokenizer.from_name("plates"), 32).empty
    roads = assign_splits(load_samples(real / "roads"))
    findings = lint(roads, Tokenizer.from_name("plates"), 32)
    assert checks(findings) == ["duplicate image"]


def test_real_plates_saved_again_are_found(real, tmp_path):
    samples = load_samples(real / "ccpd").head(100).assign(split="train")
    again = samples.assign(split="test", image=[str(tmp_path / f"{i}.jpg") for i in range(100)], text="")
    for old, new in zip(samples["image"], again["image"], strict=True):
        Image.open(old).save(new, quality=40)
    findings = lint(pd.concat([samples, again]))
    assert (findings["check"] == "nearly same image in two splits").sum() == 100
