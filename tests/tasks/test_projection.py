"""Profiles, template match and the classical reader of letters."""

import numpy as np
import pandas as pd
import pytest

from ocrkit.synth import render_letter
from ocrkit.tasks.letters.classical import ClassicalReader
from ocrkit.tasks.letters.date_match import read_date
from ocrkit.tasks.letters.projection import (
    INK,
    components,
    ink_of,
    line_box,
    runs,
    skew,
    straighten,
    text_lines,
    without_rules,
    words,
)
from ocrkit.tasks.letters.scores import overlap
from ocrkit.tasks.letters.templates import drawn_line, find_labels, match_template


def brute_force(image, template):
    """The correlation coefficient of the template and each window."""
    h, w = template.shape
    rows, columns = image.shape[0] - h + 1, image.shape[1] - w + 1
    return np.array(
        [
            [np.corrcoef(image[y : y + h, x : x + w].ravel(), template.ravel())[0, 1] for x in range(columns)]
            for y in range(rows)
        ]
    )


@pytest.mark.parametrize(("size", "small"), [((23, 31), (5, 7)), ((16, 16), (16, 3)), ((9, 14), (9, 14))])
def test_match_is_the_correlation_of_every_window(size, small):
    rng = np.random.default_rng(1)
    image, template = rng.random(size), rng.random(small)
    (scores,) = match_template(image, [template])
    assert scores.shape == (size[0] - small[0] + 1, size[1] - small[1] + 1)
    np.testing.assert_allclose(scores, brute_force(image, template), atol=1e-4)


def test_match_ignores_light_and_contrast_and_blank_windows():
    rng = np.random.default_rng(2)
    template, image = rng.random((6, 9)), np.full((40, 50), 0.7)
    image[12:18, 20:29] = 0.3 + 0.2 * template
    image[30:36, 2:11] = 0.9 - 0.2 * template
    (scores,) = match_template(image, [template])
    assert np.unravel_index(scores.argmax(), scores.shape) == (12, 20)
    assert scores[12, 20] == pytest.approx(1, abs=1e-3) and scores[30, 2] == pytest.approx(-1, abs=1e-3)
    assert scores[0, 40] == 0 and np.isfinite(scores).all()


def test_runs():
    assert runs(np.array([0, 1, 1, 0, 0, 2, 0])) == [(1, 3), (5, 6)]
    assert runs(np.array([1, 0, 1, 0, 0, 1]), gap=2) == [(0, 3), (5, 6)]
    assert runs(np.zeros(4)) == [] and runs(np.zeros(0)) == []


def test_lines_and_words_of_a_page():
    mask = np.zeros((60, 80), bool)
    mask[5:15, 10:30] = mask[5:15, 40:70] = mask[30:42, 20:60] = mask[50:52, 3:5] = True
    assert text_lines(mask) == [(10, 5, 70, 15), (20, 30, 60, 42)]
    assert words(mask, (10, 5, 70, 15), gap=8) == [(10, 30), (40, 70)]
    assert words(mask, (10, 5, 70, 15), gap=12) == [(10, 70)]
    assert line_box(mask, (35, 80), base=15, alef=10) == (40, 5, 70, 15)
    assert line_box(mask, (70, 80), base=15, alef=10) is None and line_box(mask, (5, 5), 15, 10) is None


@pytest.mark.parametrize("slope", [-0.02, 0.0, 0.013])
def test_a_page_is_straightened(slope):
    mask = np.zeros((300, 400), bool)
    for x in range(20, 380):
        for y in range(40, 260, 25):
            mask[round(y + slope * (x - 200)) : round(y + slope * (x - 200)) + 9, x] = x % 7 > 1
    assert skew(mask) == pytest.approx(slope, abs=0.002)
    straight, shifts = straighten(mask.astype(np.float32), skew(mask))
    assert straight.sum() == mask.sum() and len(shifts) == 400
    assert len(text_lines(straight > 0)) == 9
    assert skew(np.zeros((20, 30), bool)) == 0


def test_light_is_evened_and_blank_pages_have_no_ink():
    page = np.tile(np.linspace(250, 180, 200), (150, 1))
    page[60:70, 20:180] *= 0.3
    ink = ink_of(page.astype(np.uint8))
    assert ink[60:70, 20:180].min() > 0.8 and ink[:50].max() < 0.2
    assert ink_of(np.full((40, 50), 230, np.uint8)).max() == 0


