"""Runs: a recipe from its data to a model folder with a card. The command `python -m ocrkit train` is this.

Taught in notebook 03.
"""

from __future__ import annotations

import dataclasses
import os
from datetime import date
from hashlib import sha1
from pathlib import Path

import pandas as pd
import torch

from ocrkit.batches import Mixed, Packed, concatenate, pack
from ocrkit.checkpoints import best_epoch
from ocrkit.files import atomic, write_json
from ocrkit.lexicon import read_counts
from ocrkit.metrics import score
from ocrkit.plots import print_epoch
from ocrkit.recipes import Recipe
from ocrkit.recognizer import Recognizer
from ocrkit.samples import assign_splits, load_samples
from ocrkit.splicing import splice_words
from ocrkit.stores import packed_store, rendered_store
from ocrkit.text import names_text
from ocrkit.training import fit

#: Rendered images that stand in for a validation set where a recipe has no other samples.
RENDERED_VALID = 400


def training_splits(samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The train and valid rows of a samples table; without a valid split, a tenth of train by plate text."""
    train, valid = samples[samples["split"] == "train"], samples[samples["split"] == "valid"]
    if not len(valid):
        parted = assign_splits(train, {"train": 0.9, "valid": 0.1})
        train, valid = parted[parted["split"] == "train"], parted[parted["split"] == "valid"]
    return train, valid


def recipe_data(recipe: Recipe, stores: str | Path) -> tuple[Mixed, Packed, list[str]]:
    """Pack what the recipe trains and validates on; also a line for each part of it, for the card.

    The packs are kept in the folder `stores` for the next run. Test splits are never touched. Raises
    ValueError where the recipe names no data, or what splicing needs is missing.
    """
    form = recipe.image_size, recipe.mode, recipe.resize
    shape = f"{recipe.image_size[0]}x{recipe.image_size[1]}-{recipe.mode}" + "-pad" * (recipe.resize == "pad")

    def kept(part: pd.DataFrame, where: str, split: str) -> Packed:
        place = sha1(os.path.abspath(where).encode()).hexdigest()[:8]
        return packed_store(part, Path(stores, f"{Path(where).name}-{split}-{shape}-{place}"), *form)

    def rendered(n: int, seed: int) -> Packed:
        own = sha1(os.path.abspath(recipe.words).encode()).hexdigest()[:8] if recipe.words else ""
        folder = Path(stores, f"rendered-{recipe.renderer}{own}-{n}-{seed}-{shape}")
        return rendered_store(n, seed, folder, *form[:2], recipe.renderer, recipe.resize, recipe.words)

    def spliced(rows: list[pd.DataFrame]) -> Packed:
        words = read_counts(recipe.words)
        made = splice_words(Recognizer.load(recipe.start), pd.concat(rows), words, recipe.spliced, recipe.seed)
        packed = pack(made, *form)
        packed.samples = packed.samples.assign(image=[f"spliced {recipe.seed}/{i}" for i in range(len(packed))])
        return packed

    trains, valids, repeats, lines, rows = [], [], [], [], []
    for where in recipe.samples:
        samples = load_samples(where)
        if recipe.split_by:
            samples = assign_splits(samples, by=recipe.split_by)
        if recipe.labels == "names":
            samples = samples.assign(text=samples["text"].map(names_text))
        train, valid = training_splits(samples)
        trains.append(kept(train, where, "train"))
        valids.append(kept(valid, where, "valid"))
        repeats.append(recipe.repeat)
        rows.append(train)
        lines.append(f"{Path(where).name}: {len(train)} for training (x {recipe.repeat}), {len(valid)} for validation")
    if recipe.rendered:
        trains.append(rendered(recipe.rendered, recipe.seed))
        repeats.append(1)
        lines.append(f"{recipe.rendered} rendered {recipe.renderer} for training (seed {recipe.seed})")
    if recipe.spliced:
        if not (recipe.samples and recipe.words and recipe.start):
            raise ValueError(f"recipe: spliced={recipe.spliced} needs samples to cut, words to make and start to align")
        trains.append(spliced(rows))
        repeats.append(1)
        lines.append(f"{recipe.spliced} spliced images out of those for training (seed {recipe.seed})")
    if not trains:
        raise ValueError("the recipe names no data: set samples=FOLDER, or rendered=20000 to render plates")
    if not valids:
        valids.append(rendered(RENDERED_VALID, recipe.seed + 1_000_000))
        lines.append(f"{RENDERED_VALID} rendered {recipe.renderer} for validation (seed {recipe.seed + 1_000_000})")
    return Mixed(trains, repeats), concatenate(valids), lines


def run_recipe(recipe: Recipe, run_dir: str | Path, resume: bool = False, command: str = "") -> Recognizer:
    """Train by `recipe` into the folder `run_dir`: model, history, checkpoint, `run.json` and a model card.

    Raises:
        FileExistsError: the folder holds a finished or broken-off run, and `resume` is off.
    """
    run_dir = Path(run_dir)
    if (run_dir / "checkpoint.safetensors").exists() and not resume:
        raise FileExistsError(f"{run_dir} holds a run already: pass --resume to go on with it, or choose another --out")
    train, valid, lines = recipe_data(recipe, run_dir.parent / "stores")
    print(f"{len(train)} training and {len(valid)} validation images an epoch", flush=True)
    if recipe.start:
        recognizer = Recognizer.load(recipe.start)
    else:
        shape = recipe.image_size, recipe.mode, recipe.seed
        recognizer = Recognizer.create(recipe.alphabet, recipe.backbone, *shape, resize=recipe.resize)
    history = fit(recognizer, train, valid, recipe, run_dir, resume, on_epoch=print_epoch)
    if history.empty:
        raise ValueError(f"stopped before the first epoch was finished: {run_dir} holds no model")
    recognizer = Recognizer.load(run_dir)  # the figures are those of the files, which may hold 16-bit weights
    best = best_epoch(history.to_dict("records"))
    facts = {
        "command": command,
        "date": date.today().isoformat(),
        "seconds": round(history["seconds"].sum()),
        "torch": torch.__version__,
        "device": str(recognizer.device),
        "data": lines,
        "recipe": dataclasses.asdict(recipe),
        "best": {name: best[name] for name in ("epoch", "valid_cer", "valid_accuracy")},
        "tests": [
            t for where in dict.fromkeys((*recipe.samples, recipe.renderer)) if (t := split_figures(recognizer, where))
        ],
    }
    write_json(run_dir / "run.json", facts)
    with atomic(run_dir / "README.md") as path:
        path.write_text(model_card(run_dir.name, recognizer, facts), encoding="utf-8")
    return recognizer


def split_figures(recognizer: Recognizer, where: str) -> dict | None:
    """Measure on the test split of a set, which no training touches; None where the set has none."""
    samples = load_samples(where)
    samples = samples[(samples["split"] == "test") & (samples["text"] != "")]
    if not len(samples):
        return None
    results = recognizer.read(samples)
    table = score(results[results["error"] == ""]).set_index("metric").round(4)
    rows = {name: table.loc[name, ["value", "low", "high"]].tolist() for name in ("accuracy", "cer")}
    return {"samples": str(where), "n": int(table.n["accuracy"]), **rows}


def model_card(name: str, recognizer: Recognizer, facts: dict) -> str:
    """The text of a model card: what the model is, what it was made from, and how to make it again."""
    settings = "\n".join(f"{k} = {v!r}" for k, v in facts["recipe"].items())
    data = "\n".join(f"* {line}" for line in facts["data"])
    best = facts["best"]
    tests = "\n".join(
        f"| {t['samples']} | {t['n']} | {t['accuracy'][0]} ({t['accuracy'][1]} to {t['accuracy'][2]}) "
        f"| {t['cer'][0]} ({t['cer'][1]} to {t['cer'][2]}) |"
        for t in facts["tests"]
    )
    return f"""# {name}

{recognizer!r}

Made on {facts["date"]} in {facts["seconds"] / 60:.0f} minutes on {facts["device"]} with torch {facts["torch"]}, by

```
{facts["command"]}
```

## Data
{data}

## Figures
Measured on test splits, whose texts are in no training or validation image; with 95% intervals.
`{facts["recipe"]["renderer"]}` is the shipped sample of rendered images.

| samples | images | exact match | CER |
|---|---|---|---|
{tests}

Again with `python -m ocrkit evaluate {name} SAMPLES --split test`.

Epoch {best["epoch"]} was taken as the best on the validation images: CER {best["valid_cer"]:.4f}, exact match
{best["valid_accuracy"]:.4f}. Those two figures chose the epoch, so they are no measure of the model.

## Settings
```
{settings}
```
"""
