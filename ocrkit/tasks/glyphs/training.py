"""Training of a `GlyphClassifier` by transfer learning, as fastai does it: one-cycle, and a learning rate a group.

Taught in notebook 09.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR

from ocrkit.data.augmentation import augment, augmentation
from ocrkit.data.batches import shuffled_batches
from ocrkit.data.packed import Mixed, Packed
from ocrkit.reader.device import normalize_images
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.training.loop import print_epoch, run_epochs, usable_only, without_problems
from ocrkit.training.rates import sweep_rates
from ocrkit.training.recipe import GlyphRecipe
from ocrkit.training.step import autocast_dtype, keep_memory

#: A learning rate for all groups; `slice(low, high)` from the body's first to the head; or `slice(high)`.
Rates = float | slice


def group_rates(learning_rate: Rates, groups: int = 3) -> list[float]:
    """The learning rate of each group of `GlyphNet.groups`, as fastai reads a slice.

    A number counts for all. `slice(1e-5, 1e-3)` goes in equal ratios from the first group to the last: 1e-5, 1e-4,
    1e-3. `slice(1e-3)` gives the head 1e-3 and all before it a tenth. Taught in notebook 09.
    """
    if isinstance(learning_rate, slice):
        low, high = learning_rate.start, learning_rate.stop
        if not high or (low is not None and not low > 0):
            raise ValueError(f"learning_rate={learning_rate}: both ends must be above 0, as in slice(1e-5, 1e-3)")
        rates = [high / 10] * (groups - 1) + [high] if low is None else np.geomspace(low, high, groups).tolist()
    else:
        rates = [learning_rate] * groups
    if not min(rates) > 0:
        raise ValueError(f"learning_rate={learning_rate}: it must be above 0, for instance 1e-3")
    return rates


class GlyphStepper:
    """One training step: augmentation, loss, optimizer and precision; shared by `fit_glyphs` and `lr_find_glyphs`.

    Call it with uint8 images `(N, C, H, W)` and codes `(N,)`; it returns the loss. Parts of the model that are frozen
    stay as they are: a body without any parameter to learn also keeps the statistics of its batch norms.
    """

    def __init__(
        self,
        classifier: GlyphClassifier,
        learning_rate: Rates,
        augment: str = "glyphs",
        weight_decay: float = 0.01,
        amp: str = "auto",
    ):
        self.model, self.device = classifier.model, classifier.device
        pairs = zip(self.model.groups(), group_rates(learning_rate))
        groups = [{"params": [p for p in group if p.requires_grad], "lr": rate} for group, rate in pairs]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=weight_decay)
        self.augmentation = augmentation(augment)
        self.dtype = autocast_dtype(self.device, amp)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.frozen = not any(p.requires_grad for p in self.model.features.parameters())

    def __call__(self, images: Tensor, codes: Tensor) -> Tensor:
        self.model.train()
        if self.frozen:
            self.model.features.eval()
        images = augment(images.to(self.device, non_blocking=True), self.augmentation)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            logits = self.model(normalize_images(images))
        loss = cross_entropy(logits.float(), codes.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()


def fit_glyphs(
    classifier: GlyphClassifier,
    train: Packed | Mixed,
    valid: Packed,
    epochs: int = 4,
    learning_rate: Rates = 1e-3,
    batch_size: int = 64,
    augment: str = "glyphs",
    weight_decay: float = 0.01,
    amp: str = "auto",
    seed: int = 0,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train with cross-entropy and one-cycle, and leave the weights of the best epoch in `classifier`.

    The best epoch is the one with the highest validation accuracy. For transfer learning call it twice: after
    `classifier.freeze()` at one rate, then after `classifier.unfreeze()` with a slice. For progressive resizing change
    `classifier.image_size`, pack again, and call it again. `train` and `valid` are made by `classifier.pack`;
    `learning_rate` is the highest of the cycle, a number or a slice, see `group_rates`.

    Returns the history of `run_epochs` with `valid_loss` and `valid_accuracy`; `attrs["set_aside"]` has the samples
    that could not be used, with the reason. Raises a ValueError where no usable sample is left, a setting cannot work,
    or the images are not of `classifier.image_size`. Otherwise as `fit`, Ctrl-C too. Taught in notebook 09.
    """
    if epochs < 1 or batch_size < 2:
        raise ValueError(f"epochs={epochs}, batch_size={batch_size}: at least 1 and 2 (batch norm needs two images)")
    train, valid, lost = usable_only(known_only, train, valid, classifier, _counted_reasons, least=2)
    keep_memory()
    stepper = GlyphStepper(classifier, learning_rate, augment, weight_decay, amp)
    per_epoch = len(_orders(len(train), batch_size, seed, 0))
    rates = [group["lr"] for group in stepper.optimizer.param_groups]
    schedule = OneCycleLR(stepper.optimizer, rates, total_steps=max(epochs * per_epoch, 2), pct_start=0.25)

    def step(order: list[int]) -> tuple[Tensor, int]:
        images, texts = train.__getitems__(order)
        loss = stepper(images, classifier.codes(texts))
        schedule.step()
        return loss, len(texts)

    history = run_epochs(
        stepper,
        lambda epoch: _orders(len(train), batch_size, seed, epoch),
        step,
        lambda: _validate(classifier, valid),
        lambda row: row["valid_accuracy"],
        epochs=epochs,
        seed=seed,
        advice=f"lower learning_rate (now {learning_rate})",
        on_epoch=on_epoch,
    )
    history.attrs["set_aside"] = lost.to_dict("records")
    return history


