"""The sheet on which a letter is laid out; lengths are in hundredths of an inch on A4 paper, 827 x 1170."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ocrkit.data.layouts.pages import PageField
from ocrkit.synth.ink import Rng, Size, lay
from ocrkit.synth.joined import joined_ink
from ocrkit.synth.persian_faces import ALEF, BASELINE, HEIGHT

WIDE, HIGH = 827, 1170  # of the paper in units
EDGE = 64  # ink from which a pixel counts as drawn, of 255
#: end of a text that stands at x -> what part of it lies left of x
SHARES = {"right": 1.0, "center": 0.5, "left": 0.0}


class Piece(NamedTuple):
    """Ink, uint8 (h, w), 255 is full, whose upper left pixel comes to (x, y) of the picture."""

    ink: np.ndarray
    x: int
    y: int
    tone: float = 1.0  # how dark it is printed, 0 to 1
    kind: str = ""  # none for ornaments that no box is told of
    text: str = ""


class Print(NamedTuple):
    """What a letter is printed in: the faces of its parts, and the height of an alef in units."""

    value: str
    label: str
    body: str
    head: str
    alef: float


class Sheet:
    """Collects the pieces of a page of `size`; its toner makes strokes fatter, its digits have the forms ٠-٩ or ۰-۹."""

    def __init__(self, size: Size, rng: Rng, print_: Print):
        self.size, self.rng, self.print = size, rng, print_
        self.across, self.down = size[1] / WIDE, size[0] / HIGH
        self.toner, self.arabic = rng.uniform(1.1, 1.6), rng.random() < 0.25
        self.pieces: list[Piece] = []  # each by itself, so that its box can be told exactly after the page was turned

    def measure(self, text: str, face: str, alef: float) -> float:
        """The width of a text whose letter alef is `alef` units high."""
        return _ink(text, face, self.arabic).shape[1] * alef / ALEF

    def write(
        self, text: str, x: float, base: float, alef: float, face: str, kind: str, anchor: str = "right",
        label: str = "",
    ) -> float:  # fmt: skip
        """Put a line of text on the baseline `base`; `x` is its "right" or "left" end or its "center".

        `label` is the text of the piece where it is not all that is drawn. Returns the width.
        """
        ink = self._scaled(text, face, alef)
        width = ink.shape[1] / self.across
        self._put(ink, x - SHARES[anchor] * width, base, alef, kind, label or text)
        return width

    def write_words(
        self, words: list[str], right: float, base: float, alef: float, face: str, width: float | None, space: float
    ) -> None:
        """Put words of the body on a line from the right to the left, spread over `width` where it is given."""
        inks = [self._scaled(word, face, alef) for word in words]
        total, gap = sum(ink.shape[1] for ink in inks), space * self.across
        if width is not None and len(words) > 1:
            gap = (width * self.across - total) / (len(words) - 1)
        line = np.zeros((inks[0].shape[0], round(total + gap * (len(words) - 1)) + 2), np.uint8)
        end = float(line.shape[1])
        for ink in inks:
            lay(line, ink, max(0, round(end) - ink.shape[1]), 0)
            end -= ink.shape[1] + gap
        self._put(line, right - line.shape[1] / self.across, base, alef, "body", " ".join(words))

    def _scaled(self, text: str, face: str, alef: float) -> np.ndarray:
        return _scaled(text, face, self.arabic, alef / ALEF * self.across, alef / ALEF * self.down)

    def _put(self, ink: np.ndarray, left: float, base: float, alef: float, kind: str, text: str) -> None:
        # The finest strokes, made small, would be a pale grey; a printer puts full black on them.
        gain = np.float32(max(self.toner, min(3, 235 / max(int(ink.max()), 1))))
        ink = np.minimum(ink * gain, 255).astype(np.uint8)
        top = round(base * self.down - BASELINE * alef / ALEF * self.down)
        self.pieces.append(Piece(ink, round(left * self.across), top, 1.0, kind, text))

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: float) -> None:
        """A straight line, level or upright, to the right or down."""
        wide, high = (x1 - x0) * self.across, (y1 - y0) * self.down
        scale = self.down if wide > high else self.across
        pixels = max(1, round(thick * scale))
        shape = (pixels, max(1, round(wide))) if wide > high else (max(1, round(high)), pixels)
        self.paste(np.full(shape, 255, np.uint8), x0, y0, min(1.0, max(0.35, thick * scale)))

    def frame(self, x0: float, y0: float, x1: float, y1: float, thick: float, round_by: float) -> None:
        """A rectangle; `round_by` rounds its corners."""
        if round_by <= 0:
            for ends in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)):
                self.rule(*ends, thick)
            return
        wide, high = 2 * round((x1 - x0) * self.across) + 4, 2 * round((y1 - y0) * self.down) + 4
        image, line = Image.new("L", (wide, high)), max(2, round(2 * thick * self.across))
        box = (2, 2, wide - 3, high - 3)
        ImageDraw.Draw(image).rounded_rectangle(box, 2 * round_by * self.across, outline=255, width=line)
        self.paste(image.reduce(2), x0, y0)

    def dots(self, x0: float, x1: float, base: float, step: float) -> None:
        """A dotted line to write on."""
        ink = np.zeros((max(1, round(1.3 * self.down)), max(1, round((x1 - x0) * self.across))), np.uint8)
        spots = np.arange(0, ink.shape[1], max(2.0, step * self.across)).astype(int)
        ink[:, spots] = 230
        if self.across > 0.8:
            ink[:, np.minimum(spots + 1, ink.shape[1] - 1)] = 120
        self.paste(ink, x0, base, 0.9)

    def paste(self, ink: Image.Image | np.ndarray, x: float, y: float, tone: float = 1.0, kind: str = "") -> None:
        """Put a drawing in pixels with its upper left corner at (x, y)."""
        self.pieces.append(Piece(np.asarray(ink), round(x * self.across), round(y * self.down), tone, kind))

    def paint(self) -> np.ndarray:
        """All pieces as one layer of ink, uint8 (H, W), 255 is black."""
        page = np.zeros(self.size, np.uint8)
        for ink, x, y, tone, *_ in self.pieces:
            lay(page, ink if tone == 1 else (ink * np.float32(tone)).astype(np.uint8), x, y)
        return page

    def fields(self, forward: np.ndarray) -> list[PageField]:
        """The boxes of all pieces of a kind, after `forward`, (2, 3), moved every point (x, y) of the picture."""
        found = ((piece, _box(piece, forward, self.size)) for piece in self.pieces if piece.kind)
        return [PageField(piece.kind, piece.text, box) for piece, box in found if box]


_ink = lru_cache(maxsize=2048)(joined_ink)


@lru_cache(maxsize=1024)
def _scaled(text: str, face: str, arabic: bool, across: float, down: float) -> np.ndarray:
    image = Image.fromarray(_ink(text, face, arabic))
    size = max(1, round(image.width * across)), max(1, round(HEIGHT * down))
    return np.asarray(image.resize(size, Image.Resampling.HAMMING))


def _box(piece: Piece, forward: np.ndarray, size: Size) -> tuple[int, int, int, int] | None:
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
    points = forward @ np.stack([x, y, np.ones(len(x))])
    ends = np.stack([np.floor(points.min(axis=1) + 0.3), np.ceil(points.max(axis=1) - 0.3)])
    (x0, y0), (x1, y1) = np.clip(ends, 0, size[::-1]).astype(int).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
