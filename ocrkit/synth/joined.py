"""Joined Persian script: whole words and lines in many fonts, put together from small pictures of the letters.

A Persian letter has up to four forms: alone, at the beginning, in the middle and at the end of a joined group.
`joined_ink` chooses the forms, as a font's shaping rules do, and sets them side by side. `build_joined` is for
maintainers (`make sample` runs it) and needs the fonts. Taught in notebook 10.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.atlas import open_font, save_sheet
from ocrkit.synth.faces import Face
from ocrkit.synth.persian_faces import (
    BASELINE,
    DIGITS,
    HEIGHT,
    PERSIAN_FACES,
    SPLITS,
    face_name,
    font_folder,
    open_face,
)
from ocrkit.text.alphabets import ARABIC_DIGITS
from ocrkit.text.reading_order import MIRRORED, visual_order
from ocrkit.text.strings import quote

FILE = Path(__file__).with_name("joined_atlas.png")
MARKS = "/-.:_(),،"
BOTH = "بپتثجچحخسشصضطظعغفقکگلمنهیئيك"  # letters that join on both sides
RIGHT = "اآأدذرزژوؤ"  # those that join the letter before them, on their right, and never the next
ALONE = "ء"
ALEFS = "اآأ"  # a lam and one of them are written as one shape
ZWNJ, JOINER = "\u200c", "\u200d"
#: Every drawing of the atlas. A joiner beside a letter stands for the neighbor that it is joined to.
DRAWN = [
    *[right + c + left for c in BOTH for right in ("", JOINER) for left in ("", JOINER)],
    *[right + c for c in [*RIGHT, *("ل" + a for a in ALEFS)] for right in ("", JOINER)],
    *(ALONE + DIGITS + ARABIC_DIGITS + MARKS),
]
CHARACTERS = frozenset("".join(DRAWN).replace(JOINER, "") + " " + ZWNJ)


class Drawing(NamedTuple):
    """A letter: `ink` (64, W), 255 is ink; `left`, pixels from the pen to its first column; `advance` of the pen."""

    ink: np.ndarray
    left: int
    advance: float


def joined_ink(text: str, face: str, arabic_digits: bool = False) -> np.ndarray:
    """One line of Persian as ink: uint8 (64, W), as wide as its ink, 255 is ink.

    The baseline is row `persian_faces.BASELINE`, an alef `persian_faces.ALEF` pixels high.

    Args:
        text: in logical order: Persian letters, digits ۰-۹ and ٠-٩, blanks, ZWNJ and `MARKS`. On the picture
            it runs from right to left and its numbers from left to right (`reading_order.to_visual`).
        face: one of `joined_faces`.
        arabic_digits: draw ۰-۹ in the forms ٠-٩, in the same places.

    Raises:
        ValueError: no face has that name; or the text is blank, or has another character.

    Taught in notebook 10.
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
    columns = np.flatnonzero(canvas.any(axis=0))
    return np.minimum(canvas[:, columns[0] : columns[-1] + 1], 255).astype(np.uint8)


