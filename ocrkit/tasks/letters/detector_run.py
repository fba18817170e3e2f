"""What `python -m ocrkit train` does for a detector of fields: letters are rendered, kept, learned, and measured.

Taught in notebook 10.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.files import atomic, write_json
from ocrkit.data.layouts.pages import load_pages
from ocrkit.data.store import digest, make_once, mapped_images, write_images
from ocrkit.synth import render_letters
from ocrkit.synth.store import renderer_code
from ocrkit.tasks.letters.detector import FieldDetector, PackedPages
from ocrkit.tasks.letters.detector_training import fit_detector
from ocrkit.tasks.letters.scores import evaluate_fields
from ocrkit.training.recipe import Recipe

RENDERED_VALID = 200
#: Pages that are in memory at their full size while a store is made.
CHUNK = 64


def letter_store(n: int, seed: int, folder: str | Path, detector: FieldDetector, split: str = "train") -> PackedPages:
    """`n` rendered letters at the size of `detector`, kept in `folder`; made anew when the code has changed.

    Args:
        split: the fonts and layouts that draw.
    """
    folder = Path(folder)
    code = renderer_code("letter*.*") + renderer_code("joined*.*")
    source = digest([n, seed, split, detector.image_size, detector.kinds], code)
    shape = (n, 1, *detector.image_size)

    def write(fresh: Path) -> dict:
        boxes, labels = [], []

        def blocks() -> Iterator[np.ndarray]:
            for first in range(0, n, CHUNK):
                count = min(CHUNK, n - first)
                pages, table = render_letters(count, seed, workers=os.cpu_count() or 1, first=first, split=split)
                packed = detector.pack(table.assign(image=pd.Series(list(pages), dtype=object)))
                boxes.extend(b.tolist() for b in packed.boxes)
                labels.extend(k.tolist() for k in packed.labels)
                yield packed.images.numpy()

        write_images(fresh, shape, blocks())
        return {"boxes": boxes, "labels": labels}

    make_once(folder, source, write, needed=math.prod(shape))
    kept = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    return PackedPages(
        mapped_images(folder),
        [torch.tensor(b, dtype=torch.float32).reshape(-1, 4) for b in kept["boxes"]],
        [torch.tensor(k, dtype=torch.long) for k in kept["labels"]],
    )


def run_detector(recipe: Recipe, run_dir: str | Path, command: str = "") -> FieldDetector:
    """Train a detector by `recipe` into the folder `run_dir`: model, history, `run.json` and a model card.

    Raises:
        FileExistsError: the folder holds a model already.
        ValueError: the recipe names samples, or a setting cannot work.
    """
    run_dir = Path(run_dir)
    if (run_dir / "config.json").exists():
        raise FileExistsError(f"{run_dir} holds a model already: choose another --out")
    if recipe.samples or not recipe.rendered:
        raise ValueError("a detector of fields learns from rendered letters alone: set rendered=3000, no samples")
    imagenet = recipe.start == "imagenet"
    detector = FieldDetector.create(
        recipe.backbone, image_size=recipe.image_size, weights="imagenet" if imagenet else None, seed=recipe.seed
    )
    stores, shape = run_dir.parent / "stores", "x".join(map(str, recipe.image_size))
    parts = [("train", recipe.rendered, recipe.seed), ("valid", RENDERED_VALID, recipe.seed + 1_000_000)]
    train, valid = (
        letter_store(n, seed, stores / f"letters-{split}-{n}-{seed}-{shape}", detector, split)
        for split, n, seed in parts
    )
    rates = {"learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    settings = rates | {"batch_size": recipe.batch_size, "seed": recipe.seed, "amp": recipe.amp}
    settings |= {"window": recipe.window or None}
    history = fit_detector(detector, train, valid, recipe.epochs, **settings, on_epoch=_print)
    if history.empty:
        raise ValueError(f"stopped before the first epoch was finished: {run_dir} holds no model")
    detector.save(run_dir, recipe.half)
    with atomic(run_dir / "history.csv") as path:
        history.to_csv(path, index=False)
    detector = FieldDetector.load(run_dir)
    pages = load_pages("letters", split="test")
    scores = evaluate_fields(detector.detect(pages), pages).round(4)
    best = history.sort_values(["valid_recall", "valid_iou"]).iloc[-1]
    facts = {
        "command": command,
        "date": date.today().isoformat(),
        "seconds": round(history["seconds"].sum()),
        "torch": torch.__version__,
        "device": str(detector.device),
        "data": [f"{n} rendered letters, fonts and layouts of {split} (seed {seed})" for split, n, seed in parts],
        "recipe": dataclasses.asdict(recipe),
        "best": {"epoch": int(best["epoch"]), "valid_recall": best["valid_recall"], "valid_iou": best["valid_iou"]},
        "tests": scores.to_dict("records"),
    }
    write_json(run_dir / "run.json", facts)
    with atomic(run_dir / "README.md") as path:
        path.write_text(_card(run_dir.name, detector, facts, scores), encoding="utf-8")
    return detector


def _print(history: pd.DataFrame) -> None:
    row = history.iloc[-1]
    print(
        f"epoch {row.epoch:.0f}: loss {row.train_loss:.3f}, validation recall {row.valid_recall:.4f}, "
        f"overlap {row.valid_iou:.3f}, {row.images_per_second:.1f} pages/s",
        flush=True,
    )


def _card(name: str, detector: FieldDetector, facts: dict, scores: pd.DataFrame) -> str:
    settings = "\n".join(f"{k} = {v!r}" for k, v in facts["recipe"].items())
    data = "\n".join(f"* {line}" for line in facts["data"])
    lines = ["| " + " | ".join(scores.columns) + " |", "|" + "---|" * len(scores.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in scores.itertuples(index=False)]
    best, table = facts["best"], "\n".join(lines)
    return f"""# {name}

{detector!r}

Made on {facts["date"]} in {facts["seconds"] / 60:.0f} minutes on {facts["device"]} with torch {facts["torch"]}, by

```
{facts["command"]}
```

## Data
{data}

## Figures
On the test pages of the shipped sample `letters`, whose fonts and layouts are in no training page. A field counts as
found where the box overlaps the right one by 0.5 (IoU); with 95% intervals.

{table}

Epoch {best["epoch"]} was taken as the best on the validation pages: recall {best["valid_recall"]:.4f}. That figure
chose the epoch, so it is no measure of the model.

## Settings
```
{settings}
```
"""
