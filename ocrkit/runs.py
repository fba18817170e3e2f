"""Runs: a recipe from its data to a model folder with a card. The command `python -m ocrkit train` is this.

Taught in notebook 03.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from ocrkit.batches import Packed, concatenate, pack, pack_arrays
from ocrkit.files import atomic
from ocrkit.plots import print_epoch
from ocrkit.recipes import Recipe
from ocrkit.recognizer import Recognizer
from ocrkit.samples import assign_splits, load_samples
from ocrkit.synth import render_plates
from ocrkit.training import fit

#: Rendered plates that stand in for a validation set where a recipe has no other samples.
RENDERED_VALID = 400


def training_splits(samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The train and valid rows of a samples table; without a valid split, a tenth of train by plate text."""
    train, valid = samples[samples["split"] == "train"], samples[samples["split"] == "valid"]
    if not len(valid):
        parted = assign_splits(train, {"train": 0.9, "valid": 0.1})
        train, valid = parted[parted["split"] == "train"], parted[parted["split"] == "valid"]
    return train, valid


def rendered_pack(n: int, seed: int, recipe: Recipe) -> Packed:
    """`n` freshly rendered plates in the recipe's image size and mode, on all cores."""
    images, table = render_plates(n, seed, recipe.image_size, workers=os.cpu_count() or 1)
    if recipe.mode == "L":
        # The weights of ITU-R BT.601, as Pillow turns RGB into grey.
        images = (images @ [0.299, 0.587, 0.114]).round().astype("uint8")
    return pack_arrays(images, table.assign(image=[f"rendered {seed}/{i}" for i in range(n)]))


def recipe_data(recipe: Recipe) -> tuple[Packed, Packed, list[str]]:
    """Pack what the recipe trains and validates on; also a line for each part of it, for the card.

    Test splits are never touched. Raises ValueError where the recipe names no data.
    """
    trains, valids, repeats, lines = [], [], [], []
    for where in recipe.samples:
        train, valid = training_splits(load_samples(where))
        trains.append(pack(train, recipe.image_size, recipe.mode))
        valids.append(pack(valid, recipe.image_size, recipe.mode))
        repeats.append(recipe.repeat)
        lines.append(f"{Path(where).name}: {len(train)} for training (x {recipe.repeat}), {len(valid)} for validation")
    if recipe.rendered:
        trains.append(rendered_pack(recipe.rendered, recipe.seed, recipe))
        repeats.append(1)
        lines.append(f"{recipe.rendered} rendered plates for training (seed {recipe.seed})")
    if not trains:
        raise ValueError("the recipe names no data: set samples=FOLDER, or rendered=20000 to render plates")
    if not valids:
        valids.append(rendered_pack(RENDERED_VALID, recipe.seed + 1_000_000, recipe))
        lines.append(f"{RENDERED_VALID} rendered plates for validation (seed {recipe.seed + 1_000_000})")
    return concatenate(trains, repeats), concatenate(valids), lines


def run_recipe(recipe: Recipe, run_dir: str | Path, resume: bool = False, command: str = "") -> Recognizer:
    """Train by `recipe` into the folder `run_dir`: model, history, checkpoint, `run.json` and a model card.

    Raises:
        FileExistsError: the folder holds a finished or broken-off run, and `resume` is off.
    """
    run_dir = Path(run_dir)
    if (run_dir / "checkpoint.safetensors").exists() and not resume:
        raise FileExistsError(f"{run_dir} holds a run already: pass --resume to go on with it, or choose another --out")
    train, valid, lines = recipe_data(recipe)
    print(f"{len(train)} training and {len(valid)} validation images an epoch", flush=True)
    if recipe.start:
        recognizer = Recognizer.load(recipe.start)
    else:
        recognizer = Recognizer.create(recipe.alphabet, recipe.backbone, recipe.image_size, recipe.mode, recipe.seed)
    started = time.perf_counter()
    history = fit(recognizer, train, valid, recipe, run_dir, resume, on_epoch=print_epoch)
    best = history.loc[history["valid_cer"].idxmin()]
    facts = {
        "command": command,
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - started),
        "torch": torch.__version__,
        "device": str(recognizer.device),
        "data": lines,
        "recipe": dataclasses.asdict(recipe),
        "best": {k: float(best[k]) for k in ("epoch", "valid_cer", "valid_accuracy")},
    }
    with atomic(run_dir / "run.json") as path:
        path.write_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with atomic(run_dir / "README.md") as path:
        path.write_text(model_card(run_dir.name, recognizer, facts), encoding="utf-8")
    return recognizer


def model_card(name: str, recognizer: Recognizer, facts: dict) -> str:
    """The text of a model card: what the model is, what it was made from, and how to make it again."""
    settings = "\n".join(f"{k} = {v!r}" for k, v in facts["recipe"].items())
    data = "\n".join(f"* {line}" for line in facts["data"])
    best = facts["best"]
    return f"""# {name}

{recognizer!r}

Made on {facts["date"]} in {facts["seconds"] / 60:.0f} minutes on {facts["device"]} with torch {facts["torch"]}, by

```
{facts["command"]}
```

## Data
{data}

## Result
Epoch {best["epoch"]:.0f} was the best on the validation images:
CER {best["valid_cer"]:.4f}, exact match {best["valid_accuracy"]:.4f}.
The epoch was chosen on these images; figures on test images come from `python -m ocrkit evaluate`.

## Settings
```
{settings}
```
"""
