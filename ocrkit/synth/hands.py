"""Hands: the letters of handwriting fonts as strokes, for any pen and bend, and of two printing fonts as pictures."""

import string
from functools import cache

import numpy as np

from ocrkit.synth.atlas import load_sheet

Strokes = list[np.ndarray]  # polylines of x and y, in heights of a capital: x from 0, y from -1 at the top to 0

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
PRINTED = string.ascii_letters + string.digits + " :/-()É°è"
PRINT_BASE = 44  # row on which printed characters stand


@cache
def load_hands() -> tuple[dict[str, dict[str, list[Strokes]]], dict[str, list[str]]]:
    """Return `(hands, names)`: `hands[name][character]` lists the ways in which a hand writes the character, each as
    strokes; `names[split]` has the fonts, no design in two. "pupil", for training, has capitals only. See notebook 08.
    """
    index, names = load_sheet("names")[1], {"train": [], "test": []}
    for hand in index["hands"]:
        names[hand["split"]].append(hand["name"])
    drawn = {hand["name"]: hand["letters"] for hand in index["hands"]} | {"pupil": index["pupil"]}
    return {name: dict(zip(CHARACTERS, map(_ways, letters))) for name, letters in drawn.items()}, names


@cache
def load_print() -> dict[str, dict[str, np.ndarray]]:
    """Return `glyphs[weight][character]`, uint8 (60, advance), 255 is ink; capitals are 36 high, on row 44."""
    sheet, index = load_sheet("names")
    rows = np.split(sheet, len(index["print"]))
    return {
        weight: dict(zip(PRINTED, np.split(row, np.cumsum(widths), axis=1)))
        for row, (weight, widths) in zip(rows, index["print"].items())
    }


def _ways(letter: str) -> list[Strokes]:
    """Ways parted by "|", strokes by commas, and x y x y ... in hundredths of a capital's height."""
    return [[_divide(np.array(s.split(), float).reshape(-1, 2) / 100) for s in w.split(",")] for w in letter.split("|")]


def _divide(points: np.ndarray, step: float = 0.3) -> np.ndarray:
    """Put further points on long straight pieces, so that these can be bent as well."""
    counts = np.ceil(np.hypot(*np.diff(points, axis=0).T) / step).astype(int)
    if counts.max(initial=0) < 2:
        return points
    at = np.concatenate([[0], *(k + np.arange(1, n + 1) / n for k, n in enumerate(counts) if n)])
    return np.stack([np.interp(at, np.arange(len(points)), v) for v in points.T], axis=1)
