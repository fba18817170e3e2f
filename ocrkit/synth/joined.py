"""Joined Persian script: a letter has up to four forms, alone, at the beginning, in the middle and at the end of a
joined group; they are chosen as a font's shaping rules do, and set side by side. Taught in notebook 10."""

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from ocrkit.synth.atlas import load_sheet, trim
from ocrkit.synth.ink import require_known
from ocrkit.synth.persian_faces import DIGITS, HEIGHT, SPLITS
from ocrkit.text.alphabets import ARABIC_DIGITS
from ocrkit.text.reading_order import MIRRORED, visual_order
from ocrkit.text.strings import quote

MARKS = "/-.:_(),،"
BOTH = "بپتثجچحخسشصضطظعغفقکگلمنهیئيك"  # letters that join on both sides
RIGHT = "اآأدذرزژوؤ"  # those that join the letter before them, on their right, and never the next
ALEFS = "اآأ"  # a lam and one of them are written as one shape
ZWNJ, JOINER = "\u200c", "\u200d"
#: Every drawing of the atlas. A joiner beside a letter stands for the neighbor that it is joined to.
DRAWN = [
    *[right + c + left for c in BOTH for right in ("", JOINER) for left in ("", JOINER)],
    *[right + c for c in [*RIGHT, *("ل" + a for a in ALEFS)] for right in ("", JOINER)],
    *("ء" + DIGITS + ARABIC_DIGITS + MARKS),
]
CHARACTERS = frozenset("".join(DRAWN).replace(JOINER, "") + " " + ZWNJ)


class Drawing(NamedTuple):
    """A letter: `ink` (64, W), 255 is ink; `left`, pixels from the pen to its first column; `advance` of the pen."""

    ink: np.ndarray
    left: int
    advance: float


def joined_ink(text: str, face: str, arabic_digits: bool = False) -> np.ndarray:
    """One line of Persian as ink, uint8 (64, W), 255 is ink: its baseline is row 38, an alef 22 high. For notebook 10.

    `text` is in logical order: Persian letters, digits ۰-۹ and ٠-٩, blanks, ZWNJ and `MARKS`. On the picture it runs
    from right to left and its numbers from left to right (`reading_order.to_visual`). `arabic_digits` draws ۰-۹ in the
    forms ٠-٩. Raises a ValueError where there is no such face, or the text is blank or has another character.
    """
    glyphs = _glyphs(face)
    if unknown := sorted(set(text) - CHARACTERS):
        raise ValueError(
            f"the text {text!r} has {quote(unknown)}, which the faces lack: "
            f"they have the letters of Persian, its digits and the Arabic ones, blanks and {MARKS}"
        )
    forms, places, pen = _forms(text), [], 0.0
    for i, in_number in visual_order(text):
        form = forms[i] if in_number else forms[i].translate(MIRRORED)
        if arabic_digits:
            form = form.translate(_TO_ARABIC)
        if not form:
            continue
        ink, left, advance = glyphs[form]
        if ink.size:
            places.append((pen + left, form))
        pen += advance
    if not places:
        raise ValueError(f"the text {text!r} is blank: there is nothing to draw")
    start = int(np.floor(min(x for x, _ in places)))
    stop = int(max(x + glyphs[form].ink.shape[1] for x, form in places)) + 2
    canvas = np.zeros((HEIGHT, stop - start), np.uint16)
    for x, form in places:
        # A joint is the sum of two halves, which are seldom cut between two pixels.
        step = int((x - start) * _PARTS + 0.5)
        ink = _shifted(face, form, step % _PARTS)
        canvas[:, step // _PARTS : step // _PARTS + ink.shape[1]] += ink
    return np.minimum(trim(canvas), 255).astype(np.uint8)


def joined_faces(split: str = "train") -> list[str]:
    """The faces of a split, "train", "valid" or "test": those of `load_persian` whose letters join well."""
    require_known("split", SPLITS, split)
    return [face["name"] for face in load_sheet("joined")[1]["faces"] if face["split"] == split]


_TO_ARABIC = str.maketrans(DIGITS, ARABIC_DIGITS)
_PARTS = 4  # a letter may stand at any quarter of a pixel


def _forms(text: str) -> list[str]:
    """For each character the drawing that stands for it: "" for none, and for an alef that its lam has taken in."""
    forms, before = [], False  # whether the letter before joins this one
    letters = re.findall(f"ل[{ALEFS}]|.", text, re.DOTALL)
    for letter, after in zip(letters, [*letters[1:], " "]):
        joins = letter in BOTH and after[0] in BOTH + RIGHT
        known = letter[0] in BOTH + RIGHT
        form = JOINER * before + letter + JOINER * joins if known else letter.replace(ZWNJ, "")
        forms += [form, ""][: len(letter)]
        before = joins
    return forms


@cache
def _glyphs(face: str) -> dict[str, Drawing]:
    sheet, index = load_sheet("joined")
    names = [known["name"] for known in index["faces"]]
    require_known("joined face", names, face)
    row = names.index(face)
    columns = np.split(sheet[row * HEIGHT :][:HEIGHT], np.cumsum(index["widths"])[:-1], axis=1)
    advances = [int(a) / 64 for a in index["faces"][row]["advances"].split()]
    glyphs = {" ": Drawing(np.zeros((HEIGHT, 0), np.uint8), 0, advances[-1])}
    for text, ink, pen, advance in zip(DRAWN, columns, index["pens"], advances):
        glyphs[text] = Drawing(trim(ink), int(ink.any(axis=0).argmax()) - pen, advance)
    return glyphs


@cache
def _shifted(face: str, form: str, parts: int) -> np.ndarray:
    """A drawing moved to the right by some quarters of a pixel, uint16 (64, W + 1)."""
    ink = np.pad(_glyphs(face)[form].ink.astype(np.uint16), ((0, 0), (1, 1)))
    return (ink[:, 1:] * (_PARTS - parts) + ink[:, :-1] * parts) // _PARTS
