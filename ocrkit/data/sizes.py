"""Images of different widths in one batch: kept in proportion, filled up with white, and masked.

Squeezed into one size, a name of 5 letters has letters three times as wide as one of 15. Taught in notebook 08.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from ocrkit.data.images import resize

RESIZES = ("squeeze", "pad")
GLYPH_RESIZES = (*RESIZES, "ink")
WHITE = 255
CONTRAST = 32  # between paper and ink; less than that is the noise of an empty image
INK = 200  # a pixel darker than this is ink; paper and the noise of JPEG on it are lighter
MARGIN = 16  # columns that still count after the last one with ink
STEP = 32  # widths of batches are multiples of this


def fit_size(image: np.ndarray, size: tuple[int, int], how: str = "squeeze") -> tuple[np.ndarray, float]:
    """Bring a uint8 image, (H, W) or (H, W, 3), to `size` = (height, width). Taught in notebook 08.

    Args:
        how: `"squeeze"` scales both sides as needed. `"pad"` shrinks it in proportion where it is too large, never
            enlarges it (scans of one resolution keep letters of one size), and puts it at the left and half way up on
            white. `"ink"`, for single characters, takes the part around the ink, see `cut_to_ink`.

    Returns:
        `(image, width)`: the new image, and how many pixels of the given one its width stands for.

    Raises ValueError: `how` is none of these.
    """
    if how not in GLYPH_RESIZES:
        raise ValueError(f'resize={how!r}: it must be "squeeze" or "pad", or "ink" for single characters')
    if how != "pad":
        image = cut_to_ink(image, size) if how == "ink" else image
        return resize(image, size), image.shape[1]
    (h, w), (height, width) = image.shape[:2], size
    scale = min(height / h, width / w, 1.0)
    small = image if scale == 1.0 else resize(image, (max(1, round(h * scale)), max(1, round(w * scale))))
    canvas = np.full((height, width, *image.shape[2:]), WHITE, np.uint8)
    top = (height - small.shape[0]) // 2
    canvas[top : top + small.shape[0], : small.shape[1]] = small
    return canvas, width / scale


def cut_to_ink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of an image around its ink, in the proportions of `size` = (height, width), filled up with its paper.

    An eighth of the ink's extent is left free on each side. The longer side of the part is at least a third of the
    image's shorter one, so a dot stays smaller than a letter. Where a sign stands is lost: `-` and `_` look the same.

    Ink is what is darker than the middle between the darkest pixel and the paper, which is the median; an image without
    such a contrast comes back whole. One dark speck far away counts as ink. `image` is uint8, (H, W) or (H, W, 3), dark
    on light. Taught in notebook 09.
    """
    gray = image if image.ndim == 2 else image.min(axis=2)
    paper, darkest = float(np.median(gray)), int(gray.min())
    if paper - darkest < CONTRAST:
        return image
    ink = gray < (paper + darkest) / 2
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    extent = 1.25 * (rows[-1] + 1 - rows[0]), 1.25 * (columns[-1] + 1 - columns[0])
    # Both sides in units of `size`; the larger one decides.
    unit = max(*(e / s for e, s in zip(extent, size)), min(gray.shape) / 3 / max(size))
    height, width = (max(1, round(unit * side)) for side in size)
    top, left = (round((p[0] + p[-1] + 1 - side) / 2) for p, side in ((rows, height), (columns, width)))
    part = np.empty((height, width, *image.shape[2:]), np.uint8)
    part[:] = np.median(image, axis=(0, 1))
    inside = image[max(0, top) : top + height, max(0, left) : left + width]
    top, left = max(0, -top), max(0, -left)
    part[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return part


def used_columns(images: Tensor, chunk: int = 1024) -> Tensor:
    """`(N, C, H, W)` uint8 images -> `(N,)`, how many columns count: up to the last ink, and a margin."""
    width, found = images.shape[-1], [torch.empty(0, dtype=torch.long)]
    for part in images.split(chunk):
        ink = part.amin(dim=(1, 2)) < INK
        last = (ink * torch.arange(1, width + 1, device=images.device)).amax(dim=1)
        found.append((last + MARGIN).clamp(max=width).cpu())
    return torch.cat(found)


def batch_width(used: Tensor, width: int) -> int:
    """The width to which images of `used` columns are cut: the next multiple of 32, at most `width`."""
    return min(width, -(-int(used.max()) // STEP) * STEP)


class Buckets(Sampler):
    """Batches of images that are about equally wide, so that little of a batch is padding; in a new order each epoch.

    The order depends on (seed, epoch) alone. Images are shuffled, then sorted by width (`used`: N numbers of columns or
    time steps) within some batches at a time: sorted all at once, the same images would meet in every epoch.
    """

    POOL = 32  # batches that are sorted at a time

    def __init__(self, used: np.ndarray, batch_size: int, seed: int):
        self.used, self.batch_size, self.seed, self.epoch = np.asarray(used), batch_size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.used) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order, pool, batches = rng.permutation(len(self.used)), self.POOL * self.batch_size, []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self.used[part], kind="stable")]
            batches += [part[i : i + self.batch_size].tolist() for i in range(0, len(part), self.batch_size)]
        return iter([batches[i] for i in rng.permutation(len(batches))])
