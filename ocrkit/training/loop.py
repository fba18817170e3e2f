"""The one loop of all training, and `fit` for models that read lines of text. Taught in notebook 03."""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, Subset
from tqdm.auto import tqdm

from ocrkit.data.batches import Batch, label_problem, loader, set_epoch
from ocrkit.data.files import atomic
from ocrkit.data.packed import Mixed, Packed
from ocrkit.errors.metrics import accuracy, cer
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ocrkit.training.processes import check_same, gather, own_part, print_once, rank_and_world, set_seed
from ocrkit.training.recipe import Recipe
from ocrkit.training.shards import Shards
from ocrkit.training.step import Stepper, keep_memory

#: What can be trained on.
Data = Packed | Mixed | Shards


def progress(items: Iterable, label: str) -> tqdm:
    """A bar over the items, where bars are wanted: of several processes, in the first."""
    # The notebook's bar does not look at TQDM_DISABLE by itself; bars do not belong into outputs that are kept.
    off = bool(os.environ.get("TQDM_DISABLE")) or rank_and_world()[0] > 0
    return tqdm(items, desc=label, leave=False, mininterval=0.5, disable=off)


def print_epoch(history: pd.DataFrame) -> None:
    """Print the last row of a history as one line; the `on_epoch` of the command line."""
    row = history.iloc[-1]
    valid = f"validation CER {row.valid_cer:.4f}" if "valid_cer" in row else f"validation loss {row.valid_loss:.3f}"
    print(
        f"epoch {row.epoch:.0f}: loss {row.train_loss:.3f}, {valid}, "
        f"exact {row.valid_accuracy:.4f}, {row.images_per_second:.0f} images/s",
        flush=True,
    )


