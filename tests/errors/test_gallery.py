"""Galleries: every text is shown as text, columns stand below each other, and the page needs nothing else."""

import os
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ocrkit as ok
from ocrkit.ctc.greedy import Span
from ocrkit.errors import gallery
from ocrkit.errors.browser.html import details, tile
from ocrkit.errors.diffs import _width, diff_text
from ocrkit.text.strings import graphemes, normalize
from tests.helpers import cases

EVIL = "<img src=x onerror=\"alert('1')\">"
IMAGE = np.full((32, 128, 3), 200, np.uint8)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(str(html))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def rows(*pairs, confidence=0.5):
    table = pd.DataFrame(pairs, columns=["text", "prediction"])
    spans = [[Span("A", 0.0, 40.0, 0.9), Span("B", 64.0, 100.0, 0.2)]] * len(table)
    return table.assign(image=[IMAGE] * len(table), confidence=confidence, spans=spans)


def every_view(table, tmp_path):
    row = next(table.itertuples())
    page = ok.report(table, tmp_path / "errors.html", title=EVIL).read_text(encoding="utf-8")
    views = [gallery.cards(table), gallery.worst(table), gallery.show(table), gallery.card_html(row), page]
    return [*views, gallery.diff_html(row.text, row.prediction), gallery.grid([IMAGE], [EVIL])]


def test_labels_are_never_html(tmp_path):
    for html in every_view(rows((EVIL, EVIL + "<script>"), (EVIL, "&amp;"), ('"><b>', "")), tmp_path):
        page = Page(html)
        assert all("onerror" not in attributes for _, attributes in page.tags)
        assert all(attributes["src"].startswith("data:image/jpeg;base64,") for attributes in page.all("img"))
        assert len(page.all("script")) <= 1 and not page.all("b")
    page = Page(gallery.cards(rows((EVIL, "&amp;"))))
    assert EVIL in page.text and "&amp;" in page.text


def test_a_file_name_is_never_html(tmp_path):
    name = tmp_path / '"><b>x.jpg'
    table = rows(("A", "B")).assign(image=str(name))
    page = Page(gallery.cards(table))
    assert not page.all("b") and "there is no such file" in page.text


def test_class_names_have_a_prefix(tmp_path):
    for html in every_view(rows(("皖A25V59", "皖AA2SV9")), tmp_path):
        names = {name for _, attributes in Page(html).tags for name in (attributes.get("class") or "").split()}
        assert all(name.startswith("ok-") for name in names)
    selectors = re.findall(r"\.([a-z][\w-]*)", re.sub(r"\{[^}]*\}", "", gallery.STYLE))
    assert selectors and all(name.startswith("ok-") for name in selectors)


@pytest.mark.parametrize(
    ("reference", "prediction", "lines"),
    [
        ("皖A25V59", "皖AA2SV9", ["皖 A25V59", "  +  x - ", "皖AA2SV 9"]),
        ("A1", "A1", ["A1", "  ", "A1"]),
        ("", "京", ["  ", "+ ", "京"]),
        ("京A", "", ["京A", "- -", "   "]),
        ("", "", ["", "", ""]),
        ("a b\n", "ab\u202e", ["a␣b\\n    ", " - x     ", "a b\\u202e"]),
        ("e\u0301\u0323", "e\u0323", ["ẹ́", "x", "ẹ"]),
    ],
)
def test_three_lines(reference, prediction, lines):
    assert diff_text(reference, prediction).split("\n") == [normalize(line) for line in lines]


def test_right_to_left_lines_run_one_way_and_align():
    lines = diff_text("سلام", "سلم").split("\n")
    assert all(line[0] == "\u202d" and line[-1] == "\u202c" for line in lines)
    assert [line[1:-1] for line in lines] == ["سلام", "  - ", "سل م"]


any_text = st.one_of(st.text("aب1 皖\u0301\u200c", max_size=6), st.text(max_size=6))


@cases(100)
@given(any_text, any_text)
def test_every_diff_has_three_even_lines_and_both_texts(reference, prediction):
    lines = diff_text(reference, prediction).split("\n")
    assert len(lines) == 3 and len({_width(line) for line in lines}) == 1
    page = Page(gallery.diff_html(reference, prediction))
    cells = len(page.all("td"))
    assert len(page.all("tr")) == 3 and cells % 3 == 0
    assert cells // 3 >= max(len(graphemes(normalize(t))) for t in (reference, prediction))


