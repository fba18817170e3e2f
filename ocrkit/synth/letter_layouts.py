"""Where a letter has its date, number, attachment and title, and what is printed around them. Taught in notebook 10."""

from typing import NamedTuple

from ocrkit.synth.ink import one_of
from ocrkit.synth.letter_sheet import SHARES, WIDE, Sheet
from ocrkit.synth.letter_text import fill, random_title

Box = tuple[float, float, float, float]  # left, top, right and bottom in units


class Layout(NamedTuple):
    """How the block of the fields is made."""

    place: str  # "left", "right" of the letterhead; "low left", "low right", "center" or, over all, "wide" under it
    arrangement: str  # a "column" of fields, a "row", a "grid" of two columns, or "stacked": labels above values
    frame: str  # "", "dots" or "rule" under the values, "box", "table", or "band" between two rules

    @property
    def name(self) -> str:
        return " ".join(filter(None, self))


def _layouts(*lines: str) -> list[Layout]:
    """A layout for each frame that a line names after its place and arrangement."""
    found = []
    for line in lines:
        where, frames = line.split(": ")
        place, arrangement = where.rsplit(" ", 1)
        found += [Layout(place, arrangement, frame.replace("none", "")) for frame in frames.split()]
    return found


#: split -> its layouts, none in two: those for testing join places and frames that training shows only apart
LETTER_LAYOUTS: dict[str, list[Layout]] = {
    "train": _layouts(
        "left column: none dots rule box", "right column: none dots", "low left column: none rule",
        "wide row: none rule band", "wide stacked: none table", "center column: dots", "left grid: none",
        "wide grid: table", "low right stacked: box",
    ),
    "valid": _layouts("center column: none", "low right column: dots", "left stacked: box", "wide row: table"),
    "test": _layouts(
        "left column: table", "right column: box", "low left column: dots", "low right column: none",
        "center column: rule", "left grid: box", "wide row: dots box", "wide stacked: band",
    ),
}  # fmt: skip

#: field -> how it is called on a page, the usual way first
_LABELS = {
    "date": ("تاریخ", "تاریخ", "تاریخ", "تاریخ", "مورخ", "تاریخ نامه"),
    "number": ("شماره", "شماره", "شماره", "شماره", "شماره نامه", "شماره ثبت"),
    "attachment": ("پیوست", "پیوست", "پیوست", "پیوست‌ها"),
    "title": ("عنوان", "عنوان", "موضوع"),
}
#: field -> how often a letter has it, and how often its label stands there without a value
_CHANCES = {"date": (0.96, 0.03), "number": (0.92, 0.06), "attachment": (0.88, 0.08), "title": (0.75, 0.02)}


class _Style:
    """What the fields of one block have in common, by chance."""

    def __init__(self, sheet: Sheet, frame: str):
        rng, alef = sheet.rng, sheet.print.alef
        self.frame = frame
        self.label_alef, self.value_alef = alef * rng.uniform(0.9, 1.1), alef * rng.uniform(0.92, 1.12)
        self.colon = one_of((":", ":", " :", ""), rng)
        # Units of a value above its label's baseline.
        self.raised = rng.uniform(0, 2.5) if frame in ("dots", "rule") else rng.normal(0, 0.6)
        self.align = one_of(("right", "right", "center", "left"), rng)  # where a value stands in its room
        self.label_room = 0.0  # units kept for all labels; 0: each value follows its label


def chosen_fields(sheet: Sheet) -> list[str]:
    """The fields that a letter has, in their order: in three of ten the number is first, one in eight is mixed up."""
    rng = sheet.rng
    kinds = [kind for kind, (chance, _) in _CHANCES.items() if rng.random() < chance] or ["date"]
    if rng.random() < 0.3 and kinds[:2] == ["date", "number"]:
        kinds[:2] = ["number", "date"]
    if rng.random() < 0.12:
        rng.shuffle(kinds)
    return kinds


