"""What rendered letters say, all of it invented, in logical order and Persian digits. Taught in notebook 10."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ocrkit.synth.ink import Rng, one_of, weighted
from ocrkit.text.persian import TO_PERSIAN

PHRASES = Path(__file__).with_name("letters_text.txt")
YEARS = (1330, 1410)  # Jalali, first and last
_SHORT_YEARS = (1375, 1410)  # years that letters write with two digits
#: Leap years of the 33-year cycle of the Jalali calendar, true from 1244 to 1472.
_LEAP = (1, 5, 9, 13, 17, 22, 26, 30)
#: style -> how often; y, m, d stand for the numbers, mm and dd for two digits, yy for the year's last two
_DATE_STYLES = {"y mm dd": 0.42, "y m d": 0.26, "yy mm dd": 0.08, "yy m d": 0.08, "dd mm y": 0.1, "d m y": 0.06}
_PREFIXES = ("021", "031", "041", "051", "071")  # of phone numbers: the capital and other towns
_SEPARATORS = {"/": 0.74, "-": 0.14, ".": 0.12}


@cache
def phrases() -> dict[str, list[str]]:
    """The parts of `letters_text.txt`: name -> its lines."""
    parts = re.findall(r"^\[(.+)\]\n([^\[]*)", PHRASES.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: [line for line in lines.splitlines() if line and line[0] != "#"] for name, lines in parts}


def pick(part: str, rng: Rng) -> str:
    """A line of a part of `phrases`, all equally likely, with its slots filled."""
    return fill(one_of(phrases()[part], rng), rng)


def fill(line: str, rng: Rng) -> str:
    """Put what its name says into each slot of a line, such as {date} and {number}: see `_SLOTS`."""
    return re.sub(r"\{(\w+)\}", lambda slot: _SLOTS[slot[1]](rng), line)


def persian(number: int | str) -> str:
    """A number in Persian digits."""
    return str(number).translate(TO_PERSIAN)


def month_days(year: int, month: int) -> int:
    """Days of a month of the Jalali calendar."""
    return 31 if month < 7 else 30 if month < 12 or year % 33 in _LEAP else 29


def random_date(rng: Rng) -> str:
    """A day that there is in the Jalali calendar, of `YEARS`, most often as ۱۴۰۲/۰۵/۱۷."""
    style = weighted(_DATE_STYLES, rng)
    low, high = _SHORT_YEARS if "yy" in style else YEARS
    # Half of all letters are of the last twenty years, as those in use are.
    year = int(rng.integers(high - 19 if rng.random() < 0.5 else low, high + 1))
    month = int(rng.integers(1, 13))
    day = int(rng.integers(1, month_days(year, month) + 1))
    numbers = {"yy": f"{year % 100:02d}", "y": year, "mm": f"{month:02d}", "m": month, "dd": f"{day:02d}", "d": day}
    return persian(weighted(_SEPARATORS, rng).join(str(numbers[piece]) for piece in style.split()))


def random_number(rng: Rng) -> str:
    """The number of a letter in an office's books, such as ۱۲۳۴/د/۵۶, ۹۸-۱۲۳ or ۴۰۲۱۷."""
    serial, year, unit = rng.integers(1, 99999), rng.integers(80, 100), rng.integers(1, 999)
    letter = one_of("آبدصفکمن", rng)
    shapes = (
        f"{serial}", f"{serial}", f"{serial}/{letter}/{year}", f"{year}/{letter}/{serial}", f"{year}-{unit}",
        f"{unit}/{serial}", f"{letter}/{serial}", f"{unit}/{year}/{serial}", f"{serial}-{letter}",
    )  # fmt: skip
    return persian(one_of(shapes, rng))


def random_title(rng: Rng, short: bool = False) -> str:
    """What a letter is about, of two to six words; a short one has two or three."""
    while True:
        text = pick("title", rng)
        if not short and rng.random() < 0.5:
            text = f"{text} {pick('subject of a title', rng)}"
        if not short or text.count(" ") < 3:
            return text


def random_sender(rng: Rng) -> str:
    """The name of an invented company or office."""
    return " ".join(pick(part, rng) for part in ("kind of sender", "first part of a name", "last part of a name"))


def random_paragraphs(rng: Rng, lengths: Sequence[int]) -> list[str]:
    """Paragraphs of as many sentences as `lengths` says, none of them twice; the first says why one writes."""
    lines = phrases()["sentence"]
    chosen = [lines[i] for i in rng.choice(len(lines), sum(lengths), replace=False)]
    chosen[0] = one_of(phrases()["first sentence"], rng)
    ends = np.cumsum(lengths)
    return [fill(" ".join(chosen[end - length : end]), rng) for length, end in zip(lengths, ends)]


_SLOTS = {
    "date": random_date,
    "number": random_number,
    "sum": lambda rng: persian(f"{int(rng.integers(1, 999)) * 10 ** int(rng.integers(4, 7)):,}".replace(",", ".")),
    "phone": lambda rng: persian(f"{one_of(_PREFIXES, rng)}-{rng.integers(2, 9)}{rng.integers(10**6, 10**7)}"),
    "title": lambda rng: random_title(rng, short=True),
    "attachment": lambda rng: pick("attachment", rng),
    "days": lambda rng: persian(int(rng.integers(10, 61))),
    "few": lambda rng: persian(int(rng.integers(2, 10))),
}
