"""Training: `fit`, one loop that can be read from top to bottom, and two checks to run before it.

Taught in notebook 03.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from ocrkit.data.batches import Batch, label_problem, loader, set_epoch
from ocrkit.data.files import atomic
from ocrkit.data.packed import Mixed, Packed
from ocrkit.errors.metrics import accuracy, cer
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ocrkit.training.memory import explains_out_of_memory
from ocrkit.training.processes import World
from ocrkit.training.rates import progress, sweep_rates
from ocrkit.training.recipe import Recipe
from ocrkit.training.shards import Shards
from ocrkit.training.step import Stepper, keep_memory

#: What `fit` notes of an epoch, besides its number.
COLUMNS = (
    "train_loss", "valid_loss", "valid_cer", "valid_accuracy", "learning_rate", "seconds", "images_per_second"
)  # fmt: skip


def set_aside(
    packed: Packed | Mixed | Shards, recognizer: Recognizer
) -> tuple[Packed | Mixed | Shards, pd.DataFrame]:
    """Part the samples that cannot be trained on from the rest.

    A label must be not empty, within the alphabet, and short enough for the model's time steps.

    Returns:
        `(usable, lost)`: the pack without them, and their rows with a column `reason`, together with
        the images that `pack` had rejected.
    """
    if isinstance(packed, Mixed):
        parts, lost = zip(*(set_aside(part, recognizer) for part in packed.parts))
        return Mixed(parts, packed.repeats), pd.concat(lost)
    if isinstance(packed, Shards):
        return packed.set_aside(recognizer)
    steps = recognizer.steps(packed.images).tolist()
    reasons = [label_problem(recognizer.tokenizer, text, n) for text, n in zip(packed.texts, steps)]
    bad = [bool(r) for r in reasons]
    lost = packed.samples[bad].assign(reason=[r for r in reasons if r])
    return (packed.keep([not b for b in bad]) if any(bad) else packed), pd.concat([packed.rejected, lost])


def used_steps(data: Packed | Mixed | Shards, recognizer: Recognizer) -> np.ndarray:
    """How many time steps of each image of an epoch count, `(N,)`."""
    if isinstance(data, Mixed):
        parts = zip(data.parts, data.repeats)
        return np.concatenate([np.tile(used_steps(part, recognizer), repeat) for part, repeat in parts])
    return data.steps(recognizer) if isinstance(data, Shards) else recognizer.steps(data.images).numpy()


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler | None:
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 2))
    if recipe.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=5)
    return None


@torch.no_grad()
def validate(recognizer: Recognizer, stepper: Stepper, valid: Packed, batch_size: int) -> dict[str, float]:
    """Loss on `valid` in the precision of training; CER and exact match as `Recognizer.read` reads it, in float32.

    Several processes share the images, and each has the figures of all.
    """
    recognizer.model.eval()
    world, total, read = stepper.world, 0.0, []
    for batch in loader(valid, recognizer.tokenizer, batch_size):
        share = world.share(0, len(batch.texts))
        if share.count:
            total += stepper.loss(batch, share).item() * share.count
    mine = world.share(0, len(valid))
    if mine.count:
        read = [r.text for r in recognizer.decode(valid.images[mine.rows], batch_size=batch_size)]
    totals, reads = zip(*world.gather((total, read)))
    read = list(chain(*reads))
    return {
        "valid_loss": sum(totals) / len(valid),
        "valid_cer": cer(valid.texts, read),
        "valid_accuracy": accuracy(valid.texts, read),
    }


@explains_out_of_memory
def fit(
    recognizer: Recognizer,
    train: Packed | Mixed | Shards,
    valid: Packed,
    recipe: Recipe,
    run_dir: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
    extra: nn.Module | None = None,
    on_step: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Train with CTC and leave the weights of the best epoch (see `checkpoint.best_epoch`) in `recognizer`.

    Args:
        run_dir: where to keep `checkpoint.safetensors` (after each epoch), `history.csv`,
            `set_aside.csv` and, at the end, the model; None keeps nothing.
        resume: go on from the checkpoint in `run_dir`, if there is one. The weights at the end are
            those of a run that was never stopped.
        on_epoch: called with the history after each epoch, for instance `plots.LivePlot()`; in the main process only.
        extra: a loss that is added to CTC, see `step.Stepper`. It is changed in place; its state is in the checkpoint,
            and `train_loss` has it in it, `valid_loss` never.
        on_step: called with the number of steps taken, from 1, after each; for instance `center_tracking.Tracker`. In
            the main process only.

    Returns:
        The history, a row an epoch: `epoch` (from 1), `train_loss`, `valid_loss`, `valid_cer`,
        `valid_accuracy`, `learning_rate`, `seconds`, `images_per_second` (training only). Its
        `attrs["set_aside"]` has the samples that could not be used, with the reason.

    Raises:
        ValueError: no usable sample is left, or the checkpoint is of another recipe or alphabet.
        FloatingPointError: the loss is no number any more; the message says what to change.
        MemoryError: the device has too little memory; the message says which batch size fits.

    Ctrl-C ends the training early and keeps the best weights so far; of several processes it also stops what follows.

    In several processes (see `distributed`), each calls this with all the data. `recipe.batch_size` is that of all
    together, the history is the same in each and equals that of one process; only the main process prints and writes.
    With `recipe.accumulate` above 1, batch norm sees one piece of a batch at a time, and the run differs a little.
    Taught in notebooks 03 and 12.
    """
    world = World()
    train, lost = set_aside(train, recognizer)
    valid, lost_valid = set_aside(valid, recognizer)
    lost = pd.concat([lost, lost_valid])
    if len(lost):
        shown = "; ".join(f"{r.image}: {r.reason}" for r in lost.head(3).itertuples())
        world.print(f"{len(lost)} samples are set aside ({shown}{' ...' if len(lost) > 3 else ''})")
    if not len(train) or not len(valid):
        raise ValueError(f"{len(train)} usable training and {len(valid)} validation samples: both must be at least 1")

    run_dir = Path(run_dir) if run_dir else None
    keep_memory()
    used = used_steps(train, recognizer) if recognizer.resize == "pad" else None
    batches = loader(train, recognizer.tokenizer, recipe.batch_size, recipe.seed, used)
    stepper = Stepper(recognizer, recipe, extra)
    schedule = _schedule(stepper.optimizer, recipe, recipe.epochs * len(batches))
    settings = dataclasses.asdict(recipe) | {"extra": extra and " ".join(repr(extra).split())}
    state = Checkpoint(recipe=settings, alphabet=recognizer.tokenizer.alphabet)
    if run_dir and resume and (run_dir / "checkpoint.safetensors").exists():
        state = load_checkpoint(run_dir / "checkpoint.safetensors", state, stepper, schedule)
    world.check_same(recipe=settings, images=(len(train), len(valid)), epochs_done=state.epoch)
    out = run_dir if world.main else None
    if out:
        with atomic(out / "set_aside.csv") as path:
            lost.to_csv(path, index=False)

    history = pd.DataFrame(state.history)
    try:
        while state.epoch < recipe.epochs and not _out_of_patience(state, recipe):
            row = _train_epoch(stepper, schedule, batches, state.epoch, recipe, on_step)
            row |= validate(recognizer, stepper, valid, recipe.batch_size)
            row = world.from_main(row)  # it has times, too, and decides on what follows
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(row["valid_accuracy"])
            state.history.append({"epoch": state.epoch + 1} | {name: row[name] for name in COLUMNS})
            if state.best_epoch == state.epoch:
                state.best = copied_weights(recognizer.model)
            history = pd.DataFrame(state.history)
            if out:
                save_checkpoint(out / "checkpoint.safetensors", state, stepper, schedule)
                with atomic(out / "history.csv") as path:
                    history.to_csv(path, index=False)
            if on_epoch and world.main:
                on_epoch(history)
    except KeyboardInterrupt:
        kept = f"the weights of epoch {state.best_epoch} are kept" if state.best else "no epoch was finished"
        world.print(f"stopped by hand in epoch {state.epoch + 1}; {kept}")
        if world.size > 1:
            _keep_best(recognizer, state, recipe, out)
            raise  # the other processes may be gone: nothing can follow that waits for them
    _keep_best(recognizer, state, recipe, out)
    world.wait()
    history.attrs["set_aside"] = lost.to_dict("records")
    return history


