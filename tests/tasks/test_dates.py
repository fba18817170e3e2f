"""Jalali dates against the library's calendar, counted days, and known days; and what is refused."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from persiantools.jdatetime import JalaliDate as Calendar

import ocrkit as ok
from ocrkit.tasks.letters.dates import JalaliDate

PERSIAN, ARABIC, LATIN = "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "0123456789"
DAYS = st.dates(Calendar(1300, 1, 1).to_gregorian(), Calendar(1450, 12, 29).to_gregorian())


def written(parts, separator="/", digits=PERSIAN, wide=True):
    text = separator.join(f"{part:02}" if wide else str(part) for part in parts)
    return text.translate(str.maketrans(LATIN, digits))


@given(DAYS, st.sampled_from("/-."), st.sampled_from([PERSIAN, ARABIC, LATIN]), st.booleans(), st.booleans())
def test_every_day_is_read_in_all_its_forms(day, separator, digits, wide, year_last):
    jalali = Calendar.to_jalali(day)
    parts = jalali.year, jalali.month, jalali.day
    text = written(parts[::-1] if year_last else parts, separator, digits, wide)
    assert ok.parse_jalali(text) == JalaliDate(*parts, day.isoformat())


@given(st.dates(date(1951, 3, 22), date(2051, 3, 20)))  # 1330-01-01 to 1429-12-29
def test_two_digits_of_the_year(day):
    jalali = Calendar.to_jalali(day)
    text = written((jalali.year % 100, jalali.month, jalali.day))
    assert ok.parse_jalali(text, "ymd").iso == day.isoformat()
    assert ok.parse_jalali(written((jalali.day, jalali.month, jalali.year % 100)), "dmy").iso == day.isoformat()
    swapped = f"{'13' if jalali.day >= 30 else '14'}{jalali.day:02}"
    try:
        other = Calendar(int(swapped), jalali.month, jalali.year % 100).to_gregorian()
    except ValueError:  # only one order gives a day
        assert ok.parse_jalali(text).iso == day.isoformat()
    else:
        if other == day:
            assert ok.parse_jalali(text).iso == day.isoformat()
        else:
            with pytest.raises(ValueError, match="is ambiguous"):
                ok.parse_jalali(text)


@given(st.integers(1300, 1450), st.integers(-3, 16), st.integers(-3, 40))
def test_days_that_are_not_there_are_refused(year, month, day):
    text = f"{year}/{abs(month)}/{abs(day)}"
    try:
        wanted = Calendar(year, abs(month), abs(day)).to_gregorian().isoformat()
    except ValueError:
        with pytest.raises(ValueError, match="there is no (month|day)"):
            ok.parse_jalali(text)
    else:
        assert ok.parse_jalali(text).iso == wanted


def test_days_follow_each_other():
    """An independent count: months of 31, 30 and 29 or 30 days, the years after the days that Nowruz is known for."""
    nowruz = {1300: "1921-03-21", 1357: "1978-03-21", 1400: "2021-03-21", 1403: "2024-03-20", 1404: "2025-03-21"}
    for year, first in nowruz.items():
        day = date.fromisoformat(first)
        for month, length in enumerate([31] * 6 + [30] * 5 + [29], start=1):
            for k in range(1, length + 1):
                assert ok.parse_jalali(f"{year}-{month}-{k}").iso == day.isoformat()
                day += timedelta(1)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("۱۴۰۲/۰۵/۱۷", "2023-08-08"),
        ("١٧.٥.١٤٠٢", "2023-08-08"),
        (" ۱۴۰۲ / ۵ / ۱۷ ", "2023-08-08"),
        ("\u200f۱۴۰۲–۰۵–۱۷\u200e", "2023-08-08"),
        ("۱۴۰۲؍۰۵؍۱۷", "2023-08-08"),
        ("۹۸/۰۵/۱۷", "2019-08-08"),
        ("17/5/98", "2019-08-08"),
        ("۱۳۹۹/۱۲/۳۰", "2021-03-20"),
        ("۰۲/۰۲/۰۲", "2023-04-22"),
    ],
)
def test_known_days(text, iso):
    assert ok.parse_jalali(text).iso == iso


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("۱۴۰۲/۰۵", "has 2 numbers: a date has a year, a month and a day"),
        ("۱۴۰۲/۰۵/", "has 2 numbers"),
        ("۱۴۰۲", "has 1 number: a date"),
        ("۱۴۰۲/۰۵/۱۷/۱", "has 4 numbers"),
        ("۱۴۰۲/۱۳/۰۱", "there is no month 13"),
        ("۱۴۰۲/۰۰/۰۱", "there is no month 0"),
        ("۱۴۰۲/۰۷/۳۱", "there is no day 31 in month 7"),
        ("۱۴۰۲/۰۱/۰۰", "there is no day 0 in month 1"),
        ("۱۴۰۲/۱۲/۳۰", "no day 30 in month 12 of 1402, which is no leap year"),
        ("1402/05-17", "two kinds of separators"),
        ("تاریخ ۱۴۰۲/۰۵/۱۷", "has 'ت': a date has digits"),
        ("2023/08/08", "Jalali year 2023 .* is it a Gregorian date"),
        ("۴۰۲/۰۵/۱۷", "a year has four digits or two"),
        ("۵/۵/۵", "a year has four digits or two"),
        ("۰۲/۰۵/۱۷", 'is ambiguous, 1402-05-17 or 1417-05-02: say order="ymd" or "dmy"'),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        ok.parse_jalali(text)


def test_the_order_can_be_said():
    assert ok.parse_jalali("۰۲/۰۵/۱۷", "ymd")[:3] == (1402, 5, 17)
    assert ok.parse_jalali("۰۲/۰۵/۱۷", "dmy")[:3] == (1417, 5, 2)
    assert ok.parse_jalali("۱۷/۰۵/۱۴۰۲", "ymd")[:3] == (1402, 5, 17), "where only one gives a day, that one is meant"
    with pytest.raises(ValueError, match="order='mdy'"):
        ok.parse_jalali("۰۲/۰۵/۱۷", "mdy")


@given(st.text("۰۱۲٣٤567/-. ،x\u200f", max_size=14))
def test_any_text_gives_a_day_or_a_reason(text):
    try:
        found = ok.parse_jalali(text)
    except ValueError as error:
        assert str(error)
    else:
        assert Calendar(*found[:3]).to_gregorian().isoformat() == found.iso
