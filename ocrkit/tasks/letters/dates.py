"""Dates of the Jalali calendar, which Iran uses, as they stand on letters: decoded, read, checked, converted."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrkit.ctc.beam import beam_search
from ocrkit.ctc.candidates import Choice, choose, rescored
from ocrkit.text.persian import TO_LATIN
from ocrkit.text.tokenizer import Tokenizer

#: Jalali years that a letter may bear; 1200 began in 1821. A year beyond them is misread, or of another calendar.
FIRST_YEAR, LAST_YEAR = 1200, 1500
#: Two digits from here on mean 13xx, and below it 14xx.
CENTURY = 30
ORDERS = ("auto", "ymd", "dmy")
#: How much rarer a text that is no day is where a date stands, beside one that is: a misread digit may make it one.
MISREAD = 0.02
#: Signs of the same use: the Arabic date separator, the fraction slash; hyphens, dashes, minus; and the Arabic points.
_SEPARATORS = str.maketrans({**dict.fromkeys("؍⁄", "/"), **dict.fromkeys("‐‑‒–—−ـ", "-"), **dict.fromkeys("٫۔", ".")})
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class JalaliDate(NamedTuple):
    """A day: `year`, `month` and `day` in the Jalali calendar, and in `iso` as `YYYY-MM-DD` in the Gregorian one."""

    year: int
    month: int
    day: int
    iso: str


def parse_jalali(text: str, order: str = "auto") -> JalaliDate:
    """Read a Jalali date such as `۱۴۰۲/۰۵/۱۷`, and check that there is such a day.

    Digits may be Persian, Arabic or Latin, between them stands `/`, `-` or `.`, the same twice. The year is first or
    last, with four digits or two: 00 to 29 mean 1400 to 1429, and 30 to 99 mean 1330 to 1399.

    `text` is the date and nothing else, in logical order; `order` says which one it is, `"ymd"` or `"dmy"`, where both
    give a real day: `"auto"` refuses such a date. Raises a ValueError that says why it is no date or no day.
    Conversion by the library persiantools. Taught in notebook 10.
    """
    if order not in ORDERS:
        raise ValueError(f'order={order!r}: it must be "auto", "ymd" or "dmy"')
    plain = "".join(_UNSEEN.sub("", text).split()).translate(TO_LATIN).translate(_SEPARATORS)
    if not plain:
        raise ValueError("the date is empty")
    parts = re.split("[/.-]", plain)
    if strange := re.sub("[0-9/.-]", "", plain):
        raise ValueError(f"{text!r} has {strange[0]!r}: a date has digits, and / or - or . between them")
    if len(parts) != 3 or "" in parts:
        number = len([part for part in parts if part])
        raise ValueError(f"{text!r} has {number} number{'s' * (number != 1)}: a date has a year, a month and a day")
    if len(set(re.sub("[0-9]", "", plain))) > 1:
        raise ValueError(f"{text!r} has two kinds of separators: one of them is misread")
    days, problems = {}, []
    for way, (year, month, day) in {"ymd": parts, "dmy": parts[::-1]}.items():
        try:
            days[way] = _day(year, month, day)
        except ValueError as error:
            problems.append((len(year) in (2, 4), str(error)))
    if not days:
        # Of two readings that fail, the one whose year can be a year tells more.
        raise ValueError(f"{text!r} is no date: {max(problems, key=lambda p: p[0])[1]}")
    if order in days:
        return days[order]
    if len({day.iso for day in days.values()}) > 1:
        first, last = ("{}-{:02}-{:02}".format(*days[way]) for way in ("ymd", "dmy"))
        raise ValueError(f'{text!r} is ambiguous, {first} or {last}: say order="ymd" or "dmy"')
    return next(iter(days.values()))


def _day(year: str, month: str, day: str) -> JalaliDate:
    if len(year) not in (2, 4) or not (len(month) <= 2 and len(day) <= 2):
        raise ValueError("a year has four digits or two, a month and a day one or two")
    y, m, d = int(year), int(month), int(day)
    if len(year) == 2:
        y += 1400 if y < CENTURY else 1300
    if not FIRST_YEAR <= y <= LAST_YEAR:
        hint = "; is it a Gregorian date?" if 1800 < y < 2200 else ""
        raise ValueError(f"there is no letter of the Jalali year {y} ({FIRST_YEAR} to {LAST_YEAR}){hint}")
    if not 1 <= m <= 12:
        raise ValueError(f"there is no month {m}")
    from persiantools.jdatetime import JalaliDate as Calendar  # who reads no letters needs no calendar

    try:
        found = Calendar(y, m, d).to_gregorian()
    except ValueError as error:
        # The last month has a thirtieth day in leap years alone.
        of = f"month {m} of {y}, which is no leap year" if (m, d) == (12, 30) else f"month {m}"
        raise ValueError(f"there is no day {d} in {of}") from error
    return JalaliDate(y, m, d, found.isoformat())


def iso_day(text: str, order: str = "auto") -> tuple[str, str]:
    """The Gregorian day, `YYYY-MM-DD`, and `""`; or `""` and why `parse_jalali` refuses the text."""
    try:
        return parse_jalali(text, order).iso, ""
    except ValueError as error:
        return "", str(error)


def day_decode(
    logits: Tensor,
    tokenizer: Tokenizer,
    steps: Sequence[int] | None = None,
    widths: Sequence[float] | None = None,
    order: str = "auto",
) -> list[Choice]:
    """As `beam_decode`, but candidates that `parse_jalali` refuses count `MISREAD` times their probability.

    Taught in notebook 10.
    """

    def find(image: Tensor):
        texts, log_probs, _ = rescored(image, tokenizer, [codes for codes, _ in beam_search(image)])
        rarer = [0.0 if iso_day(text, order)[0] else math.log(MISREAD) for text in texts]
        return texts, log_probs, log_probs + np.array(rarer)

    return choose(logits, tokenizer, steps, widths, find)
