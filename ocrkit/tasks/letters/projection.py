"""Projection profiles: a page is made even and straight, and its lines and words are where the sums of ink say.

The classical way to read, with `templates`, `date_match` and, over all, `classical`: nothing is trained.
"""

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import max_pool1d, max_pool2d, pad

from ocrkit.data.layouts.pages import Box

#: Share of full ink from which a pixel counts as ink.
INK = 0.35
_BLOCK = 24  # pixels of the squares whose lightest part tells the color of the paper
_SLOPES = np.arange(-30, 31) / 1000  # rise of a line for each pixel to the right: 1.7 degrees at most
_RULE = (26, 48)  # an upright or level stroke of this many pixels is no letter


def ink_of(gray: np.ndarray) -> np.ndarray:
    """A gray page, uint8 (H, W), as ink in even light: float32 (H, W), 0 is paper, 1 full ink. See notebook 10."""
    height, width = gray.shape
    padded = np.pad(gray, ((0, -height % _BLOCK), (0, -width % _BLOCK)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK)
    paper = np.percentile(blocks, 90, axis=(1, 3)).astype(np.float32)
    # A square within something dark takes the paper of its surroundings.
    paper = np.maximum(paper, 0.6 * np.median(paper))
    paper = Image.fromarray(paper).resize(padded.shape[::-1], Image.Resampling.BILINEAR)
    dark = 1 - gray / np.maximum(np.asarray(paper)[:height, :width], 1)
    # A blank page has no ink: what varies by less than a tenth is grain.
    full = max(float(np.percentile(dark, 99.5)), 0.1)
    return np.clip(dark / full, 0, 1).astype(np.float32)


def skew(mask: np.ndarray) -> float:
    """The rise of the lines of a page, whose ink is bool (H, W): pixels down for each pixel to the right.

    Of the slopes tried, the one whose horizontal profile jumps most, since lines of text and white then fall apart.
    Taught in notebook 10.
    """
    y, x = np.nonzero(mask)
    if not len(y):
        return 0.0
    rows = mask.shape[0]
    profiles = (np.bincount(np.clip(np.rint(y - s * x).astype(int), 0, rows - 1), minlength=rows) for s in _SLOPES)
    return float(_SLOPES[np.argmax([np.square(np.diff(profile)).sum() for profile in profiles])])


def straighten(image: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Move each column of (H, W) so that lines of this `slope` become level; also by how much it went up, (W,)."""
    height, width = image.shape
    shifts = np.rint(slope * (np.arange(width) - width / 2)).astype(int)
    rows = np.arange(height)[:, None] + shifts
    moved = np.take_along_axis(image, np.clip(rows, 0, height - 1), axis=0)
    return np.where((rows >= 0) & (rows < height), moved, 0), shifts


def without_rules(mask: np.ndarray) -> np.ndarray:
    """The mask, bool (H, W), without what is too long for a letter: frames, tables, lines and rows of dots."""
    mask = mask & ~_long(mask.T, _RULE[0]).T & ~_long(mask, _RULE[1])
    dots = mask & ~_long(mask.T, 3).T & ~_long(mask, 4)
    spread = np.zeros_like(dots)
    for step in range(-2, 3):
        spread |= np.roll(dots, step, axis=1)
    return mask & ~(dots & _long(spread, _RULE[1]))


def _long(mask: np.ndarray, length: int) -> np.ndarray:
    """The pixels that lie in a level run of `length` or more."""
    paper = pad(torch.as_tensor(~mask, dtype=torch.float32), (length, length), value=1)
    starts = 1 - max_pool1d(paper, length, 1)
    return max_pool1d(starts, length, 1)[:, 1 : mask.shape[1] + 1].bool().numpy()


def runs(profile: np.ndarray, gap: float = 1) -> list[tuple[int, int]]:
    """Where a profile (N,) has ink: (start, stop) of each run; runs with fewer than `gap` empty places between them
    count as one. Taught in notebook 10.
    """
    filled = np.flatnonzero(profile)
    if not len(filled):
        return []
    cuts = np.flatnonzero(np.diff(filled) > gap)
    starts, stops = filled[np.r_[0, cuts + 1]], filled[np.r_[cuts, len(filled) - 1]] + 1
    return list(zip(starts.tolist(), stops.tolist()))


def text_lines(mask: np.ndarray, gap: int = 1, least: int = 4) -> list[Box]:
    """The lines of text on a straight page or a part of it, bool (H, W), from top to bottom: boxes (x0, y0, x1, y1).

    Where the horizontal profile is empty for `gap` rows, a line ends; what is less than `least` pixels high is a speck.
    Taught in notebook 10.
    """
    boxes = []
    for top, bottom in runs(mask.any(axis=1), gap):
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        if bottom - top >= least:
            boxes.append((int(columns[0]), top, int(columns[-1]) + 1, bottom))
    return boxes


def line_box(mask: np.ndarray, span: tuple[int, int], base: int, alef: float) -> Box | None:
    """The box of the line of text on the row `base`, between two columns, or None; `alef` is a letter's height."""
    left, top = span[0], max(0, round(base - 2 * alef))
    parts = text_lines(mask[top : round(base + 1.1 * alef), left : span[1]], 2, 1)
    parts = [p for p in parts if p[1] + top < base - 0.1 * alef and p[3] + top > base - 0.9 * alef]
    if not parts:
        return None
    x0, x1 = min(p[0] for p in parts) + left, max(p[2] for p in parts) + left
    return x0, parts[0][1] + top, x1, parts[-1][3] + top


def words(mask: np.ndarray, box: Box, gap: float) -> list[tuple[int, int]]:
    """The words of a line, left to right, as (start, stop), parted by `gap` empty columns or more. See notebook 10."""
    x0, y0, x1, y1 = box
    return [(a + x0, b + x0) for a, b in runs(mask[y0:y1, x0:x1].any(axis=0), gap)]


def components(mask: np.ndarray) -> list[np.ndarray]:
    """The connected pieces of ink, bool (H, W) each, from left to right, without single pixels.

    Those over one another, as the parts of a broken digit, are one.
    """
    ink = torch.as_tensor(mask, dtype=torch.float64)[None]
    names = ink * torch.arange(1, ink.numel() + 1).view(ink.shape)
    while True:  # every pixel takes the highest name around it, until all of a piece have the same
        spread = ink * max_pool2d(names, 3, 1, 1)
        if torch.equal(spread, names):
            break
        names = spread
    pieces = [(names[0] == name).numpy() for name in names[names > 0].unique()]
    pieces = [piece for piece in pieces if piece.sum() > 1]
    pieces.sort(key=lambda piece: np.flatnonzero(piece.any(axis=0))[[0, -1]].sum())
    joined: list[np.ndarray] = []
    for piece in pieces:
        if joined and _over(joined[-1], piece):
            joined[-1] = joined[-1] | piece
        else:
            joined.append(piece)
    return joined


def _over(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pieces share most of the columns of the narrower one."""
    a, b = a.any(axis=0), b.any(axis=0)
    return (a & b).sum() > 0.6 * min(a.sum(), b.sum())
