"""What `run.run_recipe` does of its own for a model of glyphs: head first, then all of it.

Taught in notebook 09.
"""

from __future__ import annotations

import pandas as pd

from ocrkit.data.packed import Mixed, Packed
from ocrkit.errors.plots import print_epoch
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.training import fit_glyphs
from ocrkit.training.recipe import GlyphRecipe


def train_glyphs(recipe: GlyphRecipe, train: Mixed, valid: Packed) -> tuple[GlyphClassifier, pd.DataFrame]:
    """Train by `recipe`; returns the model and the history of all epochs, whose best is one of the last part.

    The classes are the labels of the training images. A recipe's `head_epochs` train the head alone, at
    `learning_rate`; its `epochs` then train all, at rates from `body_rate` to `learning_rate`.

    Raises:
        ValueError: as `fit_glyphs`.
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
        return classifier, parts[-1]
    history = pd.concat(parts, ignore_index=True)
    history["epoch"] = range(1, len(history) + 1)
    best = parts[-1].attrs["best"]
    history.attrs = {"best": best | {"epoch": len(history) - len(parts[-1]) + best["epoch"]}}
    return classifier, history
