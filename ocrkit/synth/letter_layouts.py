"""Where a letter has its date, number, attachment and title, and what is printed around them.

A layout is the place of their block on the page, how the fields are arranged in it, and what frames them. No layout
is in two splits: those for testing join places, arrangements and frames that training shows only apart.
Taught in notebook 10.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ocrkit.synth.letter_sheet import WIDE, Sheet
from ocrkit.synth.letter_text import random_value


class Layout(NamedTuple):
    """How the block of the fields is made."""

    place: str  # "left", "right" of the letterhead; "low left", "low right", "center" or, over all, "wide" under it
    arrangement: str  # a "column" of fields, a "row", a "grid" of two columns, or "stacked": labels above values
    frame: str  # "", "dots" or "rule" under the values, "box", "table", or "band" between two rules

    @property
    def name(self) -> str:
        return " ".join(filter(None, self))


#: split -> its layouts
LETTER_LAYOUTS: dict[str, list[Layout]] = {
    "train": [
        *[Layout("left", "column", frame) for frame in ("", "dots", "rule", "box")],
        *[Layout("right", "column", frame) for frame in ("", "dots")],
        *[Layout("low left", "column", frame) for frame in ("", "rule")],
        *[Layout("wide", "row", frame) for frame in ("", "rule", "band")],
        *[Layout("wide", "stacked", frame) for frame in ("", "table")],
        Layout("center", "column", "dots"),
        Layout("left", "grid", ""),
        Layout("wide", "grid", "table"),
        Layout("low right", "stacked", "box"),
    ],
    "valid": [
        Layout("center", "column", ""),
        Layout("low right", "column", "dots"),
        Layout("left", "stacked", "box"),
        Layout("wide", "row", "table"),
    ],
    "test": [
        Layout("left", "column", "table"),
        Layout("right", "column", "box"),
        Layout("low left", "column", "dots"),
        Layout("low right", "column", ""),
        Layout("center", "column", "rule"),
        Layout("left", "grid", "box"),
        Layout("wide", "row", "dots"),
        Layout("wide", "row", "box"),
        Layout("wide", "stacked", "band"),
    ],
}

#: field -> how it is called on a page, the usual way first
_LABELS = {
    "date": ("تاریخ", "تاریخ", "تاریخ", "تاریخ", "مورخ", "تاریخ نامه"),
    "number": ("شماره", "شماره", "شماره", "شماره", "شماره نامه", "شماره ثبت"),
    "attachment": ("پیوست", "پیوست", "پیوست", "پیوست‌ها"),
    "title": ("عنوان", "عنوان", "موضوع"),
}
#: field -> how often a letter has it, and how often its label stands there without a value
_CHANCES = {"date": (0.96, 0.03), "number": (0.92, 0.06), "attachment": (0.88, 0.08), "title": (0.75, 0.02)}


class Print(NamedTuple):
    """What a letter is printed in: the faces of its parts, and the height of an alef in units."""

    value: str
    label: str
    body: str
    head: str
    alef: float


class _Style(NamedTuple):
    """What the fields of one block have in common."""

    frame: str
    colon: str
    align: str  # where a value stands in its room
    raised: float  # units of a value above its label's baseline
    label_alef: float
    value_alef: float
    label_room: float  # units kept for all labels; 0: each value follows its label


def chosen_fields(rng: np.random.Generator) -> list[str]:
    """The fields that a letter has, in their order: in three of ten the number is first, one in eight is mixed up."""
    kinds = [kind for kind, (chance, _) in _CHANCES.items() if rng.random() < chance] or ["date"]
    if rng.random() < 0.3 and kinds[:2] == ["date", "number"]:
        kinds[:2] = ["number", "date"]
    if rng.random() < 0.12:
        rng.shuffle(kinds)
    return kinds


def draw_block(
    sheet: Sheet, rng: np.random.Generator, layout: Layout, kinds: list[str], top: float, type_: Print
) -> tuple[float, float, float]:
    """Draw the fields `kinds` as `layout` says, from `top` down; returns the block's left, right and bottom."""
    left, right = _span(layout, rng)
    style = _style(layout.frame, rng, type_)
    if layout.arrangement in ("row", "grid") and layout.frame in ("", "band", "box"):
        style = style._replace(align="right")  # else nothing would tell a value from the one of the next label
    columns = {"column": 1, "grid": 2}.get(layout.arrangement, len(kinds))
    rows = -(-len(kinds) // columns)
    high = rng.uniform(2.5, 3.3) * style.value_alef * (1.75 if layout.arrangement == "stacked" else 1)
    bottom = top + rows * high
    if layout.arrangement == "column" and (layout.frame == "table" or rng.random() < 0.5):
        labels = max(sheet.measure(_LABELS[kind][-1], type_.label, style.label_alef) for kind in kinds)
        style = style._replace(label_room=labels + 16)
    wide = (right - left) / columns
    for k, kind in enumerate(kinds):
        x1, y0 = right - k % columns * wide, top + k // columns * high
        cell = x1 - wide, y0, x1, y0 + high
        if layout.arrangement == "stacked":
            _stacked(sheet, rng, kind, cell, style, type_)
        else:
            _inline(sheet, rng, kind, cell, style, type_)
    _frame(sheet, rng, layout, (left, top, right, bottom), (columns, rows), style)
    return left, right, bottom


def draw_title(sheet: Sheet, rng: np.random.Generator, base: float, edges: tuple[float, float], type_: Print) -> None:
    """Draw the title on a line of its own, at the right or in the middle between the `edges`."""
    style = _style("", rng, type_)
    text = random_value("title", rng)
    label = _label("title", rng)
    gap = 0.6 * style.value_alef
    shown = label + style.colon
    total = sheet.measure(shown, type_.label, style.label_alef) + gap
    total += sheet.measure(text, type_.value, style.value_alef)
    right = edges[1] if rng.random() < 0.6 else (sum(edges) + total) / 2
    wide = sheet.write(shown, right, base, style.label_alef, type_.label, "label", label=label)
    sheet.write(text, right - wide - gap, base, style.value_alef, type_.value, "title")


def _span(layout: Layout, rng: np.random.Generator) -> tuple[float, float]:
    """The left and right end of the block in units."""
    edge = rng.uniform(48, 80)
    wide = {"column": rng.uniform(175, 235), "grid": rng.uniform(300, 350)}.get(layout.arrangement, 310.0)
    if layout.place == "wide":
        return edge, WIDE - edge
    if layout.place == "center":
        middle = WIDE / 2 + rng.uniform(-10, 10)
        return middle - wide / 2, middle + wide / 2
    return (edge, edge + wide) if layout.place.endswith("left") else (WIDE - edge - wide, WIDE - edge)


def _style(frame: str, rng: np.random.Generator, type_: Print) -> _Style:
    label_alef = type_.alef * rng.uniform(0.9, 1.1)
    value_alef = type_.alef * rng.uniform(0.92, 1.12)
    colon = (":", ":", " :", "")[rng.integers(4)]
    raised = rng.uniform(0, 2.5) if frame in ("dots", "rule") else rng.normal(0, 0.6)
    align = ("right", "right", "center", "left")[rng.integers(4)]
    return _Style(frame, colon, align, raised, label_alef, value_alef, 0.0)


def _label(kind: str, rng: np.random.Generator) -> str:
    return _LABELS[kind][rng.integers(len(_LABELS[kind]))]


def _inline(
    sheet: Sheet, rng: np.random.Generator, kind: str, cell: tuple[float, float, float, float], style: _Style,
    type_: Print,
) -> None:  # fmt: skip
    """A label at the right of a cell and its value at the left of it."""
    x0, y0, x1, y1 = cell
    base = y0 + 0.66 * (y1 - y0)
    label = _label(kind, rng)
    wide = sheet.write(label + style.colon, x1 - 6, base, style.label_alef, type_.label, "label", label=label)
    end = x1 - max(wide + 6 + 0.6 * style.value_alef, style.label_room)
    _value(sheet, rng, kind, (x0 + 6, end), base, style, type_)


def _stacked(
    sheet: Sheet, rng: np.random.Generator, kind: str, cell: tuple[float, float, float, float], style: _Style,
    type_: Print,
) -> None:  # fmt: skip
    """A label in the middle of a cell and its value under it."""
    x0, y0, x1, y1 = cell
    label, base = _label(kind, rng), y0 + 0.36 * (y1 - y0)
    shown = label + style.colon.strip()
    sheet.write(shown, (x0 + x1) / 2, base, style.label_alef, type_.label, "label", "center", label=label)
    _value(sheet, rng, kind, (x0 + 5, x1 - 5), y0 + 0.82 * (y1 - y0), style._replace(align="center"), type_)


def _value(
    sheet: Sheet, rng: np.random.Generator, kind: str, room: tuple[float, float], base: float, style: _Style,
    type_: Print,
) -> None:  # fmt: skip
    """A value in the `room` from its left to its right end, made smaller if it is too long, and the line under it."""
    left, right = room
    if style.frame == "dots":
        sheet.dots(left, right, base + 2, rng.uniform(3, 5))
    elif style.frame == "rule":
        sheet.rule(left, base + 3, right, base + 3, 0.8)
    if rng.random() < _CHANCES[kind][1]:  # the field is empty
        if style.frame == "" and rng.random() < 0.7:
            spare = max(0, right - left - 110) * {"right": 1, "left": 0, "center": 0.5}[style.align]
            sheet.dots(left + spare, min(right, left + spare + 110), base, rng.uniform(3, 5))
        return
    for _ in range(20):
        text = random_value(kind, rng, short=True)
        wide = sheet.measure(text, type_.value, style.value_alef)
        if wide <= right - left:
            break
    alef = style.value_alef * min(1.0, (right - left) / wide)
    x = {"right": right, "left": left, "center": (left + right) / 2}[style.align]
    sheet.write(text, x, base - style.raised, alef, type_.value, kind, style.align)


def _frame(
    sheet: Sheet, rng: np.random.Generator, layout: Layout, box: tuple[float, float, float, float],
    cells: tuple[int, int], style: _Style,
) -> None:  # fmt: skip
    """What is drawn around the block and between its cells."""
    left, top, right, bottom = box
    thick = rng.uniform(0.8, 1.8)
    if layout.frame == "band":
        sheet.rule(left, top, right, top, thick)
        sheet.rule(left, bottom, right, bottom, thick)
    elif layout.frame in ("box", "table"):
        soft = layout.frame == "box" and rng.random() < 0.5
        sheet.frame(left, top, right, bottom, thick, rng.uniform(5, 12) if soft else 0)
    if layout.frame == "table":
        for k in range(1, cells[0]):
            x = right - k * (right - left) / cells[0]
            sheet.rule(x, top, x, bottom, thick)
        for k in range(1, cells[1]):
            y = top + k * (bottom - top) / cells[1]
            sheet.rule(left, y, right, y, thick)
        if layout.arrangement == "column":
            sheet.rule(right - style.label_room + 4, top, right - style.label_room + 4, bottom, thick)
        elif layout.arrangement == "stacked" and rng.random() < 0.6:
            middle = top + 0.48 * (bottom - top)
            sheet.rule(left, middle, right, middle, thick)