def _keep_best(recognizer: Recognizer, state: Checkpoint, recipe: Recipe, folder: Path | None) -> None:
    if state.best:
        recognizer.model.load_state_dict(state.best)
    recognizer.model.eval()
    if folder and state.best:
        recognizer.save(folder, recipe.half)


def _train_epoch(
    stepper: Stepper,
    schedule: LRScheduler | None,
    batches,
    epoch: int,
    recipe: Recipe,
    on_step: Callable[[int], None] | None,
) -> dict[str, float]:
    # All that is random in an epoch hangs on (seed, epoch), so a resumed run repeats it exactly.
    torch.manual_seed(recipe.seed * 100_003 + epoch)
    set_epoch(batches, epoch)
    stepper.model.train()
    started, losses, seen = time.perf_counter(), [], 0
    steps = enumerate(progress(batches, f"epoch {epoch + 1}/{recipe.epochs}"), epoch * len(batches) + 1)
    for step, batch in steps:
        losses.append(stepper(batch) * len(batch.texts))
        seen += len(batch.texts)
        if isinstance(schedule, OneCycleLR):
            schedule.step()
        if on_step and stepper.world.main:
            on_step(step)
    loss = torch.stack(losses).sum().item() / seen
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the training loss became {loss} in epoch {epoch + 1}: lower learning_rate "
            f"(now {recipe.learning_rate}), or set amp to off; the last good checkpoint is untouched"
        )
    seconds = time.perf_counter() - started
    return {
        "train_loss": loss,
        "learning_rate": stepper.optimizer.param_groups[0]["lr"],
        "seconds": seconds,
        "images_per_second": seen / seconds,
    }


