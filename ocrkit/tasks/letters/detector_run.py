"""What `run.run_recipe` does of its own for a detector of fields: letters are rendered, kept, learned, and measured."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.layouts.pages import load_pages
from ocrkit.data.store import digest, make_once, mapped_images, write_images
from ocrkit.synth import render_letters
from ocrkit.synth.store import renderer_code
from ocrkit.tasks.letters.detector import FieldDetector, PackedPages
from ocrkit.tasks.letters.detector_training import fit_detector
from ocrkit.tasks.letters.scores import evaluate_fields
from ocrkit.training.recipe import DetectorRecipe

RENDERED_VALID = 200
#: Pages that are in memory at their full size while a store is made.
CHUNK = 64


def letter_store(n: int, seed: int, folder: str | Path, detector: FieldDetector, split: str = "train") -> PackedPages:
    """`n` letters, in fonts and layouts of `split`, at the size of `detector`; made anew when the code has changed."""
    folder = Path(folder)
    code = renderer_code("letter*.*", "joined*.*", "ink.py")
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


def letter_data(recipe: DetectorRecipe, stores: str | Path) -> tuple[PackedPages, PackedPages, list[str]]:
    """The letters that the recipe trains and validates on, kept in the folder `stores`; also a line for each part."""
    if recipe.samples or recipe.start or not recipe.rendered:
        raise ValueError("a detector learns from rendered letters alone: set rendered=3000, no samples and no start")
    detector = FieldDetector.create(recipe.backbone, image_size=recipe.image_size)
    packs, lines, shape = [], [], "x".join(map(str, recipe.image_size))
    for split, n, seed in ("train", recipe.rendered, recipe.seed), ("valid", RENDERED_VALID, recipe.seed + 1_000_000):
        folder = Path(stores, f"letters-{split}-{n}-{seed}-{shape}")
        packs.append(letter_store(n, seed, folder, detector, split))
        lines.append(f"{n} rendered letters, fonts and layouts of {split} (seed {seed})")
    return *packs, lines


def train_detector(recipe: DetectorRecipe, *packs: PackedPages) -> tuple[FieldDetector, pd.DataFrame]:
    """Train by `recipe` and the packs for training and validation; returns the model and the history."""
    detector = FieldDetector.create(recipe.backbone, image_size=recipe.image_size, seed=recipe.seed)
    names = "epochs", "learning_rate", "weight_decay", "batch_size", "seed", "amp"
    settings = {name: getattr(recipe, name) for name in names} | {"window": recipe.window or None}
    return detector, fit_detector(detector, *packs, **settings, on_epoch=_print)


def _print(history: pd.DataFrame) -> None:
    print(", ".join(f"{name} {value:.4g}" for name, value in history.iloc[-1].items()), flush=True)


def field_figures(recipe: DetectorRecipe, detector: FieldDetector) -> list[dict]:
    """Measure on the test pages of the shipped sample `letters`."""
    pages = load_pages("letters", split="test")
    return evaluate_fields(detector.detect(pages), pages).round(4).to_dict("records")


def field_card(name: str, facts: dict) -> tuple[str, str]:
    """What stands above the table of a detector's card, and below it."""
    about = """On the test pages of the shipped sample `letters`, whose fonts and layouts are in no training page. A
field counts as found where the box overlaps the right one by 0.5 (IoU); with 95% intervals."""
    return about, ""
