"""Atlas building: fonts that never mix, messages that say what is missing, and the shipped atlases come out again."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFont

from ocrkit.synth.atlas import atlas_file, load_atlas, load_sheet
from ocrkit.synth.joined import DRAWN, _glyphs
from ocrkit.synth.persian_faces import SPLITS, TEXTS
from tools.atlases import fonts, lines, names, persian, plates, skeleton
from tools.atlases.fonts import Face, check_letters, open_font, save_sheet
from tools.atlases.pupil import pupil_letters

DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
LINE_FACES = lines.CHINESE_FACES + lines.LATIN_FACES


def needs(faces):
    """Skips a test where one of the faces is not installed."""
    missing = not all(face.path.exists() for face in faces)
    return pytest.mark.skipif(missing, reason="the fonts that the atlas is built from are not installed")


def built(tmp_path, build) -> np.ndarray:
    save_sheet(tmp_path / "again.png", *build())
    return np.asarray(Image.open(tmp_path / "again.png")).astype(int)


# --- fonts ---------------------------------------------------------------------------------------------


def test_missing_font_says_how_to_install_it(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.ttf is missing: .*apt-get install fonts-nowhere"):
        open_font(Face("nowhere.ttf", "fonts-nowhere"), 20)
    monkeypatch.setattr(fonts, "NODE", tmp_path)
    for face in names.HAND_FACES[3], next(f for f in persian.PERSIAN_FACES if f.package == "@fontsource/cairo"):
        words = f"{face.path.name} is missing: .*npm install --no-save {face.package}`.*OCRKIT_NODE_MODULES"
        with pytest.raises(FileNotFoundError, match=words):
            open_font(face, 20)


def test_poor_font_names_the_letter():
    font = ImageFont.truetype(str(DEJAVU), 80)
    check_letters(font, TEXTS[0] + "ABC")
    with pytest.raises(ValueError, match="DejaVuSans.ttf lacks '末': take it off the list"):
        check_letters(font, "A末未")


def test_lists_of_faces_part_the_families():
    apart = {"lines": LINE_FACES, "names": names.HAND_FACES, "persian": persian.PERSIAN_FACES}
    for atlas, faces in apart.items():
        packages = {s: {f.package.removesuffix("-extra") for f in faces if f.split == s} for s in SPLITS}
        assert packages["train"] and packages["test"], atlas
        assert not packages["train"] & packages["test"], atlas
        assert not packages["valid"] & (packages["train"] | packages["test"]), atlas


def test_shipped_atlases_have_the_listed_faces():
    shipped = [(f["name"], f["split"]) for part in load_sheet("lines")[1]["parts"] for f in part["faces"]]
    assert shipped == [(f.path.stem, f.split) for f in LINE_FACES]
    shipped = [(f["name"], f["split"]) for f in load_sheet("names")[1]["hands"]]
    assert shipped == [(f.path.stem.removesuffix("-latin-400-normal"), f.split) for f in names.HAND_FACES]
    for name, faces in {"persian": persian.PERSIAN_FACES, "joined": persian.JOINED_FACES}.items():
        shipped = [(f["name"], f["split"]) for f in load_sheet(name)[1]["faces"]]
        assert shipped == [(persian.face_name(f), f.split) for f in faces]
    assert load_sheet("persian")[1]["texts"] == TEXTS
    assert set(persian.JOINED_FACES) <= set(persian.PERSIAN_FACES)


# --- atlases -------------------------------------------------------------------------------------------


@needs(face for face, *_ in plates.CHINESE_FACES)
def test_plates_can_be_built_again(tmp_path, monkeypatch):
    monkeypatch.setattr(plates, "CHINESE", "皖云")
    monkeypatch.setattr(plates, "LATIN", "A1")
    again, n, glyphs = built(tmp_path, plates.build_plates), len(plates.LATIN_WEIGHTS), load_atlas()[0]
    for c, box in {"A": np.s_[: 90 * n, :45], "云": np.s_[90 * n :, 45:90]}.items():
        assert np.abs(again[box] - glyphs[c].reshape(-1, 45)).mean() < 8  # FreeType may differ a little


def test_letters_of_plates_are_those_of_the_atlas():
    glyphs = load_atlas()[0]
    for c in "A0W":
        again = plates._row([plates._latin(c, weight) for weight in plates.LATIN_WEIGHTS])
        shipped = np.concatenate([*glyphs[c]], axis=1)
        assert np.abs(again.astype(int) - shipped).max() <= 17  # one of the 16 grey levels of the atlas


@pytest.mark.parametrize(
    "name, build",
    [
        pytest.param("lines", lines.build_lines, marks=needs(LINE_FACES)),
        pytest.param("persian", persian.build_persian, marks=needs(persian.PERSIAN_FACES)),
    ],
)
def test_sheet_can_be_built_again(tmp_path, name, build):
    again, shipped = built(tmp_path, build), load_sheet(name)[0].astype(int)
    assert again.shape == shipped.shape and np.abs(again - shipped).mean() < 4  # FreeType may differ a little


@needs(persian.JOINED_FACES)
def test_joined_letters_can_be_drawn_again():
    for face in persian.JOINED_FACES[::12]:
        again, shipped = list(persian.draw_all(face)), _glyphs(persian.face_name(face))
        assert len(again) == len(DRAWN) + 1
        for text, drawing in zip([*DRAWN, " "], again):
            assert abs(drawing.advance - shipped[text].advance) < 0.1, text
            assert abs(drawing.left - shipped[text].left) <= 1, text  # 16 grey levels lose the palest columns
            assert abs(drawing.ink.sum() - float(shipped[text].ink.sum())) <= 0.15 * drawing.ink.sum(), text


def test_pupils_letters_are_those_of_the_atlas():
    assert pupil_letters() == load_sheet("names")[1]["pupil"]
    ways = pupil_letters()[8].split("|")  # the letter I, with a bar at the top and foot, or without
    assert len(ways) == 7 and ways[:2] == ["34.5 -100 34.5 0", "34.5 -100 34.5 0,11.5 -100 57.5 -100,11.5 0 57.5 0"]


def test_forms_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="DejaVuSans.ttf is too high for its row: take it off the list"):
        persian.draw_form(ImageFont.truetype(str(DEJAVU), 400), "گ")


def test_saved_sheet_has_sixteen_greys_and_its_index(tmp_path):
    sheet = np.arange(256, dtype=np.uint8).reshape(8, 32)
    save_sheet(tmp_path / "new.png", sheet, {"texts": ["ب"]})
    read = np.asarray(Image.open(tmp_path / "new.png"))
    assert len(np.unique(read)) == 16 and np.abs(read.astype(int) - sheet).max() <= 17
    assert (tmp_path / "new.json").read_text(encoding="utf-8") == '{\n "texts": [\n  "ب"\n ]\n}\n'
    assert atlas_file("plates").with_suffix(".json").read_text(encoding="utf-8").startswith('{\n "cell": [\n  90,')


# --- skeletons -----------------------------------------------------------------------------------------


def test_skeleton_of_a_bar_a_ring_and_a_dot():
    bar = np.zeros((40, 60), bool)
    bar[17:24, 5:55] = True
    (line,) = skeleton.strokes(bar)
    assert len(line) == 2 and np.allclose(line[:, 1], 20, atol=1)
    assert sorted(line[:, 0]) == pytest.approx([8, 51], abs=5)
    y, x = np.mgrid[:60, :60]
    away = np.hypot(x - 30, y - 30)
    (ring,) = skeleton.strokes((away > 16) & (away < 24))
    assert np.array_equal(ring[0], ring[-1]) and np.hypot(*(ring - 30).T) == pytest.approx(20, abs=2)
    (dot,) = skeleton.strokes(away < 2)
    assert np.hypot(*(dot.mean(axis=0) - 30)) < 2


def test_skeleton_of_a_cross_meets_in_the_middle():
    cross = np.zeros((61, 61), bool)
    cross[27:34, 5:56] = cross[5:56, 27:34] = True
    arms = skeleton.strokes(cross)
    ends = np.concatenate([a[[0, -1]] for a in arms])
    assert len(arms) == 4 and (np.abs(ends - 30).max(axis=1) < 4).sum() == 4
    assert skeleton.thin(cross).sum() < 110
