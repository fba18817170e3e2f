"""Rendered lines of look-alikes: fonts that never mix, pixels that hang on the seed, a sample that can be redone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.data.platforms import COURSE
from ocrkit.synth import random_face, random_line_text, render_line, render_lines
from ocrkit.synth.atlas import atlas_file
from ocrkit.synth.faces import load_faces
from ocrkit.synth.store import rendered_store
from ocrkit.tasks.run import recipe_data
from ocrkit.text.alphabets import ALPHABETS, LOOK_ALIKES, UNLIKE
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.recipe import Recipe, find_recipe
from tools.atlases.__main__ import LINE_PARTS, LINES, describe_lines
from tools.atlases.lines import CHINESE_FACES, LATIN_FACES
from tools.samples import write_lines

ALPHABET = ALPHABETS["look-alikes"]


def test_groups_are_apart_and_make_the_alphabet():
    characters = "".join(LOOK_ALIKES) + UNLIKE
    assert len(set(characters)) == len(characters) and set(characters) == set(ALPHABET)
    for group in ("未末", "己已巳", "土士", "日曰", "人入", "0OD", "8B", "1I"):
        assert group in LOOK_ALIKES


# --- faces ---------------------------------------------------------------------------------------------


def test_every_face_has_every_character_with_ink():
    glyphs, names = load_faces()
    assert {kind: len(n) for kind, n in names["train"].items()} == {"chinese": 14, "latin": 5}
    assert {kind: len(n) for kind, n in names["test"].items()} == {"chinese": 6, "latin": 4}
    for split in names.values():
        for name in split["chinese"] + split["latin"]:
            assert set(glyphs[name]) == set(ALPHABET if name in split["chinese"] else filter(str.isascii, ALPHABET))
            for c, glyph in glyphs[name].items():
                assert glyph.shape == (40, 40) and 0.01 < glyph.mean() / 255 < 0.6, (name, c)
    assert atlas_file("lines").stat().st_size < 1_000_000


def test_look_alikes_differ_in_every_face():
    glyphs, names = load_faces()
    for split in names.values():
        for name in split["chinese"]:
            for group in LOOK_ALIKES:
                for a, b in zip(group, group[1:]):
                    away = np.abs(glyphs[name][a].astype(int) - glyphs[name][b]).mean() / 255
                    assert away > 0.005, (name, a, b, away)


def test_random_faces_are_of_their_split():
    names, rng = load_faces()[1], np.random.default_rng(0)
    for split in names:
        drawn = [random_face(rng, split) for _ in range(200)]
        assert {chinese for chinese, _ in drawn} == set(names[split]["chinese"])
        assert {latin for chinese, latin in drawn if latin != chinese} == set(names[split]["latin"])
    with pytest.raises(ValueError, match="no split is named 'valid'; there are: train, test"):
        random_face(rng, "valid")


# --- lines ---------------------------------------------------------------------------------------------


def test_texts_are_three_in_five_look_alikes():
    texts = [random_line_text(np.random.default_rng(i)) for i in range(2000)]
    assert {len(t) for t in texts} == {3, 4, 5, 6}
    characters = pd.Series(list("".join(texts)))
    assert characters.isin(list("".join(LOOK_ALIKES))).mean() == pytest.approx(0.6, abs=0.02)
    counts = characters.value_counts()
    assert set(counts.index) == set(ALPHABET) and counts.min() > 20
    assert abs(counts["未"] - counts["末"]) < 50


def test_same_seed_same_pixels():
    images, table = render_lines(6, seed=3)
    again, _ = render_lines(3, seed=3, workers=2, first=3)
    assert images.shape == (6, 32, 160, 3) and images.dtype == np.uint8
    assert np.array_equal(images[3:], again) and list(table.columns) == ["text", "face", "split"]
    assert not np.array_equal(images, render_lines(6, seed=4)[0])
    other = render_lines(6, seed=3, split="test")[1]
    assert other.text.tolist() == table.text.tolist() and not set(other.face) & set(table.face)
    assert render_lines(0)[0].shape == (0, 32, 160, 3)


@pytest.mark.parametrize("text", ["未末己已巳土", "0OD8B1I", "日", "人入X"])
def test_clean_line_stands_in_the_picture(text):
    image = render_line(text, ("NotoSansCJK-Regular", "NotoSansCJK-Regular"), degrade=False, size=(40, 200))
    assert image.shape == (40, 200, 3)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert border.min() > 200 and image.min() < 40
    assert np.array_equal(image[..., 0], image[..., 2])


def test_hardly_any_line_is_empty():
    images, _ = render_lines(150, seed=8, split="test")
    assert (images.astype(float).std(axis=(1, 2)).mean(axis=1) > 5).mean() > 0.97


@pytest.mark.parametrize(
    ("text", "face", "words"),
    [
        ("", None, "no text to draw"),
        ("皖", None, r"label '皖' has '皖' \(U\+7696\), which the face"),
        ("未", ("Papyrus", "Papyrus"), "no face is named 'Papyrus'; there are: NotoSansCJK-Regular"),
    ],
)
def test_lines_that_cannot_be_drawn(text, face, words):
    with pytest.raises(ValueError, match=words):
        render_line(text, face)


# --- files, stores and recipes -------------------------------------------------------------------------


def test_write_lines_is_read_by_load_samples(tmp_path):
    table = write_lines(tmp_path, {"train": (7, 1), "test": (3, 2)})
    read = ok.load_samples(tmp_path)
    read = pd.concat([read[read.split == s] for s in ("train", "test")], ignore_index=True)
    pd.testing.assert_frame_equal(read[["image", "text", "split", "face"]], table, check_dtype=False)
    assert "problem" not in read and read.text.is_unique


def test_shipped_sample_is_complete_and_small():
    samples = ok.load_samples("look-alikes")
    assert samples.split.value_counts().to_dict() == {"train": 1600, "test": 400}
    assert samples.text.is_unique and "problem" not in samples
    names = load_faces()[1]
    for split, part in samples.groupby("split"):
        assert set(part.face) == set(names[split]["chinese"])
    tokenizer = Tokenizer.from_name("look-alikes")
    assert not tokenizer.missing("".join(samples.text))
    assert sum(f.stat().st_size for f in LINES.rglob("*") if f.is_file()) < 4_000_000


def test_shipped_sample_is_what_the_command_writes_and_the_datasheet_says(tmp_path):
    table = write_lines(tmp_path, {split: (25, seed) for split, (_, seed) in LINE_PARTS.items()})
    for row in table.itertuples():
        shipped = LINES / Path(row.image).relative_to(tmp_path.resolve())
        a, b = (np.asarray(Image.open(f)).astype(int) for f in (row.image, shipped))
        assert a.shape == b.shape and np.abs(a - b).mean() < 6  # another JPEG library may round otherwise
    samples = ok.load_samples("look-alikes")
    datasheet = (COURSE / "data" / "README.md").read_text(encoding="utf-8")
    for split in LINE_PARTS:
        line = describe_lines(samples[samples.split == split])
        assert re.sub(r"; \d+ kB$", "", line) in datasheet
    for name in {f.package for f in CHINESE_FACES + LATIN_FACES}:
        assert name in datasheet


def test_rendered_store_and_recipe(tmp_path):
    packed = rendered_store(5, 1, tmp_path / "store", (32, 160), "L", "look-alikes")
    assert packed.images.shape == (5, 1, 32, 160) and packed.texts == render_lines(5, 1)[1].text.tolist()
    assert rendered_store(5, 1, tmp_path / "store", (32, 160), "L").texts != packed.texts
    recipe = Recipe(rendered=6, renderer="look-alikes", alphabet="look-alikes", image_size=(32, 160))
    train, valid, lines = recipe_data(recipe, tmp_path / "stores")
    assert len(train) == 6 and valid.images.shape[2:] == (32, 160)
    assert lines[0] == "6 rendered look-alikes for training (seed 0)"
    with pytest.raises(ValueError, match="renderer='hands' must be one of plates, look-alikes, names"):
        Recipe(renderer="hands")


def test_laptop_recipe_is_shipped():
    recipe = find_recipe("look-alikes")
    assert recipe.renderer == recipe.alphabet == "look-alikes" and recipe.image_size == (32, 160)
