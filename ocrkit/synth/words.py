"""Persian words, numbers and dates as they are cut out of a scanned letter, for readers of whole lines.

Only numpy, Pillow, pandas, the faces of `joined_atlas.png` and the words of `persian_words.txt` are needed. No word
and no family of fonts is in two splits. Taught in notebook 10.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ocrkit.data.images import resize
from ocrkit.synth.bulk import draw_many
from ocrkit.synth.degrade import BICUBIC
from ocrkit.synth.glyphs import reweigh, scan
from ocrkit.synth.joined import joined_faces, joined_ink
from ocrkit.synth.letter_text import persian, pick, random_date, random_number
from ocrkit.synth.persian_faces import ALEF, BASELINE, HEIGHT, SPLITS
from ocrkit.text.alphabets import PERSIAN_LETTERS

LIST = Path(__file__).with_name("persian_words.txt")
SIZE = (32, 160)  # height and width in pixels of a picture by default
#: What a crop may say -> how often: w is a word, n a whole number, l a letter, N the number of a letter, A what its
#: attachments are, D a date; the rest stands for itself.
PATTERNS = {
    "w": 26, "w w": 20, "w w w": 9, "w w w w": 5, "N": 8, "A": 3, "D": 3, "n": 3, "n/l/n": 2, "n-n": 1, "n.n": 1,
    "w n": 4, "n w": 3, "w: n": 2, "w: w": 2, "w (w)": 2, "(w n)": 1, "w، w w": 2, "w - w": 1, "w/w": 1, "w_n": 1,
    "w.": 1,
}  # fmt: skip
_LABELS = ["تاریخ:", "شماره:", "پیوست:", "موضوع:", "عنوان:", "مورخ", "تاریخ", "شماره", ":"]
INVENTED = 0.3  # how many words of a training picture are no words


def render_words(
    n: int,
    seed: int = 0,
    size: tuple[int, int] | None = SIZE,
    workers: int = 0,
    first: int = 0,
    split: str = "train",
) -> tuple[np.ndarray | list[np.ndarray], pd.DataFrame]:
    """Draw `n` crops of printed words, numbers and values of fields; picture i depends on `seed` and i alone.

    Three in ten words for training are letters by chance, so that a reader cannot guess from half a word the rest; all
    words for validation and test are of the list, and in no other split.

    Args:
        size: height and width of all images; None gives each the size of its crop, some 14 to 50 pixels high.
        workers: processes that share the work; 0 or 1 does it here.
        first: number of the first picture, to go on where another call ended.
        split: "train", "valid" or "test": whose words and whose fonts.

    Returns:
        `(images, table)`: images uint8 (n, H, W, 3), or a list of them without `size`, and a table with `text` (in
        logical order, with Persian digits also where the picture has Arabic ones), `face` and `split`.

    Raises:
        ValueError: there is no such split.

    Taught in notebook 10.
    """
    return _render(_phrase, n, seed, size, workers, first, split)


def render_dates(
    n: int,
    seed: int = 0,
    size: tuple[int, int] | None = SIZE,
    workers: int = 0,
    first: int = 0,
    split: str = "train",
) -> tuple[np.ndarray | list[np.ndarray], pd.DataFrame]:
    """`render_words` for dates of the Jalali calendar in the styles of letters, such as ۱۴۰۲/۰۵/۱۷ and ۷-۵-۱۴۰۲.

    Taught in notebook 10.
    """
    return _render(_date, n, seed, size, workers, first, split)


@cache
def persian_words(split: str = "train") -> list[str]:
    """The words of a split: of each ten about eight are for training, one for validation and one for test.

    Raises:
        ValueError: there is no such split.
    """
    joined_faces(split)
    words = LIST.read_text(encoding="utf-8").split()
    return [w for w in words if SPLITS[max(0, zlib.crc32(w.encode()) % 10 - 7)] == split]


def render_crop(text: str, face: str, rng: np.random.Generator | int | None = None) -> np.ndarray:
    """One line of Persian as a crop of a scanned letter, uint8 (H, W, 3), letters 8 to 16 pixels high.

    Beside it may stand what is near: the end of a label, a rule or dots below, the side of a cell, the line above. One
    in three has its digits in their Arabic forms.

    Args:
        text: as for `joined.joined_ink`.
        face: one of `joined.joined_faces`.
        rng: source of all chance, a numpy Generator or a seed. The same state gives the same pixels.

    Raises:
        ValueError: as `joined_ink`.

    Taught in notebook 10.
    """
    rng = np.random.default_rng(rng)
    ink = joined_ink(text, face, arabic_digits=rng.random() < 0.35)
    if rng.random() < 0.4:
        ink = reweigh(ink, rng)
    slant = rng.normal(0, 0.1) if rng.random() < 0.3 else 0.0
    turn = np.radians(np.clip(rng.normal(0, 0.7), -1.5, 1.5))
    # What the turn moves up or down, and the slant to the sides, must not be cut off: a ۴ would become a ۳.
    room = abs(turn) * ink.shape[1] / 2, abs(slant) * np.ptp(np.flatnonzero(ink.any(axis=1))) / 2
    return scan(_turned(_surrounded(ink, face, room, rng), slant, turn, rng), rng)


def _render(
    write: Callable[[np.random.Generator, str], str],
    n: int,
    seed: int,
    size: tuple[int, int] | None,
    workers: int,
    first: int,
    split: str,
) -> tuple[np.ndarray | list[np.ndarray], pd.DataFrame]:
    joined_faces(split)  # raises where there is no such split
    draw = partial(_numbered, write=write, seed=seed, size=size and tuple(size), split=split)
    images, table = draw_many(draw, range(first, first + n), size, workers, ("text", "face"))
    return images, table.assign(split=split)


def _numbered(
    i: int, write: Callable[[np.random.Generator, str], str], seed: int, size: tuple[int, int] | None, split: str
) -> tuple[str, str, np.ndarray]:
    rng = np.random.default_rng([seed, i])
    faces = joined_faces(split)
    face, text = faces[rng.integers(len(faces))], write(rng, split)
    image = render_crop(text, face, rng)
    return text, face, image if size is None else resize(image, size)


def _date(rng: np.random.Generator, split: str) -> str:
    return random_date(rng)


def _phrase(rng: np.random.Generator, split: str) -> str:
    names, chances = _patterns()
    pattern = names[int(np.searchsorted(chances, rng.random()))]
    return "".join(_PARTS[c](rng, split) if c in _PARTS else c for c in pattern)


@cache
def _patterns() -> tuple[list[str], np.ndarray]:
    upto = np.cumsum([*PATTERNS.values()])
    return list(PATTERNS), upto / upto[-1]


def _word(rng: np.random.Generator, split: str) -> str:
    words = persian_words(split)
    if split != "train" or rng.random() >= INVENTED:
        return words[rng.integers(len(words))]
    letters = rng.integers(len(PERSIAN_LETTERS), size=rng.integers(2, 9))
    return "".join(PERSIAN_LETTERS[k] for k in letters)


_PARTS: dict[str, Callable[[np.random.Generator, str], str]] = {
    "w": _word,
    "n": lambda rng, split: persian(int(rng.integers(1, 10 ** int(rng.integers(1, 6))))),
    "l": lambda rng, split: PERSIAN_LETTERS[rng.integers(len(PERSIAN_LETTERS))],
    "N": lambda rng, split: random_number(rng),
    "A": lambda rng, split: pick("attachment", rng),
    "D": lambda rng, split: random_date(rng),
}


def _surrounded(ink: np.ndarray, face: str, room: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Ink with ragged margins and what may stand in them, uint8 (H, W), in the scale of the atlas.

    `room` is what is added to the margins, above and below, and at the sides.
    """
    rows = np.flatnonzero(ink.any(axis=1))
    above, below, left, right = np.ceil(rng.uniform(0, (12, 12, 14, 14)) + np.repeat(room, 2)).astype(int)
    label = None
    if rng.random() < 0.3:
        label = joined_ink(_LABELS[rng.integers(len(_LABELS))], face)
        gap = int(rng.integers(5, 16))
        right = gap + int(rng.integers(1, min(14, label.shape[1]) + 1))
    frame = rng.random() < 0.15  # the side of a table's cell, which looks like a ۱
    if frame:
        left += 8
    # Drawn on a ground with room above and below, from which the crop is cut.
    ground = np.zeros((64 + HEIGHT + 64, left + ink.shape[1] + right), np.uint8)
    ground[64 : 64 + HEIGHT, left : left + ink.shape[1]] = ink
    if label is not None:
        part = label[:, : right - gap]
        ground[64 : 64 + HEIGHT, ground.shape[1] - part.shape[1] :] = part
    if rng.random() < 0.25:  # a rule or dots to write on
        row, thick = 64 + BASELINE + int(rng.integers(3, 14)), int(rng.integers(1, 4))
        step, on = (1, 1) if rng.random() < 0.5 else (int(rng.integers(5, 10)), int(rng.integers(2, 4)))
        dots = np.arange(ground.shape[1]) % step < on
        line = ground[row : row + thick]
        line[:] = np.maximum(line, dots * np.uint8(rng.integers(120, 256)))
    if frame:
        column, thick = int(rng.integers(0, left - 6)), int(rng.integers(1, 4))
        line = ground[:, column : column + thick]
        line[:] = np.maximum(line, np.uint8(rng.integers(120, 256)))
    if rng.random() < 0.1:  # the line above or below, of which the crop has the edge
        other = joined_ink(_word(rng, "train"), face)[:, : ground.shape[1]]
        shift = int(rng.integers(38, 50)) * (1 if rng.random() < 0.5 else -1)
        at = int(rng.integers(0, ground.shape[1] - other.shape[1] + 1))
        spot = ground[64 + shift : 64 + shift + HEIGHT, at : at + other.shape[1]]
        spot[:] = np.maximum(spot, other)
    return ground[64 + rows[0] - above : 64 + rows[-1] + 1 + below]


def _turned(ink: np.ndarray, slant: float, turn: float, rng: np.random.Generator) -> np.ndarray:
    """Ink of the atlas in the size of a scan at about 100 dots an inch, slanted and turned a little, uint8 (H, W)."""
    scale = np.exp(rng.uniform(np.log(8), np.log(16))) / ALEF
    across = scale * rng.uniform(0.85, 1.15)
    height, width = max(8, round(ink.shape[0] * scale)), max(8, round(ink.shape[1] * across))
    forward = np.array([[across, -slant * scale], [turn * across, scale]])
    inverse = np.linalg.inv(2 * forward)
    offset = np.array(ink.shape[::-1]) / 2 - inverse @ (width, height)
    numbers = (inverse[0, 0], inverse[0, 1], offset[0], inverse[1, 0], inverse[1, 1], offset[1])
    # Drawn twice as large and halved, so that thin strokes are not lost between two pixels.
    large = Image.fromarray(ink).transform((2 * width, 2 * height), Image.Transform.AFFINE, numbers, BICUBIC)
    return np.asarray(large.reduce(2))
