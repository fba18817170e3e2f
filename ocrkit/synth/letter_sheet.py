"""The sheet on which a letter is laid out: what stands where, as ink that is painted later, and drawn ornaments.

Lengths are in units of a hundredth of an inch on A4 paper, 827 x 1170, whatever the size of the picture. A sheet
keeps each piece of ink by itself, so that its box can be told exactly, also after the page was turned.
Taught in notebook 10.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ocrkit.data.layouts.pages import PageField
from ocrkit.synth.joined import joined_ink
from ocrkit.synth.persian_faces import ALEF, BASELINE, HEIGHT

WIDE, HIGH = 827, 1170  # of the paper in units
EDGE = 64  # ink from which a pixel counts as drawn, of 255


class Piece(NamedTuple):
    """Ink, uint8 (h, w), 255 is full, whose upper left pixel comes to (x, y) of the picture."""

    ink: np.ndarray
    x: int
    y: int
    tone: float  # how dark it is printed, 0 to 1
    kind: str  # "" for ornaments that no box is told of
    text: str


class Sheet:
    """Collects the pieces of a page of `size` (height, width) in pixels.

    Args:
        toner: how fat the print is; 1 leaves the strokes as they are in the atlas.
        arabic: all digits are drawn in the forms ٠-٩.
    """

    def __init__(self, size: tuple[int, int], toner: float = 1.0, arabic: bool = False):
        self.size, self.toner, self.arabic = size, toner, arabic
        self.across, self.down = size[1] / WIDE, size[0] / HIGH
        self.pieces: list[Piece] = []

    def measure(self, text: str, face: str, alef: float) -> float:
        """The width of a text whose letter alef is `alef` units high."""
        return _ink(text, face, self.arabic).shape[1] * alef / ALEF

    def write(
        self, text: str, x: float, base: float, alef: float, face: str, kind: str = "", anchor: str = "right",
        tone: float = 1.0, label: str | None = None,
    ) -> float:  # fmt: skip
        """Put a line of text on the baseline `base`; `x` is its "right" or "left" end or its "center".

        `label` is the text of the piece where it is not all that is drawn. Returns the width.
        """
        ink = _scaled(text, face, self.arabic, *self._scale(alef))
        self._put(ink, x - _SHARES[anchor] * ink.shape[1] / self.across, base, alef, tone, kind, label or text)
        return ink.shape[1] / self.across

    def write_words(
        self, words: list[str], right: float, base: float, alef: float, face: str, width: float | None, space: float,
        kind: str,
    ) -> None:  # fmt: skip
        """Put words on a line from the right to the left, spread over `width` where it is given."""
        inks = [_word(word, face, self.arabic, *self._scale(alef)) for word in words]
        total = sum(ink.shape[1] for ink in inks)
        gap = space * self.across
        if width is not None and len(words) > 1:
            gap = (width * self.across - total) / (len(words) - 1)
        line = np.zeros((inks[0].shape[0], round(total + gap * (len(words) - 1)) + 2), np.uint8)
        end = float(line.shape[1])
        for ink in inks:
            start = max(0, round(end) - ink.shape[1])
            place = line[:, start : start + ink.shape[1]]
            np.maximum(place, ink[:, : place.shape[1]], out=place)
            end -= ink.shape[1] + gap
        self._put(line, right - line.shape[1] / self.across, base, alef, 1.0, kind, " ".join(words))

    def _scale(self, alef: float) -> tuple[float, float]:
        """Pixels of the picture to one of the atlas, across and down."""
        return alef / ALEF * self.across, alef / ALEF * self.down

    def _put(self, ink: np.ndarray, left: float, base: float, alef: float, tone: float, kind: str, text: str) -> None:
        # The finest strokes, made small, would be a pale grey; a printer puts full black on them.
        gain = np.float32(max(self.toner, min(3, 235 / max(int(ink.max()), 1))))
        ink = np.minimum(ink * gain, 255).astype(np.uint8)
        top = round(base * self.down - BASELINE * alef / ALEF * self.down)
        self.pieces.append(Piece(ink, round(left * self.across), top, tone, kind, text))

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: float = 1.0, tone: float = 1.0) -> None:
        """A straight line, level or upright."""
        wide, high = abs(x1 - x0) * self.across, abs(y1 - y0) * self.down
        scale = self.down if wide > high else self.across
        pixels = max(1, round(thick * scale))
        shape = (pixels, max(1, round(wide))) if wide > high else (max(1, round(high)), pixels)
        ink = np.full(shape, 255, np.uint8)
        x, y = round(min(x0, x1) * self.across), round(min(y0, y1) * self.down)
        self.pieces.append(Piece(ink, x, y, tone * min(1.0, max(0.35, thick * scale)), "", ""))

    def frame(self, x0: float, y0: float, x1: float, y1: float, thick: float = 1.0, round_by: float = 0) -> None:
        """A rectangle; `round_by` rounds its corners."""
        if round_by <= 0:
            for ends in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)):
                self.rule(*ends, thick)
            return
        size = round((x1 - x0) * self.across) + 2, round((y1 - y0) * self.down) + 2
        image = Image.new("L", (2 * size[0], 2 * size[1]))
        box = (2, 2, 2 * size[0] - 3, 2 * size[1] - 3)
        ImageDraw.Draw(image).rounded_rectangle(
            box, 2 * round_by * self.across, outline=255, width=max(2, round(2 * thick * self.across))
        )
        self.paste(image.reduce(2), x0, y0)

    def dots(self, x0: float, x1: float, base: float, step: float = 4.0) -> None:
        """A dotted line to write on."""
        ink = np.zeros((max(1, round(1.3 * self.down)), max(1, round((x1 - x0) * self.across))), np.uint8)
        spots = np.arange(0, ink.shape[1], max(2.0, step * self.across)).astype(int)
        ink[:, spots] = 230
        if self.across > 0.8:
            ink[:, np.minimum(spots + 1, ink.shape[1] - 1)] = 120
        self.pieces.append(Piece(ink, round(x0 * self.across), round(base * self.down), 0.9, "", ""))

    def paste(self, image: Image.Image, x: float, y: float, tone: float = 1.0, kind: str = "") -> None:
        """Put a drawing in pixels with its upper left corner at (x, y)."""
        self.pieces.append(Piece(np.asarray(image), round(x * self.across), round(y * self.down), tone, kind, ""))

    def paint(self, pieces: list[Piece] | None = None) -> np.ndarray:
        """All pieces, or those given, as one layer of ink, uint8 (H, W), 255 is black."""
        page = np.zeros(self.size, np.uint8)
        for piece in self.pieces if pieces is None else pieces:
            x, y = max(piece.x, 0), max(piece.y, 0)
            ink = piece.ink[y - piece.y : max(self.size[0] - piece.y, 0), x - piece.x : max(self.size[1] - piece.x, 0)]
            place = page[y : y + ink.shape[0], x : x + ink.shape[1]]
            if piece.tone < 1:
                ink = (ink * np.float32(piece.tone)).astype(np.uint8)
            np.maximum(place, ink, out=place)
        return page

    def fields(self, forward: np.ndarray) -> list[PageField]:
        """The boxes of all pieces of a kind, after `forward`, (2, 3), moved every point (x, y) of the picture."""
        found = ((piece, _box(piece, forward, self.size)) for piece in self.pieces if piece.kind)
        return [PageField(piece.kind, piece.text, box) for piece, box in found if box]


_SHARES = {"right": 1.0, "center": 0.5, "left": 0.0}


_ink = lru_cache(maxsize=2048)(joined_ink)


def _scaled(text: str, face: str, arabic: bool, across: float, down: float) -> np.ndarray:
    image = Image.fromarray(_ink(text, face, arabic))
    size = max(1, round(image.width * across)), max(1, round(HEIGHT * down))
    return np.asarray(image.resize(size, Image.Resampling.HAMMING))


_word = lru_cache(maxsize=4096)(_scaled)


def _box(piece: Piece, forward: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The box of the moved ink of a piece, or None where nothing of it is left on the picture."""
    drawn = piece.ink > EDGE
    columns = np.flatnonzero(drawn.any(axis=0))
    if not len(columns):
        return None
    # The highest and lowest pixel of each column hold all corners that the ink's box can touch.
    first = drawn[:, columns].argmax(axis=0)
    last = drawn.shape[0] - drawn[::-1, columns].argmax(axis=0)
    x = np.concatenate([columns, columns + 1, columns, columns + 1]) + piece.x
    y = np.concatenate([first, first, last, last]) + piece.y
    x, y = forward @ np.stack([x, y, np.ones(len(x))])
    x0, x1 = np.clip([np.floor(x.min() + 0.3), np.ceil(x.max() - 0.3)], 0, size[1]).astype(int).tolist()
    y0, y1 = np.clip([np.floor(y.min() + 0.3), np.ceil(y.max() - 0.3)], 0, size[0]).astype(int).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