def joined_faces(split: str = "train") -> list[str]:
    """The names of the faces of a split, those of `persian_faces` whose letters fit together.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: the fonts are parted into {', '.join(SPLITS)}")
    return [name for name, face in _index()[0].items() if face["split"] == split]


_TO_ARABIC = str.maketrans(DIGITS, ARABIC_DIGITS)
_PARTS = 4  # a letter may stand at any quarter of a pixel


def _forms(text: str) -> list[str]:
    """For each character the drawing that stands for it: "" for none, and for an alef that its lam has taken in."""
    forms = [c if c != ZWNJ else "" for c in text]
    before = False  # whether the letter before joins this one
    i = 0
    while i < len(text):
        c, after = text[i], text[i + 1 : i + 2]
        if c == "ل" and after and after in ALEFS:
            forms[i], forms[i + 1] = JOINER * before + c + after, ""
            before, i = False, i + 2
            continue
        joins = c in BOTH and bool(after) and after in BOTH + RIGHT
        if c in BOTH or c in RIGHT:
            forms[i] = JOINER * before + c + JOINER * joins
        before, i = joins, i + 1
    return forms


@cache
def _index() -> tuple[dict[str, dict], list[int], list[int], np.ndarray]:
    """The faces by name, where each drawing begins, where its pen stands, and the sheet."""
    index = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    with Image.open(FILE) as image:
        sheet = np.asarray(image.convert("L"))
    starts = np.concatenate([[0], np.cumsum(index["widths"])]).tolist()
    return {face["name"]: {**face, "row": k} for k, face in enumerate(index["faces"])}, starts, index["pens"], sheet


@cache
def _glyphs(face: str) -> dict[str, Drawing]:
    faces, starts, pens, sheet = _index()
    if face not in faces:
        raise ValueError(f"no joined face is named {face!r}; there are: {', '.join(faces)}")
    strip = sheet[faces[face]["row"] * HEIGHT :][:HEIGHT]
    advances = [int(a) / 64 for a in faces[face]["advances"].split()]
    glyphs = {" ": Drawing(np.zeros((HEIGHT, 0), np.uint8), 0, advances[-1])}
    for text, start, end, pen, advance in zip(DRAWN, starts, starts[1:], pens, advances):
        columns = np.flatnonzero(strip[:, start:end].any(axis=0))
        ink = strip[:, start + columns[0] : start + columns[-1] + 1]
        glyphs[text] = Drawing(ink, int(columns[0]) - pen, advance)
    return glyphs


@cache
def _shifted(face: str, form: str, parts: int) -> np.ndarray:
    """A drawing moved to the right by some quarters of a pixel, uint16 (64, W + 1)."""
    ink = np.pad(_glyphs(face)[form].ink.astype(np.uint16), ((0, 0), (1, 1)))
    return (ink[:, 1:] * (_PARTS - parts) + ink[:, :-1] * parts) // _PARTS


#: How the names of faces begin whose letters do not fit together by their forms alone, or are outlines, or too high.
UNFIT = ("rakkas", "aref-ruqaa", "UKIJEsN", "UKIJMe")
JOINED_FACES = [face for face in PERSIAN_FACES if not face_name(face).startswith(UNFIT)]
_FINE = 4  # pixels to one of the atlas while a letter is drawn


def build_joined(file: Path = FILE) -> None:
    """Draw all forms in every face and write the PNG and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its package.
        ValueError: a font lacks a letter, or a drawing does not fit into a row.
    """
    rows = [[*_draw_all(face)] for face in JOINED_FACES]
    pens = [max(max(0, -row[k].left) for row in rows) for k in range(len(DRAWN))]
    widths = [max(p + row[k].left + row[k].ink.shape[1] for row in rows) for k, p in enumerate(pens)]
    sheet = np.zeros((HEIGHT * len(rows), sum(widths)), np.uint8)
    faces = []
    for k, (face, row) in enumerate(zip(JOINED_FACES, rows)):
        for start, pen, drawing in zip(np.cumsum([0, *widths]), pens, row):
            left = start + pen + drawing.left
            sheet[k * HEIGHT : (k + 1) * HEIGHT, left : left + drawing.ink.shape[1]] = drawing.ink
        advances = " ".join(str(round(64 * drawing.advance)) for drawing in row)
        faces.append({"name": face_name(face), "split": face.split, "advances": advances})
    save_sheet(file, sheet, {"widths": widths, "pens": pens, "faces": faces})


def _draw_all(face: Face):
    """A `Drawing` for each of `DRAWN`, and last the blank, which has only an advance."""
    font = open_face(face)
    marks = _latin_font(face, font)
    for text in DRAWN:
        yield draw_form(marks if text in MARKS and text != "،" else font, text)
    blank = font.getlength(" ", direction="rtl", language="fa") / _FINE
    yield Drawing(np.zeros((HEIGHT, 0), np.uint8), 0, blank)


def _latin_font(face: Face, font: ImageFont.FreeTypeFont) -> ImageFont.FreeTypeFont:
    """The font with `/ - .` and so on: web fonts come in a file a script."""
    if not face.package.startswith("@fontsource"):
        return font
    path = font_folder(face) / "latin".join(face.file.rsplit("arabic", 1))
    return open_font(path, round(font.size), 0, face.package)


def draw_form(font: ImageFont.FreeTypeFont, text: str) -> Drawing:
    """Draw one form at the pen, which stands between two pixels of the atlas."""
    # Marks and digits are drawn as they are; in right-to-left text, brackets would be mirrored.
    how = {"direction": "ltr" if text in DIGITS + ARABIC_DIGITS + MARKS else "rtl", "language": "fa"}
    left, top, right, bottom = font.getbbox(text, anchor="ls", **how)
    if top < -BASELINE * _FINE or bottom > (HEIGHT - BASELINE) * _FINE:
        raise ValueError(f"{text!r} in {font.path} is too high for its row: take it off the list")
    pen = -(min(left, 0) // _FINE) + 1
    wide = pen + max(right, 0) // _FINE + 2
    image = Image.new("L", (wide * _FINE, HEIGHT * _FINE))
    ImageDraw.Draw(image).text((pen * _FINE, BASELINE * _FINE), text, 255, font, anchor="ls", **how)
    ink = np.asarray(image.reduce(_FINE))
    columns = np.flatnonzero(ink.any(axis=0))
    ink = ink[:, columns[0] : columns[-1] + 1]
    return Drawing(ink, int(columns[0]) - pen, font.getlength(text, **how) / _FINE)
