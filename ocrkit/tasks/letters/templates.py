"""Template match: the words before the fields of a letter are looked for as pictures, and their values beside them."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import pad

from ocrkit.data.layouts.pages import Box
from ocrkit.synth.joined import joined_ink
from ocrkit.synth.persian_faces import ALEF, BASELINE
from ocrkit.tasks.letters.projection import INK, line_box, words

#: What a letter calls its fields, and words that may follow.
LABELS = {"date": ("تاریخ", "مورخ"), "number": ("شماره",), "attachment": ("پیوست",), "title": ("عنوان", "موضوع")}
_TAILS = ("نامه", "ثبت", "ها")
#: Few faces that are like most others, of those for training.
_FACES = ("Vazirmatn-Black", "beiruti-900", "Lateef-Bold", "changa-400", "DejaVuSans-Bold", "DejaVuSansMono-Bold")
#: Of an alef, in pixels, in which templates are drawn.
HEIGHTS = (8.0, 9.5, 11.0)
#: Scores from which a place is looked at again, is a label, or is the word after one.
_COARSE_SCORE, _LABEL_SCORE, _TAIL_SCORE = 0.45, 0.6, 0.68
_COARSE_MOST = 30  # places a word that are looked at again
_REACH = 22  # alefs between a label and its value at most
_GAP = 1.3  # alefs between two words of one value at most


class _Template(NamedTuple):
    kind: str  # "" for words that follow a label
    word: str
    ink: np.ndarray
    base: int  # row of the baseline
    alef: float


class Label(NamedTuple):
    """A label that was found: its ends, the row of its baseline, the height of an alef in pixels, and the score."""

    kind: str
    left: int
    right: int
    base: int
    alef: float
    score: float


def match_template(image: np.ndarray, templates: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Normalized cross-correlation: how alike templates and each window of an image (H, W) are.

    Light and contrast do not matter: 1 is the same picture, 0 has nothing in common with it, -1 is its negative, and a
    window of one shade scores 0. A template (h, w) is not larger than the image and not of one shade; its scores are
    float32 (H - h + 1, W - w + 1), by upper left corners. Source: Lewis, Fast Normalized Cross-Correlation, 1995.
    Taught in notebook 10.
    """
    image = torch.as_tensor(np.ascontiguousarray(image), dtype=torch.float32)
    image = image - image.mean()  # keeps the sums small, so that 32 bits are enough
    size = [-(-n // 32) * 32 for n in image.shape]  # Fourier transforms are slow for sizes with large prime factors
    spectrum = torch.fft.rfft2(image, s=size)
    running = pad(torch.stack([image, image**2]).double(), (1, 0, 1, 0)).cumsum(1).cumsum(2)
    scores = []
    for template in templates:
        template = torch.as_tensor(np.ascontiguousarray(template), dtype=torch.float32)
        template = template - template.mean()
        (h, w), n = template.shape, template.numel()
        sums, squares = running[:, h:, w:] - running[:, :-h, w:] - running[:, h:, :-w] + running[:, :-h, :-w]
        spread = squares - sums**2 / n
        products = torch.fft.irfft2(spectrum * torch.fft.rfft2(template, s=size).conj(), s=size)
        products = products[: sums.shape[0], : sums.shape[1]]
        level = (spread.clamp(min=0) * (template**2).sum()).sqrt().float()
        scores.append(torch.where(spread > 1e-4 * n, products / level, 0.0).clamp(-1, 1).numpy())
    return scores


@cache
def _templates() -> list[_Template]:
    words = [(kind, word) for kind, words in LABELS.items() for word in words] + [("", tail) for tail in _TAILS]
    return [_Template(kind, word, *drawn_line(word, face, alef), alef) for kind, word in words for face in _FACES
            for alef in HEIGHTS]  # fmt: skip


def find_labels(ink: np.ndarray, least: float = _LABEL_SCORE) -> list[Label]:
    """The labels on a straight page, float32 (H, W), from the best match down; no two overlap.

    Searched is half the size, which is four times as fast, and the best places are looked at again.
    """
    found = []
    for word, places in _coarse_places(ink).items():
        for y, x in places:
            top, left = max(0, y - 4), max(0, x - 5)
            window = ink[top : y + 40, left : x + 75]
            templates = [t for t in _templates() if t.word == word and _fits(t.ink, window)]
            # Only places near the coarse one count.
            scores = [s[:9, :11] for s in match_template(window, [t.ink for t in templates])]
            best = max(range(len(scores)), key=lambda k: scores[k].max(), default=None)
            if best is None or scores[best].max() < least:
                continue
            template, (dy, dx) = templates[best], np.unravel_index(scores[best].argmax(), scores[best].shape)
            start = left + int(dx)
            found.append(Label(template.kind, start, start + template.ink.shape[1], top + int(dy) + template.base,
                                template.alef, float(scores[best].max())))  # fmt: skip
    kept: list[Label] = []
    for label in sorted(found, key=lambda label: -label.score):
        if not any(same_line(label, k) and label.left < k.right and k.left < label.right for k in kept):
            kept.append(label)
    return kept


def _coarse_places(ink: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """For each word of a label, the places (y, x) at which the page at half its size is most like it."""
    half = _halved(ink)
    templates = [t for t in _templates() if t.kind and _fits(t.ink, ink)]
    best: dict[str, np.ndarray] = {}
    for t, scores in zip(templates, match_template(half, [_halved(t.ink) for t in templates])):
        board = best.setdefault(t.word, np.full(half.shape, -1, np.float32))
        place = board[: scores.shape[0], : scores.shape[1]]
        np.maximum(place, scores, out=place)
    places = {}
    for word, board in best.items():
        places[word] = []
        order = np.argsort(board, axis=None)[::-1][:3000]
        for y, x in zip(*np.unravel_index(order, board.shape)):
            if board[y, x] < _COARSE_SCORE or len(places[word]) == _COARSE_MOST:
                break
            if all(abs(2 * y - b) > 4 or abs(2 * x - a) > 6 for b, a in places[word]):
                places[word].append((2 * int(y), 2 * int(x)))
    return places


def _halved(ink: np.ndarray) -> np.ndarray:
    ink = np.pad(ink, ((0, ink.shape[0] % 2), (0, ink.shape[1] % 2)))
    return ink.reshape(ink.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))


def _fits(template: np.ndarray, image: np.ndarray) -> bool:
    return template.shape[0] <= image.shape[0] and template.shape[1] <= image.shape[1]


def same_line(a: Label, b: Label) -> bool:
    return abs(a.base - b.base) < 0.8 * max(a.alef, b.alef)


def value_beside(ink: np.ndarray, mask: np.ndarray, label: Label, others: Collection[Label]) -> Box | None:
    """The box of the ink at the left of a label, on its line and before the next label; None where there is none."""
    limit = max([0, label.left - round(_REACH * label.alef)]
                + [o.right for o in others if same_line(o, label) and o.right <= label.left])  # fmt: skip
    base, alef = label.base, label.alef
    line = line_box(mask, (limit, _end_of(ink, mask, label)), base, alef)
    groups = reversed(words(mask, line, _GAP * alef)) if line else ()
    boxes = (line_box(mask, group, base, alef) for group in groups)
    # What is lower than half an alef and stands alone is a speck or a rest of the label.
    return next((box for box in boxes if box and box[3] - box[1] > 0.6 * alef), None)


def value_below(mask: np.ndarray, label: Label) -> Box | None:
    """The box of the ink under the middle of a label, as in forms that stack labels on values; or None."""
    middle, alef = (label.left + label.right) // 2, label.alef
    span = max(0, middle - round(9 * alef)), min(mask.shape[1], middle + round(9 * alef))
    for step in (1.6, 2.0, 2.4):
        base = label.base + round(step * alef)
        box = line_box(mask, span, base, alef)
        if box and box[1] > label.base - 0.2 * alef:
            groups = words(mask, box, _GAP * alef)
            group = min(groups, key=lambda g: max(g[0] - middle, middle - g[1], 0))
            if group[0] <= middle + alef and group[1] >= middle - alef:
                return line_box(mask, group, base, alef)
    return None


def _end_of(ink: np.ndarray, mask: np.ndarray, label: Label) -> int:
    """The left end of a label with its second word, such as in "date of letter", and its colon."""
    alef, end, best = label.alef, label.left, _TAIL_SCORE
    y0, y1 = max(0, label.base - round(1.8 * alef)), label.base + round(alef)
    start = max(0, end - round(4.5 * alef))
    strip = ink[y0:y1, start:end]
    templates = [t.ink for t in _templates() if not t.kind and _fits(t.ink, strip)]
    for scores in match_template(strip, templates):
        first = max(0, scores.shape[1] - round(0.9 * alef))  # the second word follows the first closely
        columns = scores[:, first:].max(axis=0)
        if columns.max() > best:
            best, end = float(columns.max()), start + first + int(columns.argmax())
    left, top = max(0, end - round(_REACH * alef)), max(0, label.base - round(1.4 * alef))
    box = left, top, end + round(0.3 * alef), label.base + round(0.6 * alef)
    pieces = words(mask, box, 1)[::-1]
    for k, (a, b) in enumerate(pieces):
        if b >= end - 0.4 * alef:  # still of the same word
            end = min(end, a)
            continue
        rows = np.flatnonzero(mask[box[1] : box[3], a:b].any(axis=1))
        high = rows[-1] - rows[0] + 1
        apart = k + 1 == len(pieces) or a - pieces[k + 1][1] > 0.35 * alef
        if end - b < 1.2 * alef and b - a <= 0.4 * alef + 1 and 0.4 * alef < high < 0.8 * alef and apart:
            end = a
        break
    return end


def drawn_line(text: str, face: str, alef: float, arabic: bool = False) -> tuple[np.ndarray, int]:
    """Ink, float32 (h, w), with a white pixel around it, and the row of its baseline."""
    ink = Image.fromarray(joined_ink(text, face, arabic))
    scale = alef / ALEF
    size = max(1, round(ink.width * scale)), round(ink.height * scale)
    ink = np.asarray(ink.resize(size, Image.Resampling.HAMMING), dtype=np.float32) / 255
    rows = np.flatnonzero(ink.max(axis=1) > INK / 2)
    return np.pad(ink[rows[0] : rows[-1] + 1], 1), round(BASELINE * scale) - int(rows[0]) + 1