def run_epochs(
    stepper: Any,
    batches: Callable[[int], Iterable],
    step: Callable[[Any], tuple[Tensor, int]],
    measure: Callable[[], dict[str, float]],
    quality: Callable[[dict], Any],
    *,
    epochs: int,
    seed: int,
    advice: str,
    patience: int = 0,
    kept: str = "the weights of the best epoch are kept",
    state: Checkpoint | None = None,
    keep: Callable[[pd.DataFrame], None] | None = None,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """The loop of `fit`, `fit_glyphs` and `fit_detector`; leaves the weights of the best epoch in `stepper.model`.

    Args:
        batches: gives the batches of an epoch, which are numbered from 0 here.
        step: takes one training step with a batch; returns the mean loss and of how many images it is.
        measure: what the history notes of the model after an epoch.
        quality: of a row of the history; the highest is the best, among equal ones the last, where a run has settled.
        advice: what to do where the loss is no number any more; `kept`: what Ctrl-C leaves, of `{epoch}`.
        patience: stop after so many epochs without a better quality; 0 never does.
        keep, on_epoch: called with the history after each epoch, in every process and in the main one.

    Returns the history as `fit` does; `learning_rate` is that of the last group, at the end. Raises FloatingPointError
    where the loss is no number. Ctrl-C ends the training, and `state.stopped` says so. Taught in notebook 03.
    """
    model, state = stepper.model, state or Checkpoint()
    history = state.history
    try:
        while len(history) < epochs:
            first = max(history, key=quality, default={"epoch": 0})  # among equal ones
            if 0 < patience <= len(history) - first["epoch"]:
                break
            # All that is random in an epoch hangs on (seed, epoch), so a resumed run repeats it exactly.
            set_seed(seed * 100_003 + len(history))
            model.train()
            started, losses, seen = time.perf_counter(), [], 0
            for batch in progress(batches(len(history)), f"epoch {len(history) + 1}/{epochs}"):
                loss, n = step(batch)
                losses.append(loss * n)
                seen += n
            if not losses:
                raise ValueError("no batch came: is every shard damaged?")
            loss, seconds = torch.stack(losses).sum().item() / seen, time.perf_counter() - started
            if not math.isfinite(loss):
                raise FloatingPointError(f"the training loss became {loss} in epoch {len(history) + 1}: {advice}")
            row = {"epoch": len(history) + 1, "train_loss": loss, **measure()}
            rate = stepper.optimizer.param_groups[-1]["lr"]
            row |= {"learning_rate": rate, "seconds": seconds, "images_per_second": seen / seconds}
            history.append(gather(row)[0])  # of several processes the first decides on what follows
            if _best(history, quality) is history[-1]:
                state.best = copied_weights(model)
            if keep:
                keep(pd.DataFrame(history))
            if on_epoch and rank_and_world()[0] == 0:
                on_epoch(pd.DataFrame(history))
    except KeyboardInterrupt:
        state.stopped = True
        what = kept.format(**_best(history, quality)) if state.best else "no epoch was finished"
        print_once(f"stopped by hand in epoch {len(history) + 1}; {what}")
    finally:
        if state.best:
            model.load_state_dict(state.best)
        model.eval()
    table = pd.DataFrame(history)
    table.attrs["best"] = _best(history, quality)
    return table


def _best(history: list[dict], quality: Callable[[dict], Any]) -> dict | None:
    return max(reversed(history), key=quality, default=None)


def usable_only(
    part: Callable, train: Any, valid: Any, model: Any, shown: Callable[[pd.DataFrame], str], least: int = 1
) -> tuple[Any, Any, pd.DataFrame]:
    """Part what `model` cannot be trained on from both by `part`, and say what is lost; ValueError if too much is."""
    train, lost = part(train, model)
    valid, lost_valid = part(valid, model)
    lost = pd.concat([lost, lost_valid])
    if len(lost):
        print_once(f"{len(lost)} samples are set aside ({shown(lost)})")
    if len(train) < least or not len(valid):
        usable = f"{len(train)} usable training and {len(valid)} validation samples"
        raise ValueError(f"{usable}: at least {least} and 1 are needed")
    return train, valid, lost


def set_aside(packed: Data, recognizer: Recognizer) -> tuple[Data, pd.DataFrame]:
    """Part the samples whose label is empty, outside of the alphabet or too long for the time steps from the rest.

    Returns the pack without them, and their rows and those that `pack` had rejected, with a column `reason`.
    """
    if isinstance(packed, Shards):
        return packed.set_aside(recognizer)

    def problems(part: Packed) -> list[str]:
        steps = recognizer.steps(part.images).tolist()
        return [label_problem(recognizer.tokenizer, text, n) for text, n in zip(part.texts, steps)]

    return without_problems(packed, problems)


def without_problems(packed: Packed | Mixed, problems: Callable[[Packed], list[str]]) -> tuple[Any, pd.DataFrame]:
    """As `set_aside`, by what `problems` says of each sample of a pack, `""` where there is none."""
    if isinstance(packed, Mixed):
        parts, lost = zip(*(without_problems(part, problems) for part in packed.parts))
        return Mixed(parts, packed.repeats), pd.concat(lost)
    reasons = problems(packed)
    good = [not reason for reason in reasons]
    lost = packed.samples[[not g for g in good]].assign(reason=[r for r in reasons if r])
    return packed if all(good) else packed.keep(good), pd.concat([packed.rejected, lost])


def used_steps(data: Data, recognizer: Recognizer) -> np.ndarray:
    """How many time steps of each image of an epoch count, `(N,)`."""
    if isinstance(data, Mixed):
        parts = zip(data.parts, data.repeats)
        return np.concatenate([np.tile(used_steps(part, recognizer), repeat) for part, repeat in parts])
    return data.steps(recognizer) if isinstance(data, Shards) else recognizer.steps(data.images).numpy()


def train_loader(recognizer: Recognizer, train: Data, recipe: Recipe) -> DataLoader:
    """The shuffled batches of `fit`; where images are padded, those of about one width come together."""
    used = used_steps(train, recognizer) if recognizer.resize == "pad" else None
    return loader(train, recognizer.tokenizer, recipe.batch_size, recipe.seed, used)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler | None:
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 2))
    if recipe.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=5)
    return None


@torch.no_grad()
def validate(recognizer: Recognizer, stepper: Stepper, valid: Packed, batch_size: int) -> dict[str, float]:
    """Loss on `valid` in the precision of training; CER and exact match as `Recognizer.read` reads it, in float32."""
    recognizer.model.eval()
    if stepper.accelerator:
        from accelerate.utils import broadcast

        broadcast([*recognizer.model.buffers()])  # the statistics of batch norm: on CPUs each process has its own
    rows = own_part(len(valid))
    images, mine = valid.images[rows], Subset(valid, range(len(valid))[rows])
    batches = loader(mine, recognizer.tokenizer, batch_size)
    losses = [stepper.loss(batch).item() * len(batch.texts) for batch in batches]
    read = [r.text for r in recognizer.decode(images, batch_size=batch_size)] if len(images) else []
    losses, read = (list(chain(*parts)) for parts in zip(*gather((losses, read))))
    return {
        "valid_loss": sum(losses) / len(valid),
        "valid_cer": cer(valid.texts, read),
        "valid_accuracy": accuracy(valid.texts, read),
    }


