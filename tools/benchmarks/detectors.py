"""`python -m tools.benchmarks.detectors`: which of torchvision's detectors finds the fields of a letter on a laptop.

SSDlite, RetinaNet and Faster R-CNN learn the same rendered letters for the same number of seconds, each from new
weights, and are measured on the same validation pages, whose fonts and layouts none has seen: the share of the fields
that is found (mean over the four kinds, IoU 0.5), the mean overlap, seconds a page on one thread, and megabytes. The
test pages are left alone: this table chooses the detector that is shipped. Result: `data/records/detectors.json`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import pandas as pd
import torch

from ocrkit.data.files import write_json
from ocrkit.data.platforms import COURSE
from ocrkit.tasks.letters.detector import FieldDetector
from ocrkit.tasks.letters.detector_models import DETECTORS
from ocrkit.tasks.letters.detector_run import RENDERED_VALID, letter_store
from ocrkit.tasks.letters.detector_training import fit_detector, validate
from ocrkit.training.recipe import find_recipe

RESULTS = COURSE / "data" / "records" / "detectors.json"


def page_seconds(detector: FieldDetector, images: torch.Tensor) -> float:
    """Median seconds in which one page is searched, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        detector.find(images[:1])
        seconds = []
        for k in range(len(images)):
            started = time.perf_counter()
            detector.find(images[k : k + 1])
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return median(seconds)


def main(options: argparse.Namespace) -> None:
    """Train and measure each detector, and print its row."""
    recipe, rows = find_recipe("letters-detector"), []
    for name in DETECTORS:
        detector = FieldDetector.create(name, image_size=recipe.image_size, seed=recipe.seed)
        shape = "x".join(map(str, recipe.image_size))
        train, valid = (
            letter_store(n, seed, options.runs / "stores" / f"letters-{split}-{n}-{seed}-{shape}", detector, split)
            for split, n, seed in (("train", recipe.rendered, 0), ("valid", RENDERED_VALID, 1_000_000))
        )
        settings = {"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size}
        settings |= {"seed": recipe.seed, "window": recipe.window or None}
        history = fit_detector(detector, train, valid, 1000, **settings, max_seconds=options.seconds)
        with tempfile.TemporaryDirectory() as folder:
            megabytes = Path(detector.save(folder, half=True), "model.safetensors").stat().st_size / 1e6
        scores = validate(detector, valid)
        rows.append({
            "detector": name,
            "recall": scores["valid_recall"],
            "overlap": scores["valid_iou"],
            "page_seconds": page_seconds(detector, valid.images[:20]),
            "training_pages_per_second": history["images_per_second"].median(),
            "trained_pages": round((history["images_per_second"] * history["seconds"]).sum()),
            "megabytes": megabytes,
        })  # fmt: skip
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    facts = {
        "image_size": list(recipe.image_size),
        "train_pages": recipe.rendered,
        "valid_pages": RENDERED_VALID,
        "seconds": options.seconds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "rows": rows,
    }
    write_json(RESULTS, facts)
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.detectors", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the rendered letters are kept")
    parser.add_argument("--seconds", type=float, default=180, help="how long each is trained")
    main(parser.parse_args())
