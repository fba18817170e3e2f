"""Persian words, numbers and dates as they are cut out of a scanned letter. Taught in notebook 10."""

import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from ocrkit.synth.bulk import Rendered, render_many
from ocrkit.synth.glyphs import reweigh, scan
from ocrkit.synth.ink import Rng, Seed, Size, lay, mapped, one_of, weighted
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


def render_words(
    n: int, seed: int = 0, size: Size | None = SIZE, workers: int = 0, first: int = 0, split: str = "train"
) -> Rendered:
    """Draw `n` crops of printed words, numbers and values of fields, called as `render_plates` is; for notebook 10.

    Three in ten words for training are letters by chance, so that a reader cannot guess from half a word the rest; all
    words for validation and test are of the list, and in no other split.

    Without `size` each image has that of its crop, some 14 to 50 pixels high; `split` is "train", "valid" or "test".
    The table has `text` (logical order, Persian digits also where the picture has Arabic ones), `face` and `split`.
    """
    return render_many(partial(_random_crop, split=split), ("text", "face"), n, seed, size, workers, first, split)


def render_dates(
    n: int, seed: int = 0, size: Size | None = SIZE, workers: int = 0, first: int = 0, split: str = "train"
) -> Rendered:
    """`render_words` for dates of the Jalali calendar, such as ۱۴۰۲/۰۵/۱۷ and ۷-۵-۱۴۰۲. Taught in notebook 10."""
    draw = partial(_random_crop, split=split, pattern="D")
    return render_many(draw, ("text", "face"), n, seed, size, workers, first, split)


def _random_crop(i: int, rng: Rng, split: str, pattern: str = "") -> tuple:
    face, pattern = one_of(joined_faces(split), rng), pattern or weighted(PATTERNS, rng)
    text = "".join(_PARTS[c](rng, split) if c in _PARTS else c for c in pattern)
    return text, face, render_crop(text, face, rng)


@cache
def persian_words(split: str = "train") -> list[str]:
    """The words of a split: of each ten about eight are for training, one for validation and one for test."""
    joined_faces(split)  # raises where there is no such split
    words = LIST.read_text(encoding="utf-8").split()
    return [w for w in words if SPLITS[max(0, zlib.crc32(w.encode()) % 10 - 7)] == split]


def _word(rng: Rng, split: str) -> str:
    words = persian_words(split)
    if split != "train" or rng.random() >= 0.3:
        return one_of(words, rng)
    letters = rng.integers(len(PERSIAN_LETTERS), size=rng.integers(2, 9))
    return "".join(PERSIAN_LETTERS[k] for k in letters)


_PARTS: dict[str, Callable[[Rng, str], str]] = {
    "w": _word,
    "n": lambda rng, split: persian(int(rng.integers(1, 10 ** int(rng.integers(1, 6))))),
    "l": lambda rng, split: one_of(PERSIAN_LETTERS, rng),
    "N": lambda rng, split: random_number(rng),
    "A": lambda rng, split: pick("attachment", rng),
    "D": lambda rng, split: random_date(rng),
}


def render_crop(text: str, face: str, rng: Seed = None) -> np.ndarray:
    """One line of Persian as a crop of a scanned letter, uint8 (H, W, 3), letters 8 to 16 pixels high.

    Beside it may stand what is near: the end of a label, a rule or dots below, the side of a cell, the line above. One
    in three has its digits in their Arabic forms. Takes and raises as `joined_ink`. Taught in notebook 10.
    """
    rng = np.random.default_rng(rng)
    ink = joined_ink(text, face, arabic_digits=rng.random() < 0.35)
    if rng.random() < 0.4:
        ink = reweigh(ink, rng)
    slant = rng.normal(0, 0.1) if rng.random() < 0.3 else 0.0
    turn = np.radians(np.clip(rng.normal(0, 0.7), -1.5, 1.5))
    # What the turn moves up or down, and the slant to the sides, must not be cut off: a ۴ would become a ۳.
    room = abs(turn) * ink.shape[1] / 2, abs(slant) * np.ptp(np.flatnonzero(ink.any(axis=1))) / 2
    ink = _surrounded(ink, face, room, rng)
    # In the size of a scan at about 100 dots an inch.
    scale = np.exp(rng.uniform(np.log(8), np.log(16))) / ALEF
    across = scale * rng.uniform(0.85, 1.15)
    height, width = max(8, round(ink.shape[0] * scale)), max(8, round(ink.shape[1] * across))
    forward = np.array([[across, -slant * scale], [turn * across, scale]])
    middle, to = np.array(ink.shape[::-1]) / 2, np.array([width, height]) / 2
    return scan(mapped(ink, forward, middle, (height, width), to), rng)


def _surrounded(ink: np.ndarray, face: str, room: tuple[float, float], rng: Rng) -> np.ndarray:
    """Ink with ragged margins, `room` (up, sideways) larger, and what may stand in them, uint8 (H, W)."""
    rows = np.flatnonzero(ink.any(axis=1))
    above, below, left, right = np.ceil(rng.uniform(0, (12, 12, 14, 14)) + np.repeat(room, 2)).astype(int)
    label = None
    if rng.random() < 0.3:
        label = joined_ink(one_of(_LABELS, rng), face)
        gap, shown = int(rng.integers(5, 16)), int(rng.integers(1, min(14, label.shape[1]) + 1))
        right = gap + shown
    frame = rng.random() < 0.15  # the side of a table's cell, which looks like a ۱
    if frame:
        left += 8
    # Drawn on a ground with room above and below, from which the crop is cut.
    ground = np.zeros((64 + HEIGHT + 64, left + ink.shape[1] + right), np.uint8)
    height, width = ground.shape
    lay(ground, ink, left, 64)
    if label is not None:
        lay(ground, label[:, :shown], width - shown, 64)
    if rng.random() < 0.25:  # a rule or dots to write on
        row, thick = 64 + BASELINE + int(rng.integers(3, 14)), int(rng.integers(1, 4))
        step, on = (1, 1) if rng.random() < 0.5 else (int(rng.integers(5, 10)), int(rng.integers(2, 4)))
        dots = (np.arange(width) % step < on) * np.uint8(rng.integers(120, 256))
        lay(ground, np.tile(dots, (thick, 1)), 0, row)
    if frame:
        column, thick = int(rng.integers(0, left - 6)), int(rng.integers(1, 4))
        lay(ground, np.full((height, thick), rng.integers(120, 256), np.uint8), column, 0)
    if rng.random() < 0.1:  # the line above or below, of which the crop has the edge
        other = joined_ink(_word(rng, "train"), face)[:, :width]
        shift = int(rng.integers(38, 50)) * (1 if rng.random() < 0.5 else -1)
        lay(ground, other, int(rng.integers(0, width - other.shape[1] + 1)), 64 + shift)
    return ground[64 + rows[0] - above : 64 + rows[-1] + 1 + below]