def test_rules_and_dots_are_taken_off_and_letters_stay():
    mask = np.zeros((80, 120), bool)
    mask[10, 5:110] = mask[5:60, 8] = True
    mask[50:52, 10:110:4] = True
    letters = np.zeros_like(mask)
    letters[20:32, 30:33] = letters[29:32, 30:48] = letters[22:24, 60:62] = True
    np.testing.assert_array_equal(without_rules(mask | letters), letters)


def test_connected_pieces_run_from_left_to_right():
    mask = np.zeros((12, 30), bool)
    mask[2:10, 20:23] = mask[1:3, 5:9] = mask[8:10, 5:9] = mask[0, 0] = True
    mask[np.arange(10), np.arange(10, 20)] = True  # a slash that touches the stroke beside it by a corner alone
    mask[9, 19] = False
    pieces = components(mask)
    assert [np.flatnonzero(p.any(axis=0))[0] for p in pieces] == [5, 10, 20]
    assert pieces[0].sum() == 16  # both parts over one another
    assert components(np.zeros((3, 3), bool)) == []


@pytest.mark.parametrize("face", ["Vazirmatn-Regular", "mada-400", "changa-400"])
@pytest.mark.parametrize("arabic", [False, True])
def test_dates_of_a_known_face_are_read(face, arabic):
    texts = ["۱۴۰۲/۰۵/۱۷", "۱۳۸۹-۶-۳", "۲۷.۰۴.۱۳۹۵"]
    found = [read_date(drawn_line(text, face, 10.0, arabic)[0]) for text in texts]
    assert [text for text, _ in found] == texts
    assert all(0.5 < confidence <= 1 for _, confidence in found)


def test_touching_digits_are_cut():
    ink, _ = drawn_line("۱۴۰۲/۰۵/۱۷", "mada-400", 10.0)
    empty = np.flatnonzero(~(ink > INK).any(axis=0))
    ink = np.delete(ink, [x for x in empty if 3 < x < 30], axis=1)  # the digits of the year stand close together
    assert len(components(ink > INK)) < 10
    assert read_date(ink)[0] == "۱۴۰۲/۰۵/۱۷"


def test_what_is_no_date_is_not_read():
    assert read_date(np.zeros((10, 40), np.float32)) == ("", 0.0)
    assert read_date(drawn_line("تاریخ", "Vazirmatn-Regular", 11.0)[0])[1] < 0.55


@pytest.fixture(scope="module")
def letter():
    return render_letter(23, layout="left column", degrade=False)


def test_labels_are_found_on_a_page(letter):
    ink = ink_of(letter.image)
    labels = find_labels(ink[:300])
    for kind in ("date", "number"):
        values = [f.box for f in letter.fields if f.kind == kind]
        near = [found for found in labels if found.kind == kind and abs(found.base - values[0][3]) < 8]
        assert near and near[0].left > values[0][0]


def test_a_clear_letter_is_read(letter):
    results = ClassicalReader().read(pd.DataFrame({"image": [letter.image]}, index=[7]))
    date = next(f for f in letter.fields if f.kind == "date")
    row = results.set_index("kind").loc["date"]
    assert (row["page"], row["text"], row["error"]) == (7, date.text, "")
    assert overlap(row["box"], date.box) > 0.7 and row["confidence"] > 0.55 and row["score"] > 0.6
    number = results.set_index("kind").loc["number"]
    assert number["text"] == "" and number["problem"] == "only dates are read"


def test_the_table_is_that_of_the_letter_reader_on_any_page(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 200), dtype=np.uint8)
    blank = [np.full(shape, shade, np.uint8) for shape in ((1170, 827), (5, 4), (1, 1)) for shade in (0, 255)]
    results = ClassicalReader().read([*blank, noise, tmp_path / "none.png"])
    assert results.columns.tolist() == [
        "page", "image", "kind", "text", "confidence", "box", "score", "iso", "problem", "error",
    ]  # fmt: skip
    assert len(results) == 4 * 8 and (results["iso"] == "").all()
    assert results.iloc[0]["problem"] == "no date found"
    assert results.iloc[-1]["error"] and results.iloc[-1]["problem"] == ""


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="must be one of auto, ymd, dmy"):
        ClassicalReader(date_order="mdy")
    with pytest.raises(TypeError, match="not int"):
        ClassicalReader().read(3)
    assert INK < 1
