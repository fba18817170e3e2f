"""Dates read by template match: ink is cut into parts, and each part is named after the digit it is most like."""

from functools import cache

import numpy as np
from PIL import Image

from ocrkit.synth.joined import joined_faces
from ocrkit.synth.persian_faces import DIGITS
from ocrkit.tasks.letters.projection import INK, components
from ocrkit.tasks.letters.templates import HEIGHTS, drawn_line

SIGNS = "/-."
_CELL = (14, 10)  # pixels to which a digit is brought, height and width
_BASE = 40  # row of the baseline of templates while they are drawn
_TONER = 1.3  # how much fatter than the atlas print is
_CUT = 2.0  # what a further part costs
_PLACE = 6.0  # how much the place and size of a digit count, against its picture
_MOST = 40  # pieces of ink; what has more is no date
#: How many digits the three numbers of a date may have, and all beginnings of these.
_SHORT = [(1, 1), (1, 2), (2, 1), (2, 2)]
_WHOLE = {*[(4, *two) for two in _SHORT], *[(2, *two) for two in _SHORT], *[(*two, 4) for two in _SHORT]}
_LENGTHS = sorted({(*whole[:k], n) for whole in _WHOLE for k in range(3) for n in range(whole[k] + 1)})


def read_date(ink: np.ndarray) -> tuple[str, float]:
    """Read a date of digits, `/`, `-` and `.` from its ink, float32 (h, w), by the nearest templates.

    Digits of heavy type touch each other, so each connected piece of ink may be cut anywhere. Of all ways to cut and to
    name the parts, dynamic programming finds the one most like templates that has the form of a date: three numbers, a
    year first or last, and the same sign twice. Returns its text, with Persian digits, `""` where there is none, and a
    confidence, 0..1, from distances. Taught in notebook 10.
    """
    pieces = components(ink > INK)
    if not 0 < len(pieces) <= _MOST:
        return "", 0.0
    spans, pictures = _spans(ink, pieces)
    texts, known = _glyphs()
    squares = np.square(pictures).sum(axis=1)[:, None] + np.square(known).sum(axis=1)
    distances = np.maximum(squares - 2 * pictures @ known.T, 0) + _CUT
    costs = {c: distances[:, texts == c].min(axis=1) for c in DIGITS + SIGNS}  # of the nearest template
    of_digits = np.stack([costs[c] for c in DIGITS])
    names, digit_costs = of_digits.argmin(axis=0).tolist(), of_digits.min(axis=0).tolist()
    best = (np.inf, "")
    for sign in SIGNS:
        sign_costs = costs[sign].tolist()
        # (end of the part, lengths of the numbers so far) -> cost and text
        ways: dict[tuple, tuple[float, str]] = {(spans[0][0], (0,)): (0.0, "")}
        for i, (start, stop) in enumerate(spans):
            for lengths in _LENGTHS:
                if (start, lengths) not in ways:
                    continue
                cost, text = ways[start, lengths]
                longer, further = (*lengths[:-1], lengths[-1] + 1), (*lengths, 0)
                for then, more, name in ((longer, digit_costs[i], DIGITS[names[i]]), (further, sign_costs[i], sign)):
                    if then in _LENGTHS and cost + more < ways.get((stop, then), best)[0]:
                        ways[stop, then] = cost + more, text + name
        ends = [way for (stop, lengths), way in ways.items() if stop == spans[-1][1] and lengths in _WHOLE]
        best = min([best, *ends])
    return best[1], float(np.exp(-best[0] / max(len(best[1]), 1) / 20)) if best[1] else 0.0


def _spans(ink: np.ndarray, pieces: list[np.ndarray]) -> tuple[list[tuple[int, int]], np.ndarray]:
    """All parts into which pieces of ink, put end to end, can be cut: (start, stop) of each, and features (M, F)."""
    top, bottom = _frame(pieces)
    most = max(3, round(1.3 * (bottom - top)))
    spans, features, at = [], [], 0
    for piece in pieces:
        columns = np.flatnonzero(piece.any(axis=0))
        left, wide = int(columns[0]), int(columns[-1] - columns[0]) + 1
        for x0 in range(wide):
            for x1 in range(x0 + 1, min(wide, x0 + most) + 1):
                if (x1 - x0 == wide or x1 - x0 > 1) and piece[:, left + x0 : left + x1].any():
                    spans.append((at + x0, at + x1))
                    features.append(_features(ink, piece, (left + x0, left + x1), top, bottom))
        at += wide
    order = sorted(range(len(spans)), key=lambda k: spans[k])
    return [spans[k] for k in order], np.array([features[k] for k in order], dtype=np.float32)


def _frame(pieces: list[np.ndarray]) -> tuple[float, float]:
    """The rows between which most of the digits stand."""
    ends = np.array([np.flatnonzero(piece.any(axis=1))[[0, -1]] for piece in pieces], dtype=np.float32)
    highs = ends[:, 1] - ends[:, 0] + 1
    tall = ends[highs >= 0.65 * highs.max()]
    return float(np.median(tall[:, 0])), float(np.median(tall[:, 1])) + 1


def _features(ink: np.ndarray, piece: np.ndarray, span: tuple[int, int], top: float, bottom: float) -> np.ndarray:
    """What tells digits apart: their picture, brought to `_CELL`, and their top, bottom and width in the frame."""
    x0, x1 = span
    rows = np.flatnonzero(piece[:, x0:x1].any(axis=1))
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    picture = Image.fromarray((ink * piece)[y0:y1, x0:x1])
    picture = np.asarray(picture.resize(_CELL[::-1], Image.Resampling.BILINEAR)).ravel()
    place = np.array([y0 - top, y1 - bottom, (x1 - x0)]) / (bottom - top)
    return np.concatenate([picture / max(float(picture.max()), 0.1), _PLACE * place]).astype(np.float32)


@cache
def _glyphs() -> tuple[np.ndarray, np.ndarray]:
    """Templates of digits and separators: what each is, (N,), and its features, (N, F)."""
    texts, features = [], []
    for face in joined_faces("train"):
        for arabic in (False, True):
            for alef in HEIGHTS:
                inks = []
                for text in DIGITS + SIGNS:
                    ink, base = drawn_line(text, face, alef, arabic)
                    # The finest strokes, made small, are pale; print is black. All stand on one baseline.
                    ink = np.minimum(ink * max(_TONER, 0.9 / float(ink.max())), 1)
                    inks.append(np.pad(ink, ((_BASE - base, 0), (0, 0))))
                pieces = [ink > INK for ink in inks]
                frame = _frame(pieces[: len(DIGITS)])
                for text, ink, piece in zip(DIGITS + SIGNS, inks, pieces):
                    columns = np.flatnonzero(piece.any(axis=0))
                    texts.append(text)
                    features.append(_features(ink, piece, (int(columns[0]), int(columns[-1]) + 1), *frame))
    return np.array(texts), np.array(features)
