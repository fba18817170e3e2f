"""Many pictures at once, in one process or in several."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import count

import numpy as np
import pandas as pd

from ocrkit.data.images import resize
from ocrkit.synth.ink import Size

MOST = 61  # processes that Windows can wait for at a time
Rendered = tuple[np.ndarray | list[np.ndarray], pd.DataFrame]


def render_many(
    draw: Callable, columns: Sequence[str], n: int, seed: int, size: Size | None, workers: int, first: int, split: str
) -> Rendered:
    """`draw_many` by `draw(i, rng)`, whose chance hangs on `seed` and i alone, scaled, with a column `split`."""
    numbered = partial(_numbered, draw=draw, seed=seed, size=size)
    images, table = draw_many(numbered, range(first, first + n), size, workers, columns)
    return images, table.assign(split=split)


def _numbered(i: int, draw: Callable[..., tuple], seed: int, size: Size | None) -> tuple:
    *row, image = draw(i, np.random.default_rng([seed, i]))
    return *row, image if size is None or image.shape[:2] == tuple(size) else resize(image, size)


def draw_many(
    draw: Callable[[int], tuple], numbers: range, size: Size | None, workers: int, columns: Sequence[str]
) -> Rendered:
    """Call `draw` with each number; it returns a value for each of `columns`, and last the picture.

    Where `workers`, the processes that share the work, are more than 1, `draw` must be one that can be pickled.
    Returns `(images, table)`: uint8 (n, H, W, 3), or a list of them without `size`, and a row an image.
    Raises a ChildProcessError where a process was killed.
    """
    if workers > 1:
        chunk = max(1, min(64, len(numbers) // (4 * workers)))
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
        images = np.array(images, np.uint8).reshape(len(images), *size, 3)
    return images, pd.DataFrame([r[:-1] for r in rows], columns=columns)


def distinct(render: Callable[..., tuple], seed: int, used: set[str], **how) -> Iterator[tuple[np.ndarray, tuple]]:
    """Yield those of the pictures 0, 1, ... of `render`, each with its row, whose text is not yet in `used`."""
    for i in count():
        (image,), table = render(1, seed, first=i, **how)
        row = next(table.itertuples(index=False))
        if row.text not in used:
            used.add(row.text)
            yield image, row
