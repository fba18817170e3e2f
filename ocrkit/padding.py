"""Images of different widths in one batch: kept in proportion, filled up with white, and masked.

To squeeze a name of 5 letters and one of 15 into one size makes the letters of the one three times as wide as those of
the other. Here an image keeps its proportions and stands at the left of a white canvas; the model is told how many
columns of it count. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from ocrkit.images import resize

RESIZES = ("squeeze", "pad")
WHITE = 255
INK = 200  # a pixel darker than this is ink; paper and the noise of JPEG on it are lighter
MARGIN = 16  # columns that still count after the last one with ink
STEP = 32  # widths of batches are multiples of this


def fit_size(image: np.ndarray, size: tuple[int, int], how: str = "squeeze") -> tuple[np.ndarray, float]:
    """Bring an image to `size` = (height, width).

    Args:
        image: uint8, (H, W) or (H, W, 3).
        how: `"squeeze"` scales both sides as needed. `"pad"` shrinks it in proportion where it is too large, never
            enlarges it (scans of one resolution keep letters of one size), and puts it at the left and half way up on
            white.

    Returns:
        `(image, width)`: uint8 (height, width) or (height, width, 3), and how many pixels of the given image its width
        stands for.

    Raises:
        ValueError: `how` is neither.

    Taught in notebook 08.
    """
    if how not in RESIZES:
        raise ValueError(f'resize={how!r}: it must be "squeeze" or "pad"')
    if how == "squeeze":
        return resize(image, size), image.shape[1]
    (h, w), (height, width) = image.shape[:2], size
    scale = min(height / h, width / w, 1.0)
    small = image if scale == 1.0 else resize(image, (max(1, round(h * scale)), max(1, round(w * scale))))
    canvas = np.full((height, width, *image.shape[2:]), WHITE, np.uint8)
    top = (height - small.shape[0]) // 2
    canvas[top : top + small.shape[0], : small.shape[1]] = small
    return canvas, width / scale


def used_columns(images: Tensor, chunk: int = 1024) -> Tensor:
    """`(N, C, H, W)` uint8 images -> `(N,)`, how many columns count: up to the last ink, and a margin.

    Taught in notebook 08.
    """
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

    The order depends on (seed, epoch) alone. Images are shuffled, then sorted by width within some batches at a time:
    sorted all at once, the same images would meet in every epoch.

    Args:
        used: N numbers of columns, or of time steps.
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