def draw_block(sheet: Sheet, layout: Layout, kinds: list[str], top: float) -> tuple[float, float, float]:
    """Draw the fields `kinds` as `layout` says, from `top` down; returns the block's left, right and bottom."""
    rng = sheet.rng
    _, arrangement, frame = layout
    left, right = _span(sheet, layout)
    style = _Style(sheet, frame)
    if arrangement in ("row", "grid") and frame in ("", "band", "box"):
        style.align = "right"  # else nothing would tell a value from the one of the next label
    columns = {"column": 1, "grid": 2}.get(arrangement, len(kinds))
    rows = -(-len(kinds) // columns)
    high = rng.uniform(2.5, 3.3) * style.value_alef * (1.75 if arrangement == "stacked" else 1)
    bottom = top + rows * high
    if arrangement == "column" and (frame == "table" or rng.random() < 0.5):
        style.label_room = 16 + max(
            sheet.measure(_LABELS[kind][-1], sheet.print.label, style.label_alef) for kind in kinds
        )
    wide = (right - left) / columns
    for k, kind in enumerate(kinds):
        x1, y0 = right - k % columns * wide, top + k // columns * high
        _field(sheet, kind, (x1 - wide, y0, x1, y0 + high), style, arrangement == "stacked")
    _frame(sheet, layout, (left, top, right, bottom), (columns, rows), style.label_room)
    return left, right, bottom


def draw_title(sheet: Sheet, base: float, edges: tuple[float, float]) -> float:
    """Draw the title on a line of its own, at the right or in the middle of `edges`; returns the next baseline."""
    rng, type_ = sheet.rng, sheet.print
    style = _Style(sheet, "")
    text = random_title(rng)
    label = one_of(_LABELS["title"], rng)
    gap = 0.6 * style.value_alef
    shown = label + style.colon
    total = sheet.measure(shown, type_.label, style.label_alef) + gap
    total += sheet.measure(text, type_.value, style.value_alef)
    right = edges[1] if rng.random() < 0.6 else (sum(edges) + total) / 2
    wide = sheet.write(shown, right, base, style.label_alef, type_.label, "label", label=label)
    sheet.write(text, right - wide - gap, base, style.value_alef, type_.value, "title")
    return base + 3 * type_.alef


def _span(sheet: Sheet, layout: Layout) -> tuple[float, float]:
    """The left and right end of the block in units."""
    rng = sheet.rng
    edge = rng.uniform(48, 80)
    wide = {"column": rng.uniform(175, 235), "grid": rng.uniform(300, 350)}.get(layout.arrangement, 310.0)
    if layout.place == "wide":
        return edge, WIDE - edge
    if layout.place == "center":
        middle = WIDE / 2 + rng.uniform(-10, 10)
        return middle - wide / 2, middle + wide / 2
    return (edge, edge + wide) if layout.place.endswith("left") else (WIDE - edge - wide, WIDE - edge)


def _field(sheet: Sheet, kind: str, cell: Box, style: _Style, stacked: bool) -> None:
    """A label at the right of a cell and its value at the left; `stacked`, both in the middle, one above the other."""
    x0, y0, x1, y1 = cell
    label, face, alef = one_of(_LABELS[kind], sheet.rng), sheet.print.label, style.label_alef
    if stacked:
        base, shown = y0 + 0.36 * (y1 - y0), label + style.colon.strip()
        sheet.write(shown, (x0 + x1) / 2, base, alef, face, "label", "center", label)
        _value(sheet, kind, x0 + 5, x1 - 5, y0 + 0.82 * (y1 - y0), style, "center")
    else:
        base = y0 + 0.66 * (y1 - y0)
        wide = sheet.write(label + style.colon, x1 - 6, base, alef, face, "label", label=label)
        right = x1 - max(wide + 6 + 0.6 * style.value_alef, style.label_room)
        _value(sheet, kind, x0 + 6, right, base, style, style.align)


def _value(sheet: Sheet, kind: str, left: float, right: float, base: float, style: _Style, align: str) -> None:
    """A value between `left` and `right`, made smaller if it is too long, and the line under it."""
    rng, face = sheet.rng, sheet.print.value
    if style.frame == "dots":
        sheet.dots(left, right, base + 2, rng.uniform(3, 5))
    elif style.frame == "rule":
        sheet.rule(left, base + 3, right, base + 3, 0.8)
    if rng.random() < _CHANCES[kind][1]:  # the field is empty
        if style.frame == "" and rng.random() < 0.7:
            start = left + max(0, right - left - 110) * SHARES[align]
            sheet.dots(start, min(right, start + 110), base, rng.uniform(3, 5))
        return
    for _ in range(20):
        text = fill(f"{{{kind}}}", rng)
        wide = sheet.measure(text, face, style.value_alef)
        if wide <= right - left:
            break
    alef = style.value_alef * min(1.0, (right - left) / wide)
    x = {"right": right, "left": left, "center": (left + right) / 2}[align]
    sheet.write(text, x, base - style.raised, alef, face, kind, align)


def _frame(sheet: Sheet, layout: Layout, box: Box, cells: tuple[int, int], label_room: float) -> None:
    """What is drawn around the block and between its cells, `cells` columns and rows."""
    rng, (left, top, right, bottom) = sheet.rng, box
    thick = rng.uniform(0.8, 1.8)
    if layout.frame == "band":
        sheet.rule(left, top, right, top, thick)
        sheet.rule(left, bottom, right, bottom, thick)
    elif layout.frame in ("box", "table"):
        soft = layout.frame == "box" and rng.random() < 0.5
        sheet.frame(left, top, right, bottom, thick, rng.uniform(5, 12) if soft else 0)
    if layout.frame == "table":
        uprights = [right - k * (right - left) / cells[0] for k in range(1, cells[0])]
        levels = [top + k * (bottom - top) / cells[1] for k in range(1, cells[1])]
        if layout.arrangement == "column":
            uprights.append(right - label_room + 4)
        elif layout.arrangement == "stacked" and rng.random() < 0.6:
            levels.append(top + 0.48 * (bottom - top))
        for x in uprights:
            sheet.rule(x, top, x, bottom, thick)
        for y in levels:
            sheet.rule(left, y, right, y, thick)