def _counted_reasons(lost: pd.DataFrame) -> str:
    return "; ".join(f"{n} x {reason}" for reason, n in lost["reason"].value_counts().head(3).items())


def lr_find_glyphs(
    classifier: GlyphClassifier,
    train: Packed | Mixed,
    batch_size: int = 64,
    augment: str = "glyphs",
    lowest: float = 1e-7,
    highest: float = 1.0,
    steps: int = 60,
    seed: int = 0,
    amp: str = "auto",
) -> pd.DataFrame:
    """Raise the learning rate of all that is not frozen from step to step and note the loss; the weights are put back.

    Returns what `rates.lr_find` returns, for `plots.plot_lr_find`. Taught in notebook 09.
    """
    train, _ = known_only(train, classifier)
    if len(train) < 2:
        raise ValueError(f"{len(train)} usable training samples: at least 2 are needed")
    torch.manual_seed(seed)
    stepper = GlyphStepper(classifier, 1e-3, augment, amp=amp)
    orders = (order for epoch in count() for order in _orders(len(train), batch_size, seed, epoch))

    def step() -> Tensor:
        images, texts = train.__getitems__(next(orders))
        return stepper(images, classifier.codes(texts))

    return sweep_rates(stepper, step, lowest, highest, steps, 1e-3)


def known_only(packed: Packed | Mixed, classifier: GlyphClassifier) -> tuple[Packed | Mixed, pd.DataFrame]:
    """Part the samples whose label is a class of the classifier from the rest, which get a column `reason`."""
    wanted, size = classifier.image_size, tuple(packed[0][0].shape[-2:]) if len(packed) else classifier.image_size
    if size != wanted:
        raise ValueError(
            f"the images are {size[0]} x {size[1]} and the classifier reads {wanted[0]} x {wanted[1]}: "
            f"set classifier.image_size = {size}, or pack them again with classifier.pack"
        )

    def problem(text: str, code: int) -> str:
        return "" if code >= 0 else f"{text!r} is no class of the model" if text else "the label is empty"

    return without_problems(packed, lambda part: [*map(problem, part.texts, classifier.codes(part.texts).tolist())])


def _orders(n: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The indices of each batch of an epoch; a last batch of one image is left out: batch norm cannot use it."""
    return [batch for batch in shuffled_batches(n, batch_size, seed, epoch) if len(batch) > 1]


def _validate(classifier: GlyphClassifier, valid: Packed) -> dict[str, float]:
    codes = classifier.codes(valid.texts)
    logits = classifier.logits(valid.images)
    return {
        "valid_loss": cross_entropy(logits, codes).item(),
        "valid_accuracy": (logits.argmax(1) == codes).float().mean().item(),
    }


def train_glyphs(recipe: GlyphRecipe, train: Mixed, valid: Packed) -> tuple[GlyphClassifier, pd.DataFrame]:
    """Train by `recipe`, on the labels of `train` as classes: `head_epochs` the head alone, then `epochs` all.

    Returns the model and the history of all epochs, whose best is one of the last part.
    """
    classes = sorted({text for part in train.parts for text in part.texts})
    imagenet = recipe.start == "imagenet"
    body = {"weights": "imagenet"} if imagenet else {"start": recipe.start or None}
    form = recipe.image_size, recipe.mode, recipe.resize
    classifier = GlyphClassifier.create(classes, recipe.backbone, *form, **body, seed=recipe.seed)
    rates = slice(recipe.body_rate, recipe.learning_rate) if recipe.body_rate else recipe.learning_rate
    common = {name: getattr(recipe, name) for name in ("batch_size", "augment", "weight_decay", "amp", "seed")}
    common["on_epoch"] = print_epoch
    parts = []
    if recipe.head_epochs:
        classifier.freeze()
        parts.append(fit_glyphs(classifier, train, valid, recipe.head_epochs, recipe.learning_rate, **common))
        classifier.unfreeze()
    parts.append(fit_glyphs(classifier, train, valid, recipe.epochs, rates, **common))
    if parts[-1].empty:
        return classifier, parts[-1]
    history = pd.concat(parts, ignore_index=True)
    history["epoch"] = range(1, len(history) + 1)
    best = parts[-1].attrs["best"]
    history.attrs = {"best": best | {"epoch": len(history) - len(parts[-1]) + best["epoch"]}}
    return classifier, history