def _explains_out_of_memory(fit: Callable) -> Callable:
    """Make `fit` raise a MemoryError that says which batch size fits."""

    @wraps(fit)
    def explained(recognizer: Recognizer, train: Data, valid: Packed, recipe: Recipe, run_dir=None, *args, **kwargs):
        try:
            return fit(recognizer, train, valid, recipe, run_dir, *args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            from ocrkit.training import memory

            if not memory.is_out_of_memory(error):
                raise
            reason, used = (str(error) or type(error).__name__).splitlines()[0], memory.in_use(recognizer.device)
        # Only here, behind the error, is what the failed step held given back.
        raise MemoryError(f"{memory.advice(recognizer, recipe, run_dir, used)} ({reason})")

    return explained


@_explains_out_of_memory
def fit(
    recognizer: Recognizer,
    train: Data,
    valid: Packed,
    recipe: Recipe,
    run_dir: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
    extra: nn.Module | None = None,
    on_step: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Train with CTC and leave the weights of the best epoch, that of the lowest validation CER, in `recognizer`.

    Args:
        run_dir: where to keep `checkpoint.safetensors` and `history.csv` (after each epoch), `set_aside.csv` and the
            model; with `resume`, a run goes on from there, to the weights of a run that never stopped.
        on_epoch: called with the history after each epoch, for instance `print_epoch`; `on_step` with the number
            of steps taken, from 1, for instance `center_tracking.Tracker`. Both in the main process only.
        extra: a loss that is added to CTC, see `step.Stepper`; changed in place, and no part of `valid_loss`.

    Returns the history, a row an epoch: `epoch` (from 1), `train_loss`, `valid_loss`, `valid_cer`, `valid_accuracy`,
    `learning_rate`, `seconds`, `images_per_second` (training only). Its `attrs` have the row of the best epoch and, as
    `set_aside`, the samples that could not be used, with the reason.

    Raises ValueError (no usable sample is left, or the checkpoint is of another recipe or alphabet), FloatingPointError
    (the loss is no number any more) and MemoryError, which says which batch size fits. Ctrl-C ends the training early
    and keeps the best weights so far. Several processes (see `processes`) each call this with all the data and get the
    same history; only the main one writes, and `recipe.batch_size` is that of all. See notebooks 03, 12.
    """
    train, valid, lost = usable_only(set_aside, train, valid, recognizer, _first_reasons)
    run_dir = Path(run_dir) if run_dir else None
    keep_memory()
    batches = train_loader(recognizer, train, recipe)
    stepper = Stepper(recognizer, recipe, extra)
    schedule = _schedule(stepper.optimizer, recipe, recipe.epochs * len(batches))
    settings = dataclasses.asdict(recipe) | {"extra": extra and " ".join(repr(extra).split())}
    state = Checkpoint(recipe=settings, alphabet=recognizer.tokenizer.alphabet)
    if run_dir and resume and (run_dir / "checkpoint.safetensors").exists():
        state = load_checkpoint(run_dir / "checkpoint.safetensors", state, stepper, schedule)
    check_same(recipe=settings, images=(len(train), len(valid)), epochs_done=len(state.history))
    main = rank_and_world()[0] == 0
    if out := run_dir if main else None:
        with atomic(out / "set_aside.csv") as path:
            lost.to_csv(path, index=False)
    steps = count(len(state.history) * len(batches) + 1)

    def batches_of(epoch: int) -> DataLoader:
        set_epoch(batches, epoch)
        return batches

    def step(batch: Batch) -> tuple[Tensor, int]:
        loss, number = stepper(batch), next(steps)
        if isinstance(schedule, OneCycleLR):
            schedule.step()
        if on_step and main:
            on_step(number)
        return loss, len(batch.texts)

    def keep(history: pd.DataFrame) -> None:
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(history["valid_accuracy"].iloc[-1])
        if out:
            save_checkpoint(out / "checkpoint.safetensors", state, stepper, schedule)
            with atomic(out / "history.csv") as path:
                history.to_csv(path, index=False)

    history = run_epochs(
        stepper,
        batches_of,
        step,
        lambda: validate(recognizer, stepper, valid, recipe.batch_size),
        lambda row: -row["valid_cer"],
        epochs=recipe.epochs,
        seed=recipe.seed,
        advice=f"lower learning_rate (now {recipe.learning_rate}), or set amp to off; the checkpoint is untouched",
        patience=recipe.patience,
        kept="the weights of epoch {epoch} are kept",
        state=state,
        keep=keep,
        on_epoch=on_epoch,
    )
    history.attrs["set_aside"] = lost.to_dict("records")
    if out and state.best:
        recognizer.save(out, recipe.half)
    if stepper.accelerator:
        if state.stopped:
            raise KeyboardInterrupt  # the other processes may be gone: nothing can follow that waits for them
        stepper.accelerator.wait_for_everyone()
    return history


def _first_reasons(lost: pd.DataFrame) -> str:
    return "; ".join(f"{r.image}: {r.reason}" for r in lost.head(3).itertuples()) + " ..." * (len(lost) > 3)
