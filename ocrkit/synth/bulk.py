"""Many pictures at once, in one process or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd


def draw_many(
    draw: Callable[[int], tuple],
    numbers: range,
    size: tuple[int, int] | None,
    workers: int,
    columns: Sequence[str],
    chunk: int = 64,
) -> tuple[np.ndarray | list[np.ndarray], pd.DataFrame]:
    """Call `draw` with each number; it returns a value for each of `columns`, and last the picture.

    Args:
        draw: can be pickled where `workers` is more than 1.
        size: height and width of all pictures; None leaves each as it is.
        workers: processes that share the work; 0 or 1 does it here.
        chunk: pictures that a process draws before it asks for more.

    Returns:
        `(images, table)`: images uint8 (n, H, W, 3), or a list of them without `size`, and a row an image with
        `columns`.
    """
    if workers > 1:
        with multiprocessing.Pool(workers) as pool:
            rows = pool.map(draw, numbers, chunksize=chunk)
    else:
        rows = [draw(i) for i in numbers]
    images = [r[-1] for r in rows]
    if size is not None:
        images = np.stack(images) if images else np.zeros((0, *size, 3), np.uint8)
    return images, pd.DataFrame([r[:-1] for r in rows], columns=columns)