def columns_of(html):
    """The cells of the three rows, from the left of the screen to the right."""
    lines = [re.findall(r"<bdi>(.*?)</bdi>", line) for line in html.split("</tr>")[:3]]
    return [line[::-1] if 'dir="rtl"' in html else line for line in lines]


def test_persian_runs_from_the_right_and_its_numbers_from_the_left():
    html = gallery.diff_html("تاریخ ۱۴۰۲/۰۵", "تاریح ۱۴۰۲/۵")
    reference, marks, prediction = columns_of(html)
    assert reference == [*"۱۴۰۲/۰۵␣", *"تاریخ"[::-1]]
    assert prediction == [*"۱۴۰۲/ ۵␣", *"تاریح"[::-1]]
    assert [i for i, mark in enumerate(marks) if mark != " "] == [5, 8]
    assert 'dir="ltr"' in gallery.diff_html("۱۴۰۲", "۱۴۰۳")


def test_a_text_cannot_turn_its_neighbors_around():
    card = gallery.card_html(next(rows(("سلام", "سلم")).itertuples()))
    assert '<bdi dir="auto">سلام</bdi>' in card and '<bdi dir="auto">سلم</bdi>' in card


def test_a_card_says_what_the_row_has():
    wrong, right, silent = gallery.cards(rows(("80D", "8OD"), ("A", "A"), ("A", ""))).html.split('class="ok-card')[1:]
    assert "CER 0.33, confidence 0.50" in wrong and "ok-diff" in wrong and wrong.startswith(" ok-wrong")
    assert "ok-diff" not in right and "CER" not in right and "confidence 0.50" in right
    assert "(nothing)" in silent and "CER 1.00" in silent
    bare = gallery.card_html(SimpleNamespace(image=IMAGE, text="A"))
    assert "label" in bare and "read" not in bare and "confidence" not in bare
    assert "has no image" in gallery.card_html(pd.Series({"text": "A", "image": np.nan}))


def test_what_is_not_there_is_not_shown():
    table = rows(("", "A"))
    assert "(no" not in gallery.show(table[["image", "text"]]).html
    assert Page(gallery.show(table.drop(columns="text"))).text == " read A (0.50)"
    assert "(none)" in gallery.cards(table).html and "(nothing)" in gallery.show(rows(("A", ""))).html
    assert Page(gallery.grid([IMAGE], [""])).text == ""
    assert "(no images)" in gallery.worst(rows(("A", "A"))).html


def test_one_form_of_unicode_is_no_error():
    assert "ok-wrong" not in gallery.card_html(SimpleNamespace(image=IMAGE, text="é", prediction="e\u0301"))


UNLABELED = {
    "no column": lambda table: table.drop(columns="text"),
    "empty": lambda table: table.assign(text=""),
    "NaN": lambda table: table.assign(text=np.nan),
    "None": lambda table: table.assign(text=None),
}


@pytest.mark.parametrize("strip", UNLABELED.values(), ids=UNLABELED)
def test_without_a_label_nothing_is_wrong(strip):
    table = strip(rows(("A", "A"), ("B", "")))
    page = Page(gallery.show(table))
    assert page.text == " read A (0.50) read (nothing) (0.50)"
    assert all("color" not in attributes.get("style", "") for attributes in page.all("span"))
    html = gallery.cards(table).html
    assert html.count('class="ok-card ok-open"') == 2 and "CER" not in html and "<table" not in html
    assert "(no images)" in gallery.worst(table).html


def test_with_a_label_a_wrong_reading_is_red():
    table = rows(("A", "A"), ("B", "C"), ("é", "e\u0301"))
    page = Page(gallery.show(table))
    assert [span["style"] for span in page.all("span")] == ["color:#c00"] and "read C (0.50)" in page.text
    assert gallery.cards(table).html.count("ok-card ok-wrong") == 1


