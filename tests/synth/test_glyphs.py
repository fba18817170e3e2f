"""Rendered Persian glyph classes: fonts that never mix, pixels that hang on the seed, a sample that can be redone."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ocrkit.data.platforms import COURSE
from ocrkit.synth import LETTER_CLASSES, THESIS_CLASSES, render_glyph, render_glyphs
from ocrkit.synth.glyphs import random_persian_face
from ocrkit.synth.persian_faces import DIGITS, ROUND_FIVES, TEXTS, load_persian
from tools.atlases.__main__ import GLYPH_PARTS, GLYPHS, describe_glyphs
from tools.atlases.persian import PERSIAN_FACES
from tools.samples import write_glyphs

FACE = "Vazirmatn-Regular"


def ink_of(image: np.ndarray) -> np.ndarray:
    return np.argwhere(image[..., 0] < 128)


# --- classes and faces ---------------------------------------------------------------------------------


def test_classes_are_those_of_the_thesis_and_of_the_alphabet():
    words = {"Date", "dated", "attachment", "number", "title", "dash", "underscore", "Otherchar"}
    assert set(THESIS_CLASSES) == set("0123456789") | words and len(THESIS_CLASSES) == 18
    assert [int(name.split("-")[0]) for name in LETTER_CLASSES] == list(range(1, 44))
    shown = {"1-alef": "الف", "4-t": "ت", "19-t-long": "ط", "30-v": "و", "31-he": "ه\u200d", "38-five": "۵"}
    assert {name: LETTER_CLASSES[name][0] for name in shown} == shown
    assert "".join(THESIS_CLASSES[str(k)][0] for k in range(10)) == DIGITS


def test_letter_classes_are_the_folders_of_the_real_set():
    if "OCRKIT_REAL_DATA" not in os.environ:
        pytest.skip("the environment variable OCRKIT_REAL_DATA is not set: the folder of real data")
    folders = [f for f in Path(os.environ["OCRKIT_REAL_DATA"], "persian_printed", "dev").iterdir() if f.is_dir()]
    assert {f.name for f in folders} == set(LETTER_CLASSES)


def test_each_face_draws_each_text_in_its_own_way():
    faces = load_persian()
    assert len(faces.glyphs) == len(PERSIAN_FACES) >= 90
    for face, glyphs in faces.glyphs.items():
        assert set(glyphs) == set(TEXTS) and min(g.max() for g in glyphs.values()) > 90, face
        assert len({g.tobytes() for g in glyphs.values()}) == len(TEXTS), face  # no box for what it lacks
        letter, marked = glyphs["ح"], glyphs["خ"]
        assert (marked > 90).sum() > (letter > 90).sum(), face


def test_random_faces_are_of_their_split():
    rng = np.random.default_rng(0)
    for split, names in load_persian().names.items():
        assert {random_persian_face(rng, split) for _ in range(900)} == set(names)
    rounds = {random_persian_face(rng, "train", "43-anewfive") for _ in range(100)}
    assert rounds == {face for face in load_persian().glyphs if face.startswith(ROUND_FIVES)}
    assert not rounds & {random_persian_face(rng, "train", "38-five") for _ in range(300)}
    with pytest.raises(ValueError, match="no split is named 'dev'; there are: train, valid, test"):
        random_persian_face(rng, "dev")


# --- pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("klass", [*THESIS_CLASSES, *LETTER_CLASSES])
def test_clean_picture_of_each_class(klass):
    image = render_glyph(klass, FACE, 1, degrade=False)
    assert image.shape == (50, 90, 3) and image.dtype == np.uint8
    assert np.array_equal(image[..., 0], image[..., 2])
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert border.min() > 200 and image.min() < 110


def test_letters_stand_small_in_the_middle_and_words_fill_the_picture():
    y, x = ink_of(render_glyph("29-n", FACE, 0, (200, 200), degrade=False)).T
    assert 80 < (y.min() + y.max()) / 2 < 120 and 80 < (x.min() + x.max()) / 2 < 120 and np.ptp(y) < 70
    assert np.ptp(ink_of(render_glyph("Date", FACE, 0, degrade=False))[:, 1]) > 45


def test_dash_and_underscore_differ_in_height():
    means = {
        k: [ink_of(render_glyph(k, FACE, s, degrade=False))[:, 0].mean() for s in range(9)]
        for k in ("dash", "underscore")
    }
    assert max(means["dash"]) < 30 < min(means["underscore"])


def test_same_seed_same_pixels():
    images, table = render_glyphs(6, seed=3)
    again, _ = render_glyphs(3, seed=3, workers=2, first=3)
    assert images.shape == (6, 50, 90, 3) and images.dtype == np.uint8
    assert np.array_equal(images[3:], again) and list(table.columns) == ["text", "face", "split"]
    assert not np.array_equal(images, render_glyphs(6, seed=4)[0])
    assert render_glyphs(0)[0].shape == (0, 50, 90, 3)


@pytest.mark.parametrize(("classes", "names"), [("thesis", THESIS_CLASSES), ("persian-letters", LETTER_CLASSES)])
def test_all_classes_are_drawn_and_hardly_any_picture_is_empty(classes, names):
    images, table = render_glyphs(500, seed=5, size=(64, 64), split="test", classes=classes)
    assert set(table.text) == set(names) and set(table.face) <= set(load_persian().names["test"])
    assert ((images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))) > 60).mean() > 0.97


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no class is named 'date'; there are: 0, 1, .*Date.*43-anewfive"):
        render_glyph("date")
    with pytest.raises(ValueError, match="no face is named 'Papyrus'; there are: Vazirmatn-Thin"):
        render_glyph("Date", "Papyrus")
    with pytest.raises(ValueError, match="no set of classes is named 'hoda'; there are: thesis, persian-letters"):
        render_glyphs(1, classes="hoda")


# --- files ---------------------------------------------------------------------------------------------


def test_shipped_sample_is_what_the_command_writes_and_the_datasheet_says(tmp_path):
    table = write_glyphs(tmp_path, {split: GLYPH_PARTS[split] for split in ("valid", "test")})
    assert table.groupby(["split", "text"]).face.nunique().unstack().to_dict("list")["Date"] == [16, 6]
    for row in table.sample(60, random_state=0).itertuples():
        shipped = GLYPHS / Path(row.image).relative_to(tmp_path.resolve())
        a, b = (np.asarray(Image.open(f)).astype(int) for f in (row.image, shipped))
        assert a.shape == b.shape and np.abs(a - b).mean() < 6  # another JPEG library may round otherwise
    files = [f for f in sorted(GLYPHS.rglob("*")) if f.is_file()]
    assert sum(f.stat().st_size for f in files) < 3_000_000
    found = pd.DataFrame(
        [(str(f), f.parent.name, f.parts[-3], f.stem) for f in files], columns=["image", "text", "split", "face"]
    )
    datasheet = (COURSE / "data" / "README.md").read_text(encoding="utf-8")
    for split, names in load_persian().names.items():
        part = found[found.split == split]
        assert set(part.face) == set(names) and set(part.text) == set(THESIS_CLASSES)
        assert re.sub(r"; \d+ kB$", "", describe_glyphs(part)) in datasheet
    for name in {f.package.removeprefix("@fontsource/") for f in PERSIAN_FACES}:
        assert name in datasheet
