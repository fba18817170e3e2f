"""Many pictures at once, in one process or in several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd

MOST = 61  # processes that Windows can wait for at a time


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

    Raises:
        ChildProcessError: a process was killed; the message says what to do.
    """
    if workers > 1:
        try:
            # Not multiprocessing.Pool: where one of its processes is killed, it waits for ever.
            with ProcessPoolExecutor(min(workers, MOST)) as pool:
                rows = list(pool.map(draw, numbers, chunksize=chunk))
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f"one of the {workers} processes that draw pictures {numbers.start} to {numbers.stop - 1} was killed, "
                "most often because memory ran out: close other programs, or draw with fewer workers "
                "(workers=1 needs no other process). The same numbers give the same pictures, so nothing is lost"
            ) from error
    else:
        rows = [draw(i) for i in numbers]
    images = [r[-1] for r in rows]
    if size is not None:
        images = np.stack(images) if images else np.zeros((0, *size, 3), np.uint8)
    return images, pd.DataFrame([r[:-1] for r in rows], columns=columns)
