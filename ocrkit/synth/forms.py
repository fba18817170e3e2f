"""The forms on which names stand: what is printed around a name, where the name is, and how the scanner cuts it out."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ocrkit.synth.hands import PRINT_BASE, load_print


class Form(NamedTuple):
    """A crop of a form; lengths in pixels."""

    size: tuple[int, int]  # height and width
    start: float  # left end of the name
    line: float  # row on which it stands
    height: float  # of its capitals
    printed: list[tuple[str, str, float, float, bool]]  # text, weight, x, row of the baseline, upright along the edge
    digits: list[tuple[str, float, float]]  # hand-written digits of other rows: text, x, row of the baseline
    rules: list[tuple[float, float, float, float]]  # straight lines: x, y, x, y
    pitch: float | None = None  # width of the boxes, one a letter


def _number(rng: np.random.Generator, n: int) -> str:
    return "".join(str(d) for d in rng.integers(10, size=n))


def _clock(rng: np.random.Generator) -> str:
    return f"{_number(rng, 2)}:{_number(rng, 2)}:{_number(rng, 2)}"


def _labelled(rng: np.random.Generator) -> Form:
    """A bold label at the left, the number of the sheet along the edge, pieces of the rows above and below."""
    printed, digits, rules = [], [], []
    x = rng.uniform(1, 9)
    given = rng.random() < 0.5
    stamped = rng.random() < (0.8 if given else 0.25)
    if stamped:  # the scanner printed the time over the label's start
        edge = rng.uniform(0, 8)
        printed.append((_clock(rng), "bold", edge, rng.uniform(2, 30), True))
        if rng.random() < 0.5:
            rules.append((edge - 2, 0, edge - 2, 99))
        x = edge + rng.uniform(5, 9)
    if given or (stamped and rng.random() < 0.5):
        tall = int(rng.integers(18, 35)) if given else 36
        line = min(rng.normal(16, 1.5), tall - 2)
        label = "PRENOM :" if given else "NOM :"
        if tall > 28 and rng.random() < 0.7:
            below = line + rng.uniform(20, 24)
            digits.append((_number(rng, int(rng.integers(4, 9))), rng.uniform(80, 120), below))
            if given and rng.random() < 0.5:
                printed.append(("CLASSE :   o 6ème", "bold", rng.uniform(215, 235), below, False))
    else:
        tall, label = 36, "NOM :"
        line = rng.normal(31, 1.8)
        above = line - rng.uniform(23, 27)
        digits.append((_number(rng, 7) + "ABCDEFSTUWXZ"[rng.integers(12)], x + rng.uniform(112, 120), above))
        printed.append(("CODE RNE / UAI :", "bold", x, above, False))
    printed.append((label, "bold", x, line, False))
    start = x + (rng.uniform(76, 90) if given else rng.uniform(74, 92))
    return Form((tall, 388), start, line + rng.normal(1, 1.8), rng.uniform(10.5, 16), printed, digits, rules)


def _narrow(rng: np.random.Generator) -> Form:
    """The name alone, at times under the lower half of a label."""
    start = rng.uniform(17, 33)
    printed = []
    if rng.random() < 0.4:
        word = "NOM" if rng.random() < 0.5 else "PRENOM"
        printed.append((word, "regular", start + rng.uniform(-6, 8), rng.uniform(1.5, 9), False))
    line = rng.normal(25, 1.6) + (3 if printed and printed[0][3] > 6 else 0)
    return Form((31, 284), start, line, rng.uniform(11, 18), printed, [], [])


def _under_label(rng: np.random.Generator) -> Form:
    """A label, the name below it, and the row above cut by the upper edge."""
    x, above = rng.uniform(28, 38), rng.uniform(1, 8)
    label = above + rng.uniform(13, 16)
    printed = [("NOM", "regular", x, label, False), ("CODE UAI / RNE", "regular", x, above, False)]
    digits = [(_number(rng, 7) + "ABCDEFSTUWXZ"[rng.integers(12)], x + rng.uniform(108, 130), above + 2)]
    line = label + rng.uniform(22, 29)
    tall = int(rng.choice([50, 50, 50, 50, 46, 47, 52]))
    return Form((tall, 284), x + rng.uniform(-4, 4), min(line, tall + 2), rng.uniform(11, 17), printed, digits, [])


def _given_name(rng: np.random.Generator) -> Form:
    """A label, space, the given name in small letters, and the upper edge of the next label."""
    x, tall = rng.uniform(28, 40), int(rng.integers(60, 73))
    label = rng.uniform(11, 17)
    line = label + rng.uniform(32, 40)
    below = "DATE DE NAISSANCE - CLASSE" if rng.random() < 0.8 else "NÉ(E) LE" + " " * 30 + "CLASSE"
    printed = [("PRENOM", "regular", x, label, False), (below, "regular", x, label + 57 + rng.normal(0, 1), False)]
    return Form((tall, 284), x + rng.uniform(-3, 5), line, rng.uniform(9, 14), printed, [], [])


def _plain(rng: np.random.Generator) -> Form:
    """The name alone on white paper, with a stray line now and then."""
    rules = []
    if rng.random() < 0.06:
        x, y = rng.uniform(240, 322), rng.uniform(0, 44)
        rules.append((x, y, x + rng.uniform(-4, 9), y + rng.uniform(-20, 20)))
    return Form((44, 324), rng.uniform(3, 16), rng.normal(31, 2.5), rng.uniform(11, 20), [], [], rules)


def _comb(rng: np.random.Generator) -> Form:
    """A box for each letter."""
    tall, pitch = int(rng.integers(30, 45)), rng.uniform(14, 20)
    top, bottom = rng.uniform(2, 5), tall - rng.uniform(2, 5)
    start = rng.uniform(4, 30)
    ends = np.arange(start, 380 if rng.random() < 0.5 else rng.uniform(250, 380), pitch)
    rules = [(start, bottom, ends[-1], bottom), *((e, bottom - 5, e, bottom) for e in ends)]
    if rng.random() < 0.6:  # closed boxes
        rules = [(start, y, ends[-1], y) for y in (top, bottom)] + [(e, top, e, bottom) for e in ends]
    height = min(rng.uniform(10, 17), bottom - top - 5)
    return Form((tall, 388), start, bottom - rng.uniform(3, 5), height, [], [], rules, pitch)


#: layout -> what draws it, and how often it comes
LAYOUTS = {
    "labelled": (_labelled, 0.34),
    "narrow": (_narrow, 0.21),
    "under label": (_under_label, 0.09),
    "given name": (_given_name, 0.09),
    "plain": (_plain, 0.24),
    "comb": (_comb, 0.03),
}


def random_form(rng: np.random.Generator, layout: str | None = None) -> tuple[str, Form]:
    """Return the name of a layout, drawn as often as `LAYOUTS` says, and a form of that kind.

    Raises:
        ValueError: there is no such layout.
    """
    if layout is None:
        chances = [chance for _, chance in LAYOUTS.values()]
        layout = list(LAYOUTS)[rng.choice(len(chances), p=chances)]
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: there are {', '.join(LAYOUTS)}")
    return layout, LAYOUTS[layout][0](rng)


@cache
def phrase(text: str, weight: str) -> np.ndarray:
    """A printed phrase as uint8 (30, W), 255 is ink: twice the size on the crop, the baseline on row 22."""
    glyphs = load_print()[weight]
    ink = np.concatenate([glyphs[c] for c in text], axis=1)
    ink = ink[:, : ink.shape[1] // 2 * 2].astype(np.uint16)
    return ((ink[::2, ::2] + ink[1::2, ::2] + ink[::2, 1::2] + ink[1::2, 1::2]) // 4).astype(np.uint8)


PHRASE_BASE = PRINT_BASE // 2


def stamp(mask: np.ndarray, form: Form) -> None:
    """Draw what is printed on the form into `mask`, uint8 (2H, 2W), in place."""
    for text, weight, x, base, upright in form.printed:
        ink = phrase(text, weight)
        if upright:  # reads upward, its capitals' feet toward the right
            ink, top, left = np.rot90(ink), round(2 * base) - ink.shape[1] // 2, round(2 * x) - 4
        else:
            top, left = round(2 * base) - PHRASE_BASE, round(2 * x)
        row, column = max(top, 0), max(left, 0)
        piece = ink[row - top : max(mask.shape[0] - top, 0), column - left : max(mask.shape[1] - left, 0)]
        place = mask[row : row + piece.shape[0], column : column + piece.shape[1]]
        np.maximum(place, piece, out=place)
