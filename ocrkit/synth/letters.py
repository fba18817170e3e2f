"""Draws scanned one-page Persian business letters with exact boxes of what is on them. Taught in notebook 10."""

from functools import partial
from typing import NamedTuple

import numpy as np

import ocrkit.synth.letter_parts as parts
from ocrkit.data.layouts.pages import FIELDS, PageField
from ocrkit.synth.bulk import Rendered, render_many
from ocrkit.synth.ink import Rng, Seed, Size, one_of, require_known
from ocrkit.synth.joined import joined_faces
from ocrkit.synth.letter_layouts import LETTER_LAYOUTS, chosen_fields, draw_block, draw_title
from ocrkit.synth.letter_scan import random_turn, scan, turned
from ocrkit.synth.letter_sheet import HIGH, WIDE, Print, Sheet
from ocrkit.synth.letter_text import random_sender

SIZE = (1170, 827)  # height and width in pixels of A4 paper at 100 dots an inch
#: What else has a box on a page, beside `FIELDS`.
OTHER_KINDS = ("label", "letterhead", "recipient", "body", "signature", "stamp", "footer")


class Letter(NamedTuple):
    """A page, uint8 (H, W), with its fields of the kinds `FIELDS`, and what else is on it, of `OTHER_KINDS`."""

    face: str
    layout: str
    fields: list[PageField]
    other: list[PageField]
    image: np.ndarray


def render_letter(
    rng: Seed = None, split: str = "train", size: Size = SIZE, layout: str | None = None, degrade: bool = True
) -> Letter:
    """Draw one letter, the same at every `size` where `rng` is the same. Taught in notebook 10.

    The box of a field holds the ink of its value, without the label, and follows the turn of the page. Its text is in
    logical order, with Persian digits, also where the page shows Arabic forms. Raises a ValueError where no split or
    layout has that name, or `size` is below 200 pixels.

    Args:
        split: "train", "valid" or "test": no family of fonts and no layout is in two of them.
        layout: the name of one of the `LETTER_LAYOUTS` of any split; by default drawn from those of `split`.
        degrade: False draws black on white, straight and in its place.
    """
    rng = np.random.default_rng(rng)
    sheet, layout = compose(rng, split, size, layout)
    forward = random_turn(rng, size) if degrade else np.eye(2, 3)
    ink = sheet.paint()
    image = scan(turned(ink, forward), rng) if degrade else 255 - ink
    found = sheet.fields(forward)
    fields = sorted((f for f in found if f.kind in FIELDS), key=lambda f: FIELDS.index(f.kind))
    return Letter(sheet.print.value, layout, fields, [f for f in found if f.kind not in FIELDS], image)


def compose(rng: Rng, split: str, size: Size, layout: str | None = None) -> tuple[Sheet, str]:
    """Lay a letter out; returns the sheet and the name of the layout. Takes and raises as `render_letter`."""
    require_known("split", LETTER_LAYOUTS, split)
    if min(size) < 200:
        raise ValueError(f"size={size}: a page needs at least 200 pixels in height and width")
    print_, chosen = _print(rng, split), one_of(LETTER_LAYOUTS[split], rng)
    known = {one.name: one for layouts in LETTER_LAYOUTS.values() for one in layouts}
    require_known("layout", known, layout or chosen.name)
    sheet, place = Sheet(size, rng, print_), known[layout or chosen.name]
    kinds = chosen_fields(sheet)
    # A row has no room for a title, nor has every other block: there it has a line of its own.
    apart = "title" in kinds and (place.arrangement in ("row", "stacked") or rng.random() < 0.4)
    block = [kind for kind in kinds if not (apart and kind == "title")] or ["date"]
    sender, side = random_sender(rng), one_of(("center", "right", "left"), rng)
    if place.place in ("left", "right"):
        left, right, least = draw_block(sheet, place, block, rng.uniform(40, 72))
        room = (right + 20, WIDE - 55) if place.place == "left" else (55, left - 20)
        middle = WIDE / 2
        if side != "center":
            side = "right" if place.place == "left" else "left"
        elif room[0] < middle - 110 and room[1] > middle + 110:
            reach = min(middle - room[0], room[1] - middle)
            room = (middle - reach, middle + reach)
        base = parts.draw_head(sheet, room, side, least, sender)
    else:
        top = parts.draw_head(sheet, (55, WIDE - 55), side, 0, sender) + rng.uniform(6, 20)
        base = draw_block(sheet, place, block, top)[2]
    edges = (rng.uniform(60, 95), WIDE - rng.uniform(60, 95))
    base += rng.uniform(22, 45)
    before = rng.random() < 0.4
    if apart and before:
        base = draw_title(sheet, base, edges)
    base = parts.draw_recipient(sheet, edges[1], base)
    if apart and not before:
        base = draw_title(sheet, base, edges)
    base = parts.draw_text(sheet, edges, base + rng.uniform(2, 14), HIGH - rng.uniform(270, 420))
    x = rng.uniform(150, 330)
    end = parts.draw_signature(sheet, x, base + rng.uniform(10, 40), sender)
    if rng.random() < 0.5:
        parts.draw_stamp(sheet, x + rng.uniform(-60, 160), base + rng.uniform(0, 110), sender)
    if rng.random() < 0.3 and end < HIGH - 190:
        parts.draw_copies(sheet, edges[1], end + rng.uniform(0, 20))
    if rng.random() < 0.75:
        parts.draw_foot(sheet)
    return sheet, place.name


def _print(rng: Rng, split: str) -> Print:
    names = joined_faces(split)
    value, label, body, head = (names[i] for i in rng.integers(len(names), size=4))
    # Half of the letters keep to one face, as most programs do by default.
    label, body = (value if rng.random() < 0.5 else other for other in (label, body))
    return Print(value, label, body, head, rng.uniform(8.6, 11.2))


def render_letters(
    n: int, seed: int = 0, size: Size = SIZE, workers: int = 0, first: int = 0, split: str = "train"
) -> Rendered:
    """Draw `n` letters in the fonts and layouts of `split`, called as `render_plates` is. Taught in notebook 10.

    Returns `(images, table)`: images uint8 (n, H, W), and a table with `face`, `layout`, `fields` (a list of
    `PageField`), `other` and `split`.
    """
    draw = partial(_random_letter, size=size, split=split)
    images, table = render_many(draw, Letter._fields[:-1], n, seed, None, workers, first, split)
    return np.array(images, np.uint8).reshape(n, *size), table


def _random_letter(i: int, rng: Rng, size: Size, split: str) -> Letter:
    return render_letter(rng, split, size)
