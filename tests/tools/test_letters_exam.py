"""The exam of letters: what is taken from Tesseract's answer, how readings are counted, and the table."""

import pandas as pd
import pytest

from ocrkit.data.layouts.pages import PageField
from ocrkit.tasks.letters.dates import parse_jalali
from tools.benchmarks.letters_exam import (
    Word,
    exam_pages,
    fields_of,
    figures,
    markdown,
    parse_tsv,
    same_date,
)

COLUMNS = ["level", "page_num", "block_num", "par_num", "line_num", "word_num"]
COLUMNS += ["left", "top", "width", "height", "conf", "text"]


def table(*rows):
    """An answer of Tesseract: (level, left, top, width, height, text) a row."""
    lines = ["\t".join(COLUMNS)]
    for level, left, top, width, height, text in rows:
        lines.append("\t".join(map(str, [level, 1, 1, 1, 1, 1, left, top, width, height, 90, text])))
    return "\n".join(lines) + "\n"


def test_words_of_a_table():
    answer = table((1, 0, 0, 900, 900, ""), (5, 30, 60, 90, 24, "۱۳۹۷/۱۲/۱۳"), (5, 150, 60, 60, 24, 'تاريخ:"\u200f'),
                   (5, 0, 0, 3, 3, " "))  # fmt: skip
    assert parse_tsv(answer, 3) == [Word("1397/12/13", (10, 20, 40, 28)), Word('تاریخ:"', (50, 20, 70, 28))]
    assert parse_tsv(table()) == []


def test_fields_stand_beside_their_labels():
    words = [
        Word("تاریخ", (300, 50, 330, 62)), Word("نامه", (270, 50, 295, 62)), Word(":", (265, 50, 268, 62)),
        Word("1397/12/13", (200, 51, 260, 61)), Word("شماره:", (150, 50, 190, 62)), Word("12/د/5", (90, 50, 140, 62)),
        Word("موضوع:", (300, 100, 340, 112)), Word("شعبه", (240, 100, 270, 112)), Word("معرفی", (275, 99, 295, 113)),
        Word("تاریخ", (300, 200, 330, 212)), Word("1390/1/1", (230, 200, 295, 212)),
    ]  # fmt: skip
    found = fields_of(words)
    assert found["date"]["text"] == "1397/12/13" and found["date"]["iso"] == parse_jalali("1397/12/13").iso
    assert found["date"]["box"] == (200, 51, 260, 61)
    assert found["number"]["text"] == "12/د/5" and "attachment" not in found
    assert found["title"]["text"] == "معرفی شعبه" and found["title"]["box"] == (240, 99, 295, 113)


def test_a_date_without_a_label_is_taken_from_anywhere():
    words = [Word("1390/1/1", (10, 300, 60, 312)), Word("12/05/1402", (10, 90, 60, 102)), Word("1402/5", (5, 5, 9, 9))]
    assert fields_of(words)["date"]["text"] == "12/05/1402"
    assert fields_of([Word("تاریخ:1402/05/17", (10, 10, 90, 20))])["date"]["iso"] == "2023-08-08"
    assert fields_of([]) == {} and fields_of([Word("021-87909883", (0, 0, 9, 9))]) == {}


@pytest.mark.parametrize(
    ("text", "truth", "right"),
    [
        ("۱۳۹۷/۲/۳", "۱۳۹۷/۰۲/۰۳", True),
        ("1397/02/04", "۱۳۹۷/۰۲/۰۳", False),
        ("", "۱۳۹۷/۰۲/۰۳", False),
        ("04/02/17", "۰۴/۰۲/۱۷", True),  # its order cannot be known
        ("04/02/18", "۰۴/۰۲/۱۷", False),
    ],
)
def test_a_date_is_right_if_it_is_the_same_day(text, truth, right):
    try:
        iso = parse_jalali(text).iso
    except ValueError:
        iso = ""
    assert same_date(text, iso, truth) is right


def test_figures_and_table():
    box = (10.0, 10.0, 60.0, 20.0)
    pages = pd.DataFrame(
        {"fields": [[PageField("date", "۱۳۹۷/۰۲/۰۳", box)], [PageField("title", "مرخصی", box)], []]}, index=[0, 1, 2]
    )
    rows = [
        (0, "date", "۱۳۹۷/۰۲/۰۳", box, 1.0, "2018-04-23"),
        (1, "date", "۱۳۹۷/۰۲/۰۳", (0.0, 50.0, 9.0, 60.0), 1.0, "2018-04-23"),
        (1, "title", "", (10.0, 10.0, 30.0, 20.0), 1.0, ""),
        (2, "date", "", None, 0.0, ""),
    ]
    results = pd.DataFrame(rows, columns=["page", "kind", "text", "box", "score", "iso"])
    row = figures(pages, results, [1.0, 2.0, 9.0])
    assert row["dates"]["n"] == 1 and row["dates"]["exact"] == 1
    assert row["undated"] == {"n": 2, "false_dates": 1} and row["seconds_a_page"] == 2
    assert row["fields"]["date"]["recall"] == 1 and row["fields"]["title"]["recall"] == 0
    page = markdown({"pages": 3, "readers": {"classical": row}})
    assert "| classical | 1.000 (0.207 to 1.000), n=1 | 1 of 2 |" in page and "3 letters; a field" in page


def test_pages_are_those_of_the_sample_first():
    pages = exam_pages(22)
    assert len(pages) == 22 and isinstance(pages["image"][19], str) and pages["image"][20].shape == (1170, 827)
    assert (pages["split"] == "test").all() and pages.index.tolist() == list(range(22))
    assert exam_pages(5)["image"].tolist() == pages["image"].tolist()[:5]
