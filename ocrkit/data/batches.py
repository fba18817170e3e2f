"""Batches: images and labels in the order of an epoch. Taught in notebook 03."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ocrkit.data.sizes import Buckets
from ocrkit.text.tokenizer import Tokenizer, min_steps


@dataclass
class Batch:
    """Images `(N, C, H, W)` uint8, `targets` `(N, L)` padded with PAD, `lengths` `(N,)`, and the N texts."""

    images: Tensor
    targets: Tensor
    lengths: Tensor
    texts: list[str]


class _Order(Sampler):
    """A new order each epoch that depends only on (seed, epoch), so a resumed run sees the same batches."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed, self.epoch = n, seed, 0

    def __len__(self) -> int:
        return self.n

    def __iter__(self):
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.n).tolist())


def label_problem(tokenizer: Tokenizer, text: str, steps: int) -> str:
    """Why no model can be trained to write `text` in so many time steps, or `""`."""
    if not text:
        return "the label is empty"
    if tokenizer.unknown == "error" and (missing := tokenizer.missing(text)):
        return f"the label {text!r} has {''.join(missing)!r}, not in the alphabet"
    if (needed := min_steps(tokenizer.on_paper(text))) > steps:
        return f"the label {text!r} needs {needed} time steps, the image has {steps}"
    return ""


def collate(batch: tuple[Tensor, list[str]] | list[tuple[Tensor, str]], tokenizer: Tokenizer) -> Batch:
    """Make a `Batch` of images and texts; labels of different length are filled up with PAD.

    `batch` is what a `Packed` gives for a list of indices, or a list of (image, text) pairs.
    """
    if isinstance(batch, list):
        batch = torch.stack([image for image, _ in batch]), [text for _, text in batch]
    images, texts = batch
    rows, lengths = tokenizer.encode_batch(texts)
    targets = torch.tensor(rows, dtype=torch.long).reshape(len(texts), max(lengths, default=0))
    return Batch(images, targets, torch.tensor(lengths), texts)


def loader(
    packed: Dataset, tokenizer: Tokenizer, batch_size: int, seed: int | None = None, used: np.ndarray | None = None
) -> DataLoader:
    """A `DataLoader` that gives `Batch`es; the data lies in memory, so there are no worker processes to start.

    Args:
        packed: a `Packed`, or any data set that gives (uint8 image `(C, H, W)`, text) pairs. One with a method
            `batch_order`, such as `shards.Shards`, brings its own order of shuffled batches.
        seed: shuffle with this seed; call `set_epoch` before each epoch. None keeps the order.
        used: how many columns (or time steps) of each image count; with it, a shuffled batch has images that are about
            equally wide, see `sizes.Buckets`. Taught in notebook 03.
    """
    join = partial(collate, tokenizer=tokenizer)
    if seed is not None and hasattr(packed, "batch_order"):
        return DataLoader(packed, batch_sampler=packed.batch_order(batch_size, seed, used), collate_fn=join)
    if seed is not None and used is not None:
        return DataLoader(packed, batch_sampler=Buckets(used, batch_size, seed), collate_fn=join)
    return DataLoader(packed, batch_size, sampler=None if seed is None else _Order(len(packed), seed), collate_fn=join)


def set_epoch(batches: DataLoader, epoch: int) -> None:
    """Choose the order of epoch number `epoch` in a shuffling `loader`."""
    for sampler in (batches.sampler, batches.batch_sampler):
        if hasattr(sampler, "epoch"):
            sampler.epoch = epoch


def shuffled_batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """The indices of each batch of an epoch; they depend on (seed, epoch) alone."""
    order = np.random.default_rng([seed, epoch]).permutation(n).tolist()
    return (order[start : start + batch_size] for start in range(0, n, batch_size))