def _out_of_patience(state: Checkpoint, recipe: Recipe) -> bool:
    improved = min(state.history, key=lambda row: row["valid_cer"], default={"epoch": 0})["epoch"]
    return 0 < recipe.patience <= state.epoch - improved


def lr_find(
    recognizer: Recognizer, train: Packed, recipe: Recipe, lowest: float = 1e-6, highest: float = 1.0, steps: int = 60
) -> pd.DataFrame:
    """Raise the learning rate from step to step and note the loss; the weights are put back after.

    Returns:
        Columns `learning_rate`, `loss`, `smooth` (an exponential mean of the loss, corrected for its
        start). `attrs["suggestion"]` is the rate at which the smooth loss falls fastest. It stops
        early when the loss is four times its best.

    Smith (2017), "Cyclical learning rates for training neural networks",
    https://arxiv.org/abs/1506.01186. Taught in notebook 03.
    """
    torch.manual_seed(recipe.seed)
    stepper = Stepper(recognizer, recipe)
    batches = loader(train, recognizer.tokenizer, recipe.batch_size, recipe.seed)

    def endless():
        for epoch in count():
            set_epoch(batches, epoch)
            yield from batches

    stream, rates = endless(), (lowest, highest)
    return sweep_rates(
        recognizer.model, stepper.optimizer, lambda: stepper(next(stream)), rates, steps, recipe.learning_rate
    )


def overfit_one_batch(recognizer: Recognizer, batch: Batch, recipe: Recipe, steps: int = 300) -> pd.DataFrame:
    """Train on one batch only and note loss and CER: a model that cannot learn 32 images by heart has a bug.

    Augmentation is off and the learning rate constant. The weights stay as trained, so pass a
    recognizer that you do not need after. Returns columns `step`, `loss`, `cer` (measured every tenth step).
    Taught in notebook 03.
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
