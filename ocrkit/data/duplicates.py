"""Near-twins: images that show nearly the same, found by thumbnails. Taught in notebooks 01 and 05."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pandas as pd

from ocrkit.data.images import ImageError, read_sample, resize

#: Correlation of two 16 x 48 grey thumbnails from which on they count as one picture. Re-saved as JPEG q40
#: pictures keep 0.98, shrunk by a third 0.956; different plates of one camera stay under 0.89.
NEARLY = 0.95
_THUMB = (16, 48)
#: Correlation from which on a second look, at 64 x 256 pixels, agrees. Forms with the same printed words and different
#: handwriting correlate by 0.96 in the thumbnail and under 0.8 here; pictures saved again as above keep 0.86.
CLOSELY = 0.85


def thumbnail(image: np.ndarray, size: tuple[int, int] = _THUMB) -> np.ndarray | None:
    """A grey image (H, W) as 16 x 48 numbers, or `size`, with mean 0 and length 1; None for an even one."""
    thumb = resize(image, size).astype(np.float32).ravel()
    thumb -= thumb.mean()
    norm = np.linalg.norm(thumb)
    # 16-bit floats: half the memory, and 200,000 thumbnails fit in 0.3 GB.
    return (thumb / norm).astype(np.float16) if norm > 1 else None


def near_pairs(a: np.ndarray, b: np.ndarray, threshold: float, block: int = 2048) -> Iterator[tuple[int, int, float]]:
    """Pairs (i, j, correlation) of rows of `a` (N, D) and `b` (M, D) that correlate above `threshold`.

    Rows are thumbnails with mean 0 and length 1, so their squared distance is 2 - 2 x correlation. Averaging
    4 x 4 pixels (times 4) projects them to a sixteenth of the numbers and never makes a distance longer:
    pairs that are too far apart there need no closer look. Almost all are, so 200,000 images take minutes.
    """
    small_a, small_b = _averaged(a), _averaged(b)
    length_b = (small_b**2).sum(1)
    for start in range(0, len(a), block):
        part = small_a[start : start + block]
        length_a = (part**2).sum(1)[:, None]
        for start_b in range(0, len(b), block):
            part_b = slice(start_b, start_b + block)
            distance = length_a + length_b[part_b] - 2 * part @ small_b[part_b].T
            rows, columns = np.nonzero(distance < 2 - 2 * threshold + 1e-3)  # 1e-3: 16-bit floats
            rows, columns = rows + start, columns + start_b
            exact = np.einsum("nd,nd->n", a[rows].astype(np.float32), b[columns].astype(np.float32))
            for i in np.flatnonzero(exact > threshold):
                yield int(rows[i]), int(columns[i]), float(exact[i])


def _averaged(thumbs: np.ndarray) -> np.ndarray:
    height, width = _THUMB
    blocks = thumbs.reshape(-1, height // 4, 4, width // 4, 4).astype(np.float32)
    return blocks.sum(axis=(2, 4)).reshape(len(thumbs), -1) / 4


def near_duplicates(samples: pd.DataFrame, threshold: float = NEARLY) -> pd.DataFrame:
    """Find pairs of images whose thumbnails correlate by `threshold` or more, the most alike first.

    Of two such images with different labels, one label is likely wrong. Taught in notebook 05.

    Returns:
        A row a pair: `first`, `second` (index values of `samples`), `correlation`, `first_text`, `second_text`.
    """
    found = []
    for row in samples.itertuples():
        with suppress(ImageError):
            found.append((thumbnail(read_sample(row, "L")), row.Index, row.text))
    found = [image for image in found if image[0] is not None]
    thumbs = np.array([thumb for thumb, _, _ in found])
    pairs = near_pairs(thumbs, thumbs, threshold) if found else []
    rows = [(found[a][1], found[b][1], alike, found[a][2], found[b][2]) for a, b, alike in pairs if a < b]
    table = pd.DataFrame(rows, columns=["first", "second", "correlation", "first_text", "second_text"])
    return table.sort_values("correlation", ascending=False, kind="stable", ignore_index=True)
