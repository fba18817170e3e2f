"""Checks to run before a training. Taught in notebook 03."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from itertools import chain, count
from typing import Any

import pandas as pd
from torch import Tensor
from torch.utils.data import DataLoader

from ocrkit.data.batches import Batch, loader, set_epoch
from ocrkit.data.packed import Packed
from ocrkit.errors.metrics import cer
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.loop import progress
from ocrkit.training.processes import set_seed
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper


def epochs_of(batches: DataLoader) -> Iterator[Batch]:
    """Batches of epoch after epoch, without end."""
    for epoch in count():
        set_epoch(batches, epoch)
        if (first := next(found := iter(batches), None)) is None:
            raise ValueError("no batch came: is every shard damaged?")
        yield from chain([first], found)


def sweep_rates(
    stepper: Any, step: Callable[[], Tensor], lowest: float, highest: float, steps: int, otherwise: float
) -> pd.DataFrame:
    """`lr_find` of any `stepper.model`; `step` gives the loss of a step, `otherwise` is suggested after too few."""
    model, rows, mean = stepper.model, [], 0.0
    before = copied_weights(model)
    model.train()
    try:
        for k in progress(range(steps), "lr_find"):
            rate = lowest * (highest / lowest) ** (k / (steps - 1))
            for group in stepper.optimizer.param_groups:
                group["lr"] = rate
            loss = step().item()
            mean = 0.9 * mean + 0.1 * loss
            rows.append((rate, loss, mean / (1 - 0.9 ** (k + 1))))
            if not math.isfinite(loss) or rows[-1][2] > 4 * min(r[2] for r in rows):
                break
    finally:
        model.load_state_dict(before)
        model.eval()
    table = pd.DataFrame(rows, columns=["learning_rate", "loss", "smooth"])
    # Slope over a few steps: between neighbors it is mostly noise.
    slope = table["smooth"].diff(5)
    table.attrs["suggestion"] = float(table["learning_rate"][slope.idxmin()]) if slope.notna().any() else otherwise
    return table


def lr_find(
    recognizer: Recognizer, train: Packed, recipe: Recipe, lowest: float = 1e-6, highest: float = 1.0, steps: int = 60
) -> pd.DataFrame:
    """Raise the learning rate from step to step and note the loss; the weights are put back after.

    Columns `learning_rate`, `loss`, `smooth` (an exponential mean of the loss, corrected for its start), and
    `attrs["suggestion"]`, the rate at which that falls fastest; ends early when it is four times its best.
    Smith (2017), https://arxiv.org/abs/1506.01186. Taught in notebook 03.
    """
    set_seed(recipe.seed)
    stepper = Stepper(recognizer, recipe)
    stream = epochs_of(loader(train, recognizer.tokenizer, recipe.batch_size, recipe.seed))
    return sweep_rates(stepper, lambda: stepper(next(stream)), lowest, highest, steps, recipe.learning_rate)


def overfit_one_batch(recognizer: Recognizer, batch: Batch, recipe: Recipe, steps: int = 300) -> pd.DataFrame:
    """Train on one batch only: a model that cannot learn 32 images by heart has a bug.

    Augmentation is off and the learning rate constant. The weights stay as trained, so pass a recognizer that you do
    not need after. Returns columns `step`, `loss`, `cer`, a row every tenth step. Taught in notebook 03.
    """
    stepper = Stepper(recognizer, dataclasses.replace(recipe, augment="none"))
    rows = []
    for step in progress(range(1, steps + 1), "overfit_one_batch"):
        recognizer.model.train()
        loss = stepper(batch).item()
        if step % 10 == 0:
            read = [r.text for r in recognizer.decode(batch.images)]
            rows.append((step, loss, cer(batch.texts, read)))
    return pd.DataFrame(rows, columns=["step", "loss", "cer"])
