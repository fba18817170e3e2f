"""Logical and visual order, against the library python-bidi (its Python part, which also mirrors brackets)."""

import numpy as np
import pytest
from bidi.algorithm import get_display
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.text.alphabets import ALPHABETS, PERSIAN_DIGITS, PERSIAN_LETTERS
from ocrkit.text.reading_order import MIRRORED, to_logical, to_visual, visual_order
from tests.helpers import cases

SIGNS = "/-.:_()،, %+[]«»؛؟!"
characters = st.sampled_from(PERSIAN_LETTERS + 3 * (PERSIAN_DIGITS + "/-.:") + SIGNS)
lines = st.text(characters, max_size=20)


@pytest.mark.parametrize(
    ("text", "visual"),
    [
        ("سلام", "مالس"),
        ("۱۴۰۲/۰۵/۱۷", "۱۴۰۲/۰۵/۱۷"),
        ("۱۴۰۲-۰۵-۱۷", "۱۴۰۲-۰۵-۱۷"),
        ("تاریخ ۱۴۰۲/۵/۷", "۱۴۰۲/۵/۷ خیرات"),
        ("تاریخ ۱۴۰۲-۵-۷", "۷-۵-۱۴۰۲ خیرات"),  # W2: after a letter, a hyphen parts numbers
        ("١٤٠٢-٥-٧", "٧-٥-١٤٠٢"),  # and between Arabic digits always
        ("۱۲۳۴/د/۵۶", "۵۶/د/۱۲۳۴"),
        ("(پیوست)", "(تسویپ)"),
        ("۲۰٪ از ۱۰", "۱۰ زا ۲۰٪"),
        ("می\u200cشود", "دوش\u200cیم"),
        ("۱//۲", "۲//۱"),
        ("", ""),
    ],
)
def test_known_lines(text, visual):
    assert to_visual(text) == visual and to_logical(visual) == text
    assert get_display(text, base_dir="R") == visual.replace("\u200c", "")  # which has no place of its own


@cases(2000)
@given(lines)
def test_agrees_with_python_bidi(text):
    visual = to_visual(text)
    assert visual == get_display(text, base_dir="R")
    back = to_logical(visual)
    assert to_visual(back) == visual
    assert back == text or set(text) & set("%٪")


def test_two_lines_that_look_alike_on_paper():
    assert to_visual("۰:%۰") == to_visual("%۰:۰") == get_display("۰:%۰", base_dir="R") == "%۰:۰"
    assert to_logical("%۰:۰") == "%۰:۰"


@cases(500)
@given(st.text(st.sampled_from(PERSIAN_LETTERS + "٠١٢٣٤٥٦٧٨٩" + PERSIAN_DIGITS + "0123456789" + SIGNS), max_size=20))
def test_agrees_with_python_bidi_on_digits_of_all_kinds(text):
    assert to_visual(text) == get_display(text, base_dir="R")
    after = "ب" + text  # after a letter all digits are of one kind
    assert to_logical(to_visual(after)) == after


def test_random_field_values():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        text = "".join(rng.choice(list(ALPHABETS["persian"]), rng.integers(1, 25)))
        assert to_logical(to_visual(text)) == text


def test_order_names_each_character_once():
    text = "شماره: ۱۲۳۴/د (۵)"
    order = visual_order(text)
    assert sorted(i for i, _ in order) == list(range(len(text)))
    assert [text[i] for i, number in order if number] == list("۵۱۲۳۴")
    assert "".join(text[i] if number else text[i].translate(MIRRORED) for i, number in order) == to_visual(text)


def test_letters_from_left_to_right_are_refused():
    for order in (to_visual, to_logical):
        with pytest.raises(ValueError, match=r"'F' \(U\+0046\) in 'فکس Fax' is a letter of a left-to-right script"):
            order("فکس Fax" if order is to_visual else "xaF سکف")
