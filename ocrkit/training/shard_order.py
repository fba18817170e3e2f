"""The order of batches in which a set on disk is shuffled and yet read from front to back.

Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from ocrkit.data.sizes import Buckets


class ShardOrder(Sampler):
    """Batches of indices that need only `window` shards at a time; each shard is read once an epoch.

    The order depends on (seed, epoch), the sizes of the shards and the window alone. With `used`, the batches within a
    window are of images that are about equally wide, as those of `sizes.Buckets`.

    Args:
        ends: for each shard the index after its last record.
        used: N numbers of columns, or of time steps.
    """

    def __init__(self, ends: np.ndarray, window: int, batch_size: int, seed: int, used: np.ndarray | None = None):
        self.ends, self.window, self.batch_size, self.seed, self.used = ends, window, batch_size, seed, used
        self.epoch = 0

    def __len__(self) -> int:
        return -(-int(self.ends[-1]) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng, size = np.random.default_rng([self.seed, self.epoch]), self.batch_size
        starts, shards = np.concatenate([[0], self.ends[:-1]]), rng.permutation(len(self.ends))
        rest = np.empty(0, np.int64)
        for first in range(0, len(shards), self.window):
            window = [np.arange(starts[k], self.ends[k]) for k in shards[first : first + self.window]]
            order = np.concatenate([rest, rng.permutation(np.concatenate(window))])
            # The batch that bridges two windows goes first, and as it is: later, its shards would be gone.
            bridge = size if len(rest) and len(order) >= size else 0
            whole = bridge + (len(order) - bridge) // size * size
            if bridge:
                yield order[:bridge].tolist()
            batches = order[bridge:whole].reshape(-1, size)
            yield from (batches if self.used is None else self._alike(batches, rng)).tolist()
            rest = order[whole:]
        if len(rest):
            yield rest.tolist()

    def _alike(self, batches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        parts = [
            part.ravel()[np.argsort(self.used[part.ravel()], kind="stable")].reshape(part.shape)
            for part in (batches[i : i + Buckets.POOL] for i in range(0, len(batches), Buckets.POOL))
        ]
        return rng.permutation(np.concatenate(parts)) if parts else batches