def test_a_report_judges_what_has_a_label(tmp_path):
    table = rows(("A", "A"), ("", "B"))
    page = Page(ok.report(table, tmp_path / "errors.html").read_text(encoding="utf-8"))
    boxes = [attributes for attributes in page.all("div") if "data-text" in attributes]
    assert [box["data-edits"] for box in boxes] == ["0", "0"]
    assert "2 images, 1 with a label, exact match 1.0000, CER 0.0000" in page.text
    page = Page(ok.report(table.tail(1), tmp_path / "errors.html").read_text(encoding="utf-8"))
    assert "1 images, 0 with a label. Diff" in page.text


def test_a_tile_without_a_label_shows_the_reading():
    right, wrong, open_ = map(tile, rows(("A", "A"), ("A", "B"), ("", "B")).itertuples())
    assert "ok-wrong" in wrong and "ok-diff" in wrong
    assert "ok-wrong" not in right + open_ and "ok-open" in open_ and Page(open_).text == "Bconfidence 0.50"
    (row,) = (row for _, row in rows(("", "B")).iterrows())
    assert "ok-diff" not in details(row, "x", None)


def test_the_worst_come_first():
    table = rows(("AB", "AB"), ("AB", "AC"), ("AB", "XY"), ("AB", "X")).assign(confidence=[1, 0.9, 0.2, 0.3])
    html = gallery.worst(table, 2).html
    assert html.count('class="ok-card') == 2
    assert html.index("confidence 0.30") < html.index("confidence 0.20")


def test_spans_are_drawn_where_they_are():
    spans = [Span("A", 0.0, 40.0, 0.9), Span("B", 64.0, 100.0, 0.2)]
    drawn = gallery.draw_spans(IMAGE, spans, 64).astype(int)
    assert drawn.shape == (64, 256, 3)
    changed = np.flatnonzero((drawn[32] != 200).any(axis=1))
    assert changed.tolist() == [0, 79, 128, 199]
    assert drawn[32, 128, 0] > 200 > drawn[32, 128, 2] and drawn[32, 0, 2] > 200  # red for the unsure one, then blue
    assert gallery.draw_spans(IMAGE[..., 0], [], 64).shape == (64, 256, 3)
    row = next(rows(("AB", "AB")).itertuples())
    assert gallery.picture_html(row, spans=True) != gallery.picture_html(row) == gallery.image_tag(IMAGE, 48)


def test_the_page_is_whole_and_alone(tmp_path):
    table = rows(("80D", "8OD"), ("A", "A"), ("é", ""))
    path = ok.report(table, tmp_path / "new" / "errors.html")
    page = Page(path.read_text(encoding="utf-8"))
    boxes = [attributes for attributes in page.all("div") if "data-text" in attributes]
    assert [box["data-kinds"] for box in boxes] == ["substitute", "", "delete"]
    assert [box["data-edits"] for box in boxes] == ["1", "0", "1"]
    assert boxes[0]["data-text"] == "80D\n8OD"
    assert "3 images, exact match 0.3333, CER 0.4000" in page.text
    assert not page.all("link") and all("src" not in attributes for attributes in page.all("script"))
    assert "default-src 'none'" in page.all("meta")[1]["content"]
    assert {a["name"] for tag in ("input", "select") for a in page.all(tag)} == {
        "text", "state", "kind", "low", "high", "sort"
    }  # fmt: skip


def test_a_failed_report_leaves_the_old_page(tmp_path, monkeypatch):
    path = ok.report(rows(("A", "B")), tmp_path / "errors.html")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        ok.report(rows(("C", "D")), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["errors.html"]
    with pytest.raises(ValueError, match="no column 'confidence'; it has: .*Recognizer.read"):
        ok.report(rows(("A", "B")).drop(columns="confidence"), path)


def test_a_font_with_the_glyphs_is_found(monkeypatch):
    families, missing = gallery.find_fonts("皖")
    assert missing == ["皖"] or len(families) == 2 and not families[1].startswith("Last Resort")
    only = [f for f in gallery.font_manager.fontManager.ttflist if f.name == "DejaVu Sans"]
    monkeypatch.setattr(gallery.font_manager.fontManager, "ttflist", only)
    assert gallery.find_fonts("سلام é")[1] == [] and gallery.find_fonts("皖é")[1] == ["皖"]
    assert gallery.in_words("皖") == "[Anhui]" and gallery.in_words("警") == "[U+8B66]"
