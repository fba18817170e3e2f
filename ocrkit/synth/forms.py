"""The forms on which names stand: what is printed around a name, where the name is, and how the scanner cuts it out."""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from ocrkit.synth.hands import PRINT_BASE, load_print
from ocrkit.synth.ink import Rng, Size, lay, one_of, require_known


class Form(NamedTuple):
    """A crop of a form; lengths in pixels."""

    size: Size  # height and width
    start: float  # middle of the box of the first letter; most forms print the boxes in a color that scans as white
    pitch: float  # from one box to the next
    line: float  # row on which the name stands
    height: float  # of its capitals
    printed: list[tuple[str, str, float, float, bool]]  # text, weight, x, row of the baseline, upright along the edge
    digits: list[tuple[str, float, float]]  # hand-written digits of other rows: text, x, row of the baseline
    rules: list[tuple[float, float, float, float]]  # straight lines: x, y, x, y


def _height(rng: Rng, mean: float) -> float:
    return float(np.clip(rng.normal(mean, 0.14 * mean), 0.65 * mean, 1.5 * mean))


def _number(rng: Rng, n: int) -> str:
    return "".join(str(d) for d in rng.integers(10, size=n))


def _code(rng: Rng) -> str:
    """The number of a school."""
    return _number(rng, 7) + one_of("ABCDEFSTUWXZ", rng)


def _labelled(rng: Rng) -> Form:
    """A bold label at the left, the number of the sheet along the edge, pieces of the rows above and below."""
    printed, digits, rules = [], [], []
    x = rng.uniform(1, 9)
    given = rng.random() < 0.5
    stamped = rng.random() < (0.8 if given else 0.25)
    if stamped:  # the scanner printed the time over the label's start
        edge = rng.uniform(0, 8)
        clock = ":".join(_number(rng, 2) for _ in range(3))
        printed.append((clock, "bold", edge, rng.uniform(2, 30), True))
        if rng.random() < 0.5:
            rules.append((edge - 2, 0, edge - 2, 99))
        x = edge + rng.uniform(5, 9)
    if given or (stamped and rng.random() < 0.5):
        tall = int(rng.integers(18, 35)) if given else 36
        line = min(rng.normal(16, 1.5), tall - 2)
        label, below = "PRENOM :" if given else "NOM :", line + rng.uniform(25, 29)
        if rng.random() < 0.7:
            digits.append((_number(rng, int(rng.integers(4, 9))), rng.uniform(86, 120), below))
            if given:
                printed.append(("CLASSE :   o 6ème", "bold", rng.uniform(215, 235), below - rng.uniform(0, 3), False))
    else:
        tall, label = 36, "NOM :"
        line = rng.normal(30, 2.5)
        above = line - rng.uniform(23, 27)
        digits.append((_code(rng), x + rng.uniform(118, 126), above + 1))
        printed.append(("CODE RNE / UAI :", "bold", x, above, False))
    printed.append((label, "bold", x, line, False))
    start, base = x + rng.uniform(80, 91), line + rng.normal(0.5 if given else 0, 1.6)
    return Form((tall, 388), start, rng.normal(17.8, 0.25), base, _height(rng, 11.5), printed, digits, rules)


def _narrow(rng: Rng) -> Form:
    """The name alone, at times under the lower half of a label."""
    start, line = rng.normal(25, 1.6), rng.normal(22.5, 2.4)
    word, base = "NOM" if rng.random() < 0.5 else "PRENOM", line - rng.uniform(19, 26)
    printed = [(word, "regular", start + rng.uniform(-14, 4), base, False)]
    return Form((31, 284), start, rng.normal(15.7, 0.25), line, _height(rng, 11.5), printed, [], [])


def _under_label(rng: Rng) -> Form:
    """A label, the name below it, and the row above cut by the upper edge."""
    x, label = rng.uniform(28, 38), rng.uniform(15, 24)
    above = label - rng.uniform(18, 20)
    printed = [("NOM", "regular", x, label, False), ("CODE UAI / RNE", "regular", x, above, False)]
    digits = [(_code(rng), x + rng.uniform(116, 134), above + rng.uniform(2, 6))]
    tall = int(rng.choice([50, 50, 50, 50, 46, 47, 52]))
    line = label + rng.uniform(21, 27)
    start = x + rng.normal(4, 2)
    return Form((tall, 284), start, rng.normal(15.2, 0.25), line, _height(rng, 11.5), printed, digits, [])


