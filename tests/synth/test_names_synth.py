"""Rendered names: hands that never mix, sizes of real scans, ink where the text is, a sample that can be redone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.data.platforms import COURSE
from ocrkit.synth import LAYOUTS, forms, hands, random_name, render_name, render_names, write_names
from ocrkit.synth.atlas import atlas_file
from ocrkit.synth.names import Names, default_names
from ocrkit.synth.writing import Writer, write
from ocrkit.text.alphabets import ALPHABETS
from tools.atlases.__main__ import NAME_PARTS, NAMES, describe_names
from tools.atlases.names import HAND_FACES

LONGEST = "MARIE-ANTOINETTE DE LA ROCHEFOUCAULD"


def even_writer(hand: str, **habits: object) -> Writer:
    """One who writes evenly, in capitals, into boxes, whatever chance says."""
    writer = Writer(np.random.default_rng(0), face=hand)
    vars(writer).update(pen=1.2, width=1.0, slant=0.0, boxes=True, gap=0.5, wobble=1.0, small=0.0, small_i=False)
    vars(writer).update(accents=0.0, faint=0.0, **habits)
    return writer


# --- hands ---------------------------------------------------------------------------------------------


def test_every_hand_writes_every_character():
    written, names = hands.load_hands()
    assert len(names["train"]) >= 40 and len(names["test"]) >= 9
    for name in names["train"] + names["test"]:
        assert set(written[name]) == set(hands.CHARACTERS)
    assert set(written["pupil"]) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for name, letters in written.items():
        for c, ways in letters.items():
            for strokes in ways:
                points = np.concatenate(strokes)
                assert np.isfinite(points).all() and np.ptp(points[:, 1]) > 0.25, (name, c)
                assert points[:, 0].min() > -0.3 and points[:, 0].max() < 2, (name, c)
                assert points[:, 1].min() > -2.2 and points[:, 1].max() < 1.5, (name, c)
    assert sum(atlas_file("names").with_suffix(s).stat().st_size for s in (".png", ".json")) < 1_200_000


def test_capitals_stand_on_the_line_and_are_of_one_height():
    for name, letters in hands.load_hands()[0].items():
        rows = [np.concatenate(ways[0])[:, 1] for c, ways in letters.items() if c.isupper()]
        assert np.median([r.min() for r in rows]) == pytest.approx(-1, abs=0.06), name
        assert np.median([r.max() for r in rows]) == pytest.approx(0, abs=0.06), name


def test_no_hand_is_in_both_splits():
    names = hands.load_hands()[1]
    assert [n for n in names["train"] if n in names["test"]] == []
    rng = np.random.default_rng(0)
    for split, own in names.items():
        drawn = [Writer(rng, split) for _ in range(300)]
        used = {hand for writer in drawn for hand in writer.hands}
        assert used <= {*own, "pupil"} and used >= set(own)
        assert ("pupil" in used) == (split == "train")


def test_test_writers_never_borrow_a_training_letter():
    written, names = hands.load_hands()
    theirs = {id(way[0][0]) for n in names["test"] for way in written[n].values()}
    rng = np.random.default_rng(1)
    for _ in range(200):
        writer = Writer(rng, "test")
        assert all(id(written[hand][c][0][0]) in theirs for hand in writer.hands for c in "aAiI")


def test_printed_characters_have_ink():
    for glyphs in hands.load_print().values():
        assert set(glyphs) == set(hands.PRINTED)
        assert all(g.shape[0] == 60 and (g.max() > 200) == (c != " ") for c, g in glyphs.items())


# --- names ---------------------------------------------------------------------------------------------


def test_names_are_of_the_alphabet_and_partly_made_up():
    rng, known = np.random.default_rng(0), set(default_names().names)
    assert len(known) > 230
    drawn = [random_name(rng) for _ in range(3000)]
    assert set("".join(drawn)) <= set(ALPHABETS["names"]) and set("".join(drawn)) >= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ' -"
    )
    assert all(2 <= len(n) <= 25 and n == n.strip(" -'") for n in drawn)
    assert 0.15 < np.mean([n not in known for n in drawn]) < 0.35


def test_frequent_names_come_more_often_but_fill_no_set():
    names = Names({"THOMAS": 10_000, "ZOE": 1, "LEA": 1, "éva": 5, "EMPTY": 9, "-": 3, "NA": 1})
    assert names.names == ["THOMAS", "ZOE", "LEA", "NA"]
    rng = np.random.default_rng(0)
    counts = pd.Series([names.draw(rng) for _ in range(4000)]).value_counts(normalize=True)
    assert counts["THOMAS"] == pytest.approx(0.5 / 4 + 0.5 * 100 / 103, abs=0.03) and counts.min() > 0.09
    few = Names({"ZOE": 2, "LEA": 8})
    assert few.upto[-1] == pytest.approx(1) and random_name(rng, few)
    with pytest.raises(ValueError, match="none of the 1 names can be drawn"):
        Names({"é": 1})


# --- pictures ------------------------------------------------------------------------------------------


def test_same_seed_same_pixels():
    images, table = render_names(6, seed=3)
    again, rest = render_names(3, seed=3, workers=2, first=3)
    assert all(np.array_equal(a, b) for a, b in zip(images[3:], again, strict=True))
    assert table.text.tolist()[3:] == rest.text.tolist()
    assert list(table.columns) == ["text", "face", "layout", "split"] and set(table.split) == {"train"}
    assert any(a.shape != b.shape or not np.array_equal(a, b) for a, b in zip(images, render_names(6, seed=4)[0]))
    assert np.array_equal(render_name("ZOE", 5), render_name("ZOE", np.random.default_rng(5)))
    assert render_names(0)[0] == []


def test_sizes_are_those_of_the_scans():
    images, table = render_names(120, seed=1, split="test")
    widths = {"labelled": 388, "narrow": 284, "under label": 284, "given name": 284, "plain": 324, "comb": 388}
    assert set(table.layout) == set(widths) == set(LAYOUTS)
    for image, layout in zip(images, table.layout, strict=True):
        assert image.dtype == np.uint8 and image.shape[2] == 3 and image.shape[1] == widths[layout]
        assert 18 <= image.shape[0] <= 72 and np.array_equal(image[..., 0], image[..., 2])
        assert np.median(image) > 245 and image.min() < 160  # ink on white paper
    assert set(table.face) == set(hands.load_hands()[1]["test"])
    scaled, _ = render_names(4, seed=1, size=(32, 256))
    assert scaled.shape == (4, 32, 256, 3) and render_names(0, size=(32, 256))[0].shape == (0, 32, 256, 3)


def test_ink_is_where_the_text_is():
    for seed in range(40):
        image = render_name("LEA", seed, layout="plain")[..., 0]
        columns = np.flatnonzero((image[8:38] < 140).any(axis=0))
        assert columns[0] < 30 and (image[8:38, :70] < 140).sum() > 25, seed
    longer = np.mean([(render_name("MARGUERITE", s, layout="plain") < 140).sum() for s in range(20)])
    assert longer > 2 * np.mean([(render_name("LEA", s, layout="plain") < 140).sum() for s in range(20)])


def test_letters_come_in_order_one_a_box():
    rng = np.random.default_rng(2)
    writer = even_writer("pupil")
    letters = write("AB-C D", writer, rng, 13, 17.7)
    middles = [np.mean([np.concatenate(s)[:, 0].min(), np.concatenate(s)[:, 0].max()]) for s in letters]
    assert np.abs(np.array(middles) - 17.7 * np.array([0, 1, 2, 3, 5])).max() < 4
    loose = write("ABCD", even_writer("caveat", boxes=False), rng, 13, 17.7)
    starts, ends = ([f(np.concatenate(s)[:, 0]) for s in loose] for f in (np.min, np.max))
    assert all(b > a for a, b in zip(ends, starts[1:]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_longest_name_fits(layout):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        form = forms.random_form(rng, layout)[1]
        writer = Writer(rng)
        letters = write(LONGEST, writer, rng, form.height, form.pitch, form.size[1] - form.start - 2)
        points = np.concatenate([s for strokes in letters for s in strokes])
        assert len(letters) == len(LONGEST) - LONGEST.count(" ")
        assert form.start + points[:, 0].max() < form.size[1] + 2 and form.start + points[:, 0].min() > -4
        assert render_name(LONGEST, seed, layout=layout).shape[1] == form.size[1]


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_hand_can_write_every_letter(split):
    for face in hands.load_hands()[1][split]:
        image = render_name("ABCDEFGHIJKLMNOPQRSTUVWXYZ'-", 1, split, face, "plain")
        assert (image < 150).sum() > 300, face


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("", {}, "no name to draw"),
        ("  ", {}, "no name to draw"),
        ("ÉVA", {}, r"name 'ÉVA' has 'É' \(U\+00C9\); names are drawn from A-Z, ' - and blank"),
        ("eva", {}, r"name 'eva' has 'a' \(U\+0061\)"),
        ("EVA", {"split": "valid"}, "no split is named 'valid'; there are: train, test"),
        ("EVA", {"face": "papyrus"}, "no hand is named 'papyrus'; there are: annie"),
        ("EVA", {"layout": "letter"}, "no layout is named 'letter'; there are: labelled, narrow"),
    ],
)
def test_names_that_cannot_be_drawn(text, keys, words):
    with pytest.raises(ValueError, match=words):
        render_name(text, 0, **keys)


# --- files ---------------------------------------------------------------------------------------------


def test_write_names_is_read_by_load_samples(tmp_path):
    table = write_names(tmp_path, {"train": (7, 1), "test": (3, 2)})
    assert (tmp_path / "written_name_test.csv").read_text().splitlines()[0] == "FILENAME,IDENTITY"
    read = ok.load_samples(tmp_path)
    read = pd.concat([read[read.split == s] for s in ("train", "test")], ignore_index=True)
    pd.testing.assert_frame_equal(
        read[["image", "text", "split"]], table[["image", "text", "split"]], check_dtype=False
    )
    assert "problem" not in read and read.text.is_unique


def test_shipped_sample_is_complete_and_small():
    samples = ok.load_samples("names")
    assert samples.split.value_counts().to_dict() == {"train": 400, "test": 100}
    assert samples.text.is_unique and "problem" not in samples
    assert set("".join(samples.text)) <= set(ALPHABETS["names"])
    assert sum(f.stat().st_size for f in NAMES.rglob("*") if f.is_file()) < 2_000_000


def test_shipped_sample_is_what_the_command_writes_and_the_datasheet_says(tmp_path):
    table = write_names(tmp_path, {"train": (25, NAME_PARTS["train"][1])})
    for row in table.itertuples():
        shipped = NAMES / Path(row.image).relative_to(tmp_path.resolve())
        a, b = (np.asarray(Image.open(f)).astype(int) for f in (row.image, shipped))
        assert a.shape == b.shape and np.abs(a - b).mean() < 6  # another JPEG library may round otherwise
    datasheet = (COURSE / "data" / "README.md").read_text(encoding="utf-8")
    for line in describe_names(ok.load_samples("names").sort_values("split", ascending=False)).splitlines():
        assert re.sub(r"; \d+ kB$", "", line) in datasheet
    for package in {f.package for f in HAND_FACES}:
        assert package.removeprefix("@fontsource/") in datasheet
