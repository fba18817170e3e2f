"""The plate renderer: the same seed gives the same pixels, and every plate says what its label says."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrkit.synth import (
    DEGRADATIONS,
    INGREDIENTS,
    PLATE_COLORS,
    plate_layout,
    plate_size,
    random_plate_text,
    render_plate,
    render_plates,
)
from ocrkit.synth.atlas import atlas_file, load_atlas
from ocrkit.synth.degrade import degrade
from ocrkit.text.alphabets import ALPHABETS, PROVINCES, plate_kind
from tools.atlases import plates
from tools.atlases.__main__ import PARTS, SAMPLE, describe, main, write_sample
from tools.atlases.fonts import Face
from tools.samples import write_plates

EXAMPLES = {
    "皖A25V59": "blue",
    "鲁CB3305": "yellow",
    "苏M1392挂": "yellow",
    "浙F03G8学": "yellow",
    "京AD12345": "green",
    "川A12345D": "green",
    "沪B1234警": "white",
    "使014578": "black",
    "粤Z1F34港": "black",
    "粤Z1F34澳": "black",
    "沪A0023领": "black",
}


# --- the atlas -----------------------------------------------------------------------------------------


def test_atlas_has_every_character_of_the_alphabet_with_ink_in_every_row():
    glyphs, latin_rows, chinese_rows = load_atlas()
    assert set(glyphs) == set(ALPHABETS["plates"])
    for c, rows in glyphs.items():
        assert rows.shape == (latin_rows if c.isascii() else chinese_rows, 90, 45)
        share = rows.mean(axis=(1, 2)) / 255
        assert (share > 0.1).all() and (share < 0.75).all(), (c, share)


def test_no_two_characters_look_alike_but_zero_and_o():
    glyphs = load_atlas()[0]
    names = sorted(glyphs)
    inks = np.stack([glyphs[c][0].astype(float).ravel() / 255 for c in names])
    same = {
        (names[i], names[j]) for i in range(len(names)) for j in range(i) if np.abs(inks[i] - inks[j]).mean() < 0.03
    }
    assert same == {("O", "0")}


def test_letters_fill_the_box_and_one_is_narrow():
    glyphs = load_atlas()[0]

    def width(c):
        return np.ptp(np.flatnonzero(glyphs[c][1].max(axis=0) > 127)) + 1

    assert all(43 <= width(c) <= 45 for c in "02358ABCDEHKMNUZ")
    assert width("1") < 20
    assert all(42 <= width(c) <= 45 for c in PROVINCES)


def test_atlas_file_is_small():
    assert atlas_file("plates").stat().st_size < 400_000


# --- geometry ------------------------------------------------------------------------------------------


def test_standard_layout_is_that_of_ga_36():
    boxes = plate_layout("皖A25V59")
    assert plate_size("皖A25V59") == (140, 440)
    assert [b.text for b in boxes] == list("皖A25V59")
    assert all((b.right - b.left, b.bottom - b.top) == (45, 90) for b in boxes)
    gaps = [b.left - a.right for a, b in pairwise(boxes)]
    assert gaps == [12, 34, 12, 12, 12, 12]
    assert boxes[0].left == 440 - boxes[-1].right == 15.5
    assert (boxes[0].top, 140 - boxes[0].bottom) == (25, 25)


def test_new_energy_layout_is_wider():
    boxes = plate_layout("京AD12345")
    assert plate_size("京AD12345") == (140, 480)
    assert [b.right - b.left for b in boxes] == [45] + [43] * 7
    assert [b.left - a.right for a, b in pairwise(boxes)] == [9, 49, 9, 9, 9, 9, 9]
    assert boxes[0].left == 480 - boxes[-1].right == 15.5


def test_embassy_dot_stands_after_the_country():
    boxes = plate_layout("使014578")
    assert [b.left - a.right for a, b in pairwise(boxes)] == [12, 12, 12, 34, 12, 12]


@pytest.mark.parametrize(("text", "color"), EXAMPLES.items())
def test_ink_lies_in_the_boxes(text, color):
    image = render_plate(text, color, degrade=False).astype(int)
    assert image.shape == (*plate_size(text), 3)
    outside = np.ones(image.shape[:2], bool)
    for box in plate_layout(text):
        window = np.s_[25:115, int(box.left) : int(box.right)]
        assert image[window].std(axis=(0, 1)).max() > 30, box
        outside[window] = False
    # Between line and characters there is ground only, apart from the dot.
    assert outside[10:24].all()
    strip = image[10:24, 12:-12]
    # Green fades downward, and the yellow third of large vehicles is another ground.
    assert np.ptp(strip[:, 150:] if color == "green" else strip, axis=1).max() < 3


# --- colors and texts ----------------------------------------------------------------------------------


def test_clean_plates_have_the_paints_of_their_color():
    def ground(text):  # right of the dot, above the characters
        return render_plate(text, EXAMPLES[text], degrade=False)[18, 300].astype(int)

    r, g, b = ground("皖A25V59")
    assert b > 2 * g > 2 * r
    r, g, b = ground("鲁CB3305")
    assert r > g > 2 * b
    assert ground("沪B1234警").min() > 200
    assert ground("使014578").max() < 60
    r, g, b = ground("川A12345D")
    assert g > r + 50 and g > b + 50


def test_new_energy_fades_from_white_to_green_and_lorries_begin_yellow():
    small = render_plate("京AD12345", "green", degrade=False).astype(int)
    assert small[12, 465].min() > 200 and small[128, 465, 0] < 130
    large = render_plate("川A12345D", "green", degrade=False).astype(int)
    assert large[12, 100, 0] > large[12, 300, 0] + 50


@pytest.mark.parametrize(
    ("text", "color", "k"), [("沪B1234警", "white", 6), ("使014578", "black", 0), ("沪A0023领", "black", 6)]
)
def test_marks_are_red_and_their_neighbors_are_not(text, color, k):
    image = render_plate(text, color, degrade=False).astype(int)

    def reds(box):
        window = image[25:115, int(box.left) : int(box.right)]
        return (window[..., 0] - window[..., 1] > 100).mean()

    boxes = plate_layout(text)
    assert reds(boxes[k]) > 0.15
    assert all(reds(box) == 0 for i, box in enumerate(boxes) if i != k)


@pytest.mark.parametrize("color", PLATE_COLORS)
def test_random_texts_fit_their_color(color):
    rng = np.random.default_rng(0)
    texts = [random_plate_text(rng, color) for _ in range(300)]
    assert {c for _, c in texts} == {color}
    assert {plate_kind(t) for t, _ in texts} == set(PLATE_COLORS[color].kinds)
    marks = {t[-1] for t, _ in texts if plate_kind(t) == "marked"}
    assert marks == set(PLATE_COLORS[color].marks)


def test_provinces_are_balanced():
    rng = np.random.default_rng(0)
    firsts = [random_plate_text(rng, "blue")[0][0] for _ in range(3100)]
    counts = [firsts.count(p) for p in PROVINCES]
    assert min(counts) > 60 and max(counts) < 150
    assert random_plate_text(rng, "blue", province="藏")[0][0] == "藏"


def test_all_colors_and_all_characters_come_up():
    rng = np.random.default_rng(1)
    drawn = [random_plate_text(rng) for _ in range(3000)]
    share = {c: sum(color == c for _, color in drawn) / 3000 for c in PLATE_COLORS}
    assert all(abs(share[c] - paint.share) < 0.03 for c, paint in PLATE_COLORS.items())
    assert set("".join(t for t, _ in drawn)) == set(ALPHABETS["plates"])


def test_shares_add_up():
    assert sum(c.share for c in PLATE_COLORS.values()) == pytest.approx(1)


# --- bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "color", "message"),
    [
        ("皖A·25V59", "blue", r"label '皖A·25V59' has '·' \(U\+00B7\), which the atlas lacks"),
        ("皖A25V5I", "blue", r"has 'I' \(U\+0049\), which the atlas lacks"),
        ("皖A25V5", "blue", "does not fit a blue plate.* of no known kind"),
        ("", "blue", "does not fit a blue plate"),
        ("京AD12345", "blue", "this one is new energy"),
        ("皖A25V59", "green", "does not fit a green plate.*new energy"),
        ("沪B1234警", "yellow", "with 挂/学"),
        ("皖A25V59", "purple", "no plate color is named 'purple'; there are: blue, yellow"),
    ],
)
def test_bad_text_or_color_is_explained(text, color, message):
    with pytest.raises(ValueError, match=message):
        render_plate(text, color)


def test_bad_color_of_a_random_text():
    with pytest.raises(ValueError, match="no plate color is named 'red'"):
        random_plate_text(np.random.default_rng(0), "red")


# --- chance and speed paths ----------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "color"), EXAMPLES.items())
def test_every_kind_renders_degraded_at_any_size(text, color):
    image = render_plate(text, color, rng=3, size=(32, 128))
    assert image.shape == (32, 128, 3) and image.dtype == np.uint8
    height, width = render_plate(text, color, rng=3).shape[:2]
    assert 18 <= height <= 42 and 3 < width / height < 4.6


def test_same_seed_same_pixels():
    a, b = (render_plate("皖A25V59", rng=np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(a, b)
    assert np.array_equal(a, render_plate("皖A25V59", rng=7))
    c = render_plate("皖A25V59", rng=8)
    assert c.shape != a.shape or not np.array_equal(a, c)


def test_clean_plates_need_no_seed():
    one, other = (render_plate("皖A25V59", rng=rng, degrade=False) for rng in (None, 5))
    assert np.array_equal(one, other)


def test_bulk_is_a_prefix_of_more_and_the_same_with_workers():
    images, table = render_plates(70, seed=4)
    assert images.shape == (70, 32, 128, 3) and images.dtype == np.uint8
    assert list(table.columns) == ["text", "color", "split"] and set(table.split) == {"train"}
    fewer, fewer_table = render_plates(20, seed=4)
    assert np.array_equal(images[:20], fewer) and table.text[:20].tolist() == fewer_table.text.tolist()
    more, more_table = render_plates(70, seed=4, workers=2)
    assert np.array_equal(images, more) and table.equals(more_table)
    assert not np.array_equal(images, render_plates(70, seed=5)[0])
    tail, tail_table = render_plates(8, seed=4, first=62)
    assert np.array_equal(images[62:], tail) and table.text[62:].tolist() == tail_table.text.tolist()


def test_bulk_of_nothing():
    images, table = render_plates(0, size=(24, 94))
    assert images.shape == (0, 24, 94, 3) and len(table) == 0


def test_any_31_plates_in_a_row_hold_nearly_all_provinces():
    _, table = render_plates(62, seed=11, size=(8, 32))
    assert len(set(table.text.str[0]) & set(PROVINCES)) >= 29  # 使 and 粤Z take a turn now and then


# --- ingredients ---------------------------------------------------------------------------------------


def test_without_any_ingredient_a_plate_is_bare():
    for rng in (1, 2):
        image = render_plate("皖A25V59", rng=rng, size=(70, 220), without=INGREDIENTS)
        bare = render_plate("皖A25V59", degrade=False, size=(70, 220))
        assert np.abs(image[8:-8, 8:-8].astype(int) - bare[8:-8, 8:-8]).mean() < 25  # only the camera's few pixels


@pytest.mark.parametrize("name", INGREDIENTS)
def test_each_ingredient_alone_changes_some_plates(name):
    others = [other for other in INGREDIENTS if other != name]
    bare, _ = render_plates(40, seed=3, without=INGREDIENTS)
    images, _ = render_plates(40, seed=3, without=others)
    changed = sum(not np.array_equal(a, b) for a, b in zip(bare, images, strict=True))
    assert changed > 0 and set(INGREDIENTS) >= set(DEGRADATIONS)


def test_an_unknown_ingredient_is_named():
    with pytest.raises(ValueError, match="no ingredient is named 'rust'; there are: letterforms, paint"):
        render_plate("皖A25V59", without=["rust"])


# --- degradations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_each_degradation_changes_pixels_and_nothing_else(name):
    image = render_plate("皖A25V59", degrade=False, size=(36, 136))
    before = image.copy()
    out = degrade(image, np.random.default_rng(1), [name])
    assert out.shape == image.shape and out.dtype == np.uint8
    assert np.array_equal(image, before)
    assert not np.array_equal(out, image)
    assert np.array_equal(out, degrade(image, np.random.default_rng(1), [name]))
    assert not np.array_equal(out, degrade(image, np.random.default_rng(2), [name]))


def test_degradations_point_the_way_their_names_say():
    image = render_plate("皖A25V59", degrade=False, size=(36, 136))

    def after(name):
        return degrade(image, np.random.default_rng(0), [name]).astype(float)

    def edges(picture):
        return np.abs(np.diff(picture.astype(float), axis=1)).mean()

    assert after("night").mean() < 0.9 * image.mean()
    assert after("shadow").mean() < image.mean()
    assert after("overexposure").mean() > image.mean()
    assert after("glare").mean() > image.mean()
    assert after("low_contrast").std() < image.std()
    for name in ("blur", "motion_blur", "low_resolution"):
        assert edges(after(name)) < edges(image), name
    assert edges(after("sharpen")) > edges(image)


def test_no_degradation_and_an_unknown_one():
    image = render_plate("皖A25V59", degrade=False)
    assert np.array_equal(degrade(image, np.random.default_rng(0), []), image)
    with pytest.raises(ValueError, match="no degradation is named 'rust'; there are: dirt"):
        degrade(image, np.random.default_rng(0), ["rust"])


# --- files ---------------------------------------------------------------------------------------------


def test_write_plates_gives_the_kaggle_layout(tmp_path):
    table = write_plates(tmp_path, 12, seed=0, split="train")
    again = write_plates(tmp_path / "again", 12, seed=0, split="train")
    assert list(table.columns) == ["image", "text", "split", "color"]
    for row, twin in zip(table.itertuples(), again.itertuples(), strict=True):
        file = Path(row.image)
        assert file.is_absolute() and file.parent == (tmp_path / "train").resolve()
        assert file.stem == f"{row.Index + 1:05d}-{row.text}" and file.suffix == ".jpg"
        assert file.read_bytes() == Path(twin.image).read_bytes()


def test_write_plates_leaves_out_what_it_is_told(tmp_path):
    first = write_plates(tmp_path, 5, seed=0, split="train")
    other = write_plates(tmp_path, 5, seed=0, split="test", exclude=first.text)
    assert not set(first.text) & set(other.text)


def _sample(split):
    return sorted((SAMPLE / split).glob("*.jpg"))


def test_shipped_sample_is_complete():
    texts = {split: [f.stem.split("-")[1] for f in _sample(split)] for split in PARTS}
    for split, (n, _) in PARTS.items():
        assert len(texts[split]) == len(set(texts[split])) == n
        assert all(plate_kind(t) for t in texts[split])
        assert set(PROVINCES) <= {t[0] for t in texts[split]}
        assert {plate_kind(t) for t in texts[split]} == {"standard", "new energy", "marked", "embassy"}
    assert not set(texts["train"]) & set(texts["test"])
    assert sum(f.stat().st_size for split in PARTS for f in _sample(split)) < 2_000_000


def test_shipped_sample_is_what_the_command_writes_and_the_datasheet_says(tmp_path):
    table = write_sample(tmp_path)
    for split in PARTS:
        part = table[table.split == split]
        assert set(part.color) == set(PLATE_COLORS)
        assert [Path(f).name for f in part.image] == [f.name for f in _sample(split)]
        for mine, shipped in zip(part.image[:20], _sample(split)[:20], strict=True):
            a, b = (np.asarray(Image.open(f)).astype(int) for f in (mine, shipped))
            assert a.shape == b.shape and np.abs(a - b).mean() < 6  # another JPEG library may round otherwise
    datasheet = (SAMPLE.parents[1] / "README.md").read_text(encoding="utf-8")
    # All but the size in kB, which another JPEG library may change.
    for line in describe(table).splitlines():
        assert re.sub(r"; \d+ kB$", "", line) in datasheet


def test_command_without_fonts_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(plates, "CHINESE_FACES", ((Face("nowhere.ttf", "fonts-noto-cjk"), 2.0, 0.0),))
    assert main([]) == 1
    assert "apt-get install fonts-noto-cjk" in capsys.readouterr().err