def _given_name(rng: Rng) -> Form:
    """A label, space, the given name in small letters, and the upper edge of the next label."""
    x, tall = rng.uniform(28, 40), int(rng.integers(60, 71))
    label = rng.uniform(12, 16)
    line = label + rng.normal(38, 1.5)
    below = "DATE DE NAISSANCE - CLASSE" if rng.random() < 0.8 else "NÉ(E) LE" + " " * 30 + "CLASSE"
    printed = [("PRENOM", "regular", x, label, False), (below, "regular", x, label + 59 + rng.normal(0, 1.5), False)]
    return Form((tall, 284), x + rng.normal(4, 2), rng.normal(15.2, 0.25), line, _height(rng, 10.5), printed, [], [])


def _plain(rng: Rng) -> Form:
    """The name alone on white paper, with a stray line now and then."""
    rules = []
    if rng.random() < 0.06:
        x, y = rng.uniform(240, 322), rng.uniform(0, 44)
        rules.append((x, y, x + rng.uniform(-4, 9), y + rng.uniform(-20, 20)))
    start, line = rng.normal(15.6, 1.3), rng.normal(29.5, 1.7)
    return Form((44, 324), start, rng.normal(17.7, 0.25), line, _height(rng, 12.4), [], [], rules)


def _comb(rng: Rng) -> Form:
    """A form whose boxes can be seen, or the comb that parts them."""
    tall, pitch = int(rng.integers(30, 45)), rng.uniform(14, 20)
    top, bottom = rng.uniform(2, 5), tall - rng.uniform(2, 5)
    start = rng.uniform(4, 30)
    ends = np.arange(start, 380 if rng.random() < 0.5 else rng.uniform(250, 380), pitch)
    rules = [(start, bottom, ends[-1], bottom), *((e, bottom - 5, e, bottom) for e in ends)]
    if rng.random() < 0.6:
        rules = [(start, y, ends[-1], y) for y in (top, bottom)] + [(e, top, e, bottom) for e in ends]
    height = min(rng.uniform(10, 17), bottom - top - 5)
    return Form((tall, 388), start + pitch / 2, pitch, bottom - rng.uniform(3, 5), height, [], [], rules)


#: Printing font -> how much wider and taller it stands on the forms than in the atlas.
_STRETCH = {"regular": (1.0, 1.0), "bold": (0.95, 1.1)}
#: layout -> what draws it, and how often it comes
LAYOUTS = {
    "labelled": (_labelled, 0.34),
    "narrow": (_narrow, 0.21),
    "under label": (_under_label, 0.09),
    "given name": (_given_name, 0.09),
    "plain": (_plain, 0.24),
    "comb": (_comb, 0.03),
}


def random_form(rng: Rng, layout: str | None = None) -> tuple[str, Form]:
    """Return the name of a layout, drawn as often as `LAYOUTS` says, and a form of that kind."""
    if layout is None:
        layout = str(rng.choice(list(LAYOUTS), p=[chance for _, chance in LAYOUTS.values()]))
    require_known("layout", LAYOUTS, layout)
    return layout, LAYOUTS[layout][0](rng)


@cache
def _phrase(text: str, weight: str) -> np.ndarray:
    """A printed phrase as uint8 (H, W), 255 is ink: twice the size on the crop, bold letters taller and narrower."""
    ink = Image.fromarray(np.concatenate([load_print()[weight][c] for c in text], axis=1))
    across, up = _STRETCH[weight]
    return np.asarray(ink.resize((round(ink.width * across / 2), round(ink.height * up / 2)), Image.Resampling.BOX))


def stamp(mask: np.ndarray, form: Form) -> None:
    """Draw what is printed on the form into `mask`, uint8 (2H, 2W), in place."""
    for text, weight, x, base, upright in form.printed:
        ink = _phrase(text, weight)
        if upright:  # reads upward, its capitals' feet toward the right
            lay(mask, np.rot90(ink), round(2 * x) - 4, round(2 * base) - ink.shape[1] // 2)
        else:
            lay(mask, ink, round(2 * x), round(2 * base) - round(PRINT_BASE / 2 * _STRETCH[weight][1]))
