"""How long a training will take: some steps of it are measured on the machine at hand, and multiplied.

Taught in notebook 12.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import count

import pandas as pd
import torch
from torch.utils.data import DataLoader

from ocrkit.data.batches import Batch, loader, set_epoch
from ocrkit.data.packed import Mixed, Packed
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.loop import set_aside, used_steps
from ocrkit.training.rates import progress
from ocrkit.training.recipe import Recipe
from ocrkit.training.shards import Shards
from ocrkit.training.step import Stepper, keep_memory

#: Steps before the clock starts: the first ones choose algorithms, and make the memory of the optimizer.
WARM_UP = 3


def measure_steps(
    recognizer: Recognizer,
    train: Packed | Mixed | Shards,
    recipe: Recipe,
    steps: int = 20,
    images: int | None = None,
) -> pd.DataFrame:
    """Time training steps of `recipe` as `fit` takes them, batches included, and multiply them up to a whole run.

    The weights and the random numbers are put back after. Small last batches of an epoch are left out.

    Args:
        images: how many images an epoch of the run will have; by default those of `train`.

    Returns:
        Rows `fastest`, `median`, `mean` and `slowest` (of the steps), columns `seconds` (of a step),
        `images_per_second` and `minutes`: all epochs of the recipe, if every step took as long as this one. A run is
        a sum of steps, so plan with `mean`; a median far below it says that a few steps were slow. Rendering or
        packing the images and validation come on top.

    Raises:
        ValueError: `steps` or `images` below 1, or no sample of `train` can be trained on.

    Taught in notebook 12.
    """
    train, _ = set_aside(train, recognizer)
    images = len(train) if images is None else images
    if min(steps, images, len(train)) < 1:
        raise ValueError(
            f"nothing to measure: steps={steps}, {len(train)} usable images, {images} in an epoch of the run; "
            "each must be at least 1"
        )
    model, training = recognizer.model, recognizer.model.training
    before = copied_weights(model)
    gpus = [recognizer.device] if recognizer.device.type == "cuda" else []
    used = used_steps(train, recognizer) if recognizer.resize == "pad" else None
    size = min(recipe.batch_size, len(train))
    keep_memory()
    try:
        with torch.random.fork_rng(gpus):
            stepper = Stepper(recognizer, recipe)
            model.train()
            batches = _full(loader(train, recognizer.tokenizer, recipe.batch_size, recipe.seed, used), size)
            took = [_seconds(stepper, batches) for _ in progress(range(WARM_UP + steps), "measure_steps")]
    finally:
        model.load_state_dict(before)
        model.train(training)
        model.zero_grad(set_to_none=True)
    seconds = pd.Series(took[WARM_UP:]).agg(["min", "median", "mean", "max"])
    seconds = seconds.set_axis(["fastest", "median", "mean", "slowest"])
    whole = recipe.epochs * math.ceil(images / size)
    return pd.DataFrame({"seconds": seconds, "images_per_second": size / seconds, "minutes": seconds * whole / 60})


def _full(batches: DataLoader, size: int) -> Iterator[Batch]:
    """Batches of epoch after epoch, without those of fewer than `size` images."""
    for epoch in count():
        set_epoch(batches, epoch)
        yield from (batch for batch in batches if len(batch.texts) >= size)


def _seconds(stepper: Stepper, batches: Iterator[Batch]) -> float:
    started = time.perf_counter()
    stepper(next(batches)).item()  # waits for the device
    return time.perf_counter() - started
