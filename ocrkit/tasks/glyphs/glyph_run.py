"""What `python -m ocrkit train` does for a model of glyphs: head first, then all of it, by a recipe.

Taught in notebook 09.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ocrkit.data.files import atomic
from ocrkit.data.packed import Mixed, Packed
from ocrkit.errors.plots import print_epoch
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.training import fit_glyphs
from ocrkit.training.recipe import Recipe


def train_glyphs(recipe: Recipe, train: Mixed, valid: Packed, run_dir: Path) -> tuple[GlyphClassifier, dict]:
    """Train by `recipe` and write model and `history.csv` into `run_dir`; returns also the row of the best epoch.

    The classes are the labels of the training images. A recipe's `head_epochs` train the head alone, at
    `learning_rate`; its `epochs` then train all, at rates from `body_rate` to `learning_rate`.

    Raises:
        ValueError: stopped by hand before an epoch was finished, or as `fit_glyphs`.
    """
    classes = sorted({text for part in train.parts for text in part.texts})
    imagenet = recipe.start == "imagenet"
    classifier = GlyphClassifier.create(
        classes,
        recipe.backbone,
        recipe.image_size,
        recipe.mode,
        recipe.resize,
        weights="imagenet" if imagenet else None,
        start=None if imagenet else recipe.start or None,
        seed=recipe.seed,
    )
    rates = slice(recipe.body_rate, recipe.learning_rate) if recipe.body_rate else recipe.learning_rate
    common = {
        "batch_size": recipe.batch_size,
        "augment": recipe.augment,
        "weight_decay": recipe.weight_decay,
        "amp": recipe.amp,
        "seed": recipe.seed,
        "on_epoch": print_epoch,
    }
    parts = []
    if recipe.head_epochs:
        classifier.freeze()
        parts.append(fit_glyphs(classifier, train, valid, recipe.head_epochs, recipe.learning_rate, **common))
        classifier.unfreeze()
    parts.append(fit_glyphs(classifier, train, valid, recipe.epochs, rates, **common))
    if parts[-1].empty:
        raise ValueError(f"stopped before the first epoch was finished: {run_dir} holds no model")
    history = pd.concat(parts, ignore_index=True)
    history["epoch"] = range(1, len(history) + 1)
    classifier.save(run_dir, recipe.half)
    with atomic(run_dir / "history.csv") as path:
        history.to_csv(path, index=False)
    last = history[history.index >= len(history) - len(parts[-1])]
    best = last[last["valid_accuracy"] == last["valid_accuracy"].max()].iloc[-1]
    facts = {"epoch": int(best["epoch"]), "valid_accuracy": best["valid_accuracy"]}
    return GlyphClassifier.load(run_dir), facts | {"seconds": history["seconds"].sum()}
