"""Joined Persian script put together from letters, against the font's own shaping; faces that never mix."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features

from ocrkit.synth import joined
from ocrkit.synth.atlas import atlas_file, load_sheet
from ocrkit.synth.joined import DRAWN, Drawing, joined_faces, joined_ink
from ocrkit.synth.persian_faces import ALEF, BASELINE, HEIGHT, SPLITS, load_persian
from tools.atlases.persian import draw_form

FACE = "Vazirmatn-Regular"
WORDS = [
    "تاریخ", "شماره", "پیوست", "عنوان", "موضوع", "شرکت", "مدیر", "عامل", "محترم", "سلام", "علیکم", "احترام",
    "بدینوسیله", "گزارش", "قرارداد", "ساختمان", "بهداشت", "آموزش", "پژوهش", "سازمان", "تهران", "اصفهان", "صنعت",
    "مهندس", "خواهشمند", "دستور", "فرمایید", "اقدام", "لازم", "نسبت", "پرداخت", "صورتحساب", "حقوق", "کارکنان", "جلسه",
    "معاونت", "اداره", "کل", "دانشگاه", "علمی", "فنی", "لایحه", "سؤال", "مسئول", "جزء", "کلاس", "اسلامی", "بنابراین",
    "چگونه", "ژاله", "غذا", "ظرف", "ضمن", "ثبت", "ذخیره", "طبق",
]  # fmt: skip


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two inks at their right edges, moved by up to two pixels."""
    wide = max(a.shape[1], b.shape[1]) + 4

    def at(ink, shift):
        return np.pad(ink.astype(int), ((0, 0), (wide - ink.shape[1] - shift, shift)))

    pairs = [(at(a, 2), at(b, shift)) for shift in range(5)]
    return max(np.minimum(x, y).sum() / np.maximum(x, y).sum() for x, y in pairs)


def shaped(font: ImageFont.FreeTypeFont, text: str) -> np.ndarray:
    """A word as the font itself shapes it, without kerning, at a quarter of the font's size."""
    image = Image.new("L", (2400, 4 * HEIGHT))
    how = {"anchor": "ls", "direction": "rtl", "language": "fa", "features": ["-kern"]}
    ImageDraw.Draw(image).text((100, 4 * BASELINE), text, 255, font, **how)
    ink = np.asarray(image.reduce(4))
    columns = np.flatnonzero(ink.any(axis=0))
    return ink[:, columns[0] : columns[-1] + 1]


@pytest.fixture
def dejavu(monkeypatch):
    """DejaVu Sans, which comes with matplotlib, and a face of joined letters made of it."""
    if not features.check("raqm"):
        pytest.skip("this Pillow has no raqm, which shapes Persian")
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(path), 120)
    glyphs = {text: draw_form(font, text) for text in DRAWN}
    glyphs[" "] = Drawing(np.zeros((HEIGHT, 0), np.uint8), 0, font.getlength(" ") / 4)
    monkeypatch.setattr(joined, "_glyphs", lambda face: glyphs)
    yield font
    joined._shifted.cache_clear()


@pytest.mark.parametrize("word", WORDS)
def test_words_are_those_of_the_font(dejavu, word):
    joined._shifted.cache_clear()
    assert overlap(joined_ink(word, "DejaVu"), shaped(dejavu, word)) > 0.9


def test_numbers_and_brackets_stand_as_the_font_shapes_them(dejavu):
    joined._shifted.cache_clear()
    for line in ("شماره: ۱۲۳۴/د/۵۶", "۱۴۰۲/۰۵/۱۷", "(پیوست دارد)", "می\u200cشود", "مورخ ۲۵/۱۲/۹۹، تهران", "٠١٢-٣٤"):
        assert overlap(joined_ink(line, "DejaVu"), shaped(dejavu, line)) > 0.85, line


# --- the atlas -----------------------------------------------------------------------------------------


def test_faces_are_parted_as_those_of_single_letters():
    names = {split: joined_faces(split) for split in SPLITS}
    assert all(set(names[split]) <= set(load_persian().names[split]) for split in SPLITS)
    assert len(names["train"]) >= 40 and len(names["valid"]) >= 4 and len(names["test"]) >= 8
    shipped = load_sheet("joined")[1]
    assert len(shipped["widths"]) == len(shipped["pens"]) == len(DRAWN) == len(set(DRAWN))
    assert atlas_file("joined").stat().st_size < 1_500_000
    with pytest.raises(ValueError, match="no split is named 'dev'; there are: train, valid, test"):
        joined_faces("dev")


@pytest.mark.parametrize("split", SPLITS)
def test_each_face_joins_a_word_into_one_stroke(split):
    for face in joined_faces(split):
        ink = joined_ink("عسعسع", face)
        assert ink.shape[0] == HEIGHT and ink.dtype == np.uint8 and ink[:, [0, -1]].any(axis=0).all(), face
        assert ink[:, 3:-3].max(axis=0).min() > 50, f"a joint is open in {face}"
        assert not np.array_equal(joined_ink("ع\u200cس\u200cع\u200cس\u200cع", face), ink), face
        rows = np.flatnonzero(joined_ink("ا", face).any(axis=1))
        assert abs(len(rows) - ALEF) <= 2 and abs(rows[-1] - BASELINE) <= 9, face
        assert len({joined_ink(c, face).tobytes() for c in "بپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"}) == 31, face


def test_digits_run_from_left_to_right_and_words_from_right_to_left():
    def part(line, start, stop):
        return joined_ink(line, FACE)[:, start:stop]

    two, twelve = joined_ink("۲", FACE), joined_ink("۱۲", FACE)
    assert overlap(twelve[:, -two.shape[1] :], two) > 0.7
    be = joined_ink("ب", FACE)
    assert overlap(part("اب", 0, be.shape[1]), be) > 0.8
    label = joined_ink("تاریخ", FACE)
    assert overlap(joined_ink("تاریخ ۱۲", FACE)[:, -label.shape[1] :], label) > 0.7
    opening = joined_ink("(", FACE)  # mirrored: bulging to the right
    assert opening[30, opening.shape[1] // 2 :].sum() > opening[30, : opening.shape[1] // 2].sum()


def test_arabic_forms_keep_the_places_of_persian_digits():
    assert np.array_equal(joined_ink("۴۵۶", FACE, arabic_digits=True), joined_ink("٤٥٦", FACE))
    date, arabic = "۱۴۰۲-۰۵-۱۷", "١٤٠٢-٠٥-١٧"  # typed in Arabic digits, its parts would change places
    assert not np.array_equal(joined_ink(date, FACE, arabic_digits=True), joined_ink(arabic, FACE))
    assert np.array_equal(joined_ink("تاریخ " + date, FACE, True), joined_ink("تاریخ " + arabic, FACE))


def test_lam_and_alef_are_one_shape():
    assert joined_ink("لا", FACE).shape[1] < joined_ink("ل\u200cا", FACE).shape[1] * 0.9
    assert joined_ink("کلاس", FACE).shape[1] < joined_ink("کل\u200cاس", FACE).shape[1]


def test_wrong_texts_and_faces_are_named():
    with pytest.raises(ValueError, match=r"the text 'abا' has 'a' \(U\+0061\), 'b' \(U\+0062\), which the faces lack"):
        joined_ink("abا", FACE)
    for blank in ("", "  ", "\u200c"):
        with pytest.raises(ValueError, match="is blank: there is nothing to draw"):
            joined_ink(blank, FACE)
    with pytest.raises(ValueError, match="no joined face is named 'Arial'; there are: Vazirmatn-Thin"):
        joined_ink("سلام", "Arial")
