"""`python -m tools.benchmarks.persian_glyphs --printed FOLDER --hoda FILE.cdb`: Persian glyphs that no renderer drew.

FOLDER has printed letters and digits in 43 folders of classes (DS-1 of ArtinABS/Persian-Alphabet-Recognition). The
recipe `persian-letters` learns from its train split beside rendered glyphs and is read on its test split; files of one
name stay together. The shipped model learned from all of the folder, so nothing in it can examine that one.

FILE.cdb has handwritten digits of the Hoda set in its own format. They are read by `persian-letters`, which knows
printed ones alone, and by a model that goes on from its body with the file's own train split. Weights that learned
from Hoda are not kept: it is for research only. Result: `data/records/persian_glyphs.json`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from ocrkit.data.files import write_json
from ocrkit.data.platforms import COURSE
from ocrkit.data.samples import load_samples
from ocrkit.errors.classes import score_classes
from ocrkit.errors.intervals import wilson_interval
from ocrkit.synth import LETTER_CLASSES
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.training import fit_glyphs
from ocrkit.tasks.load import load_model
from ocrkit.tasks.run import run_recipe
from ocrkit.training.recipe import find_recipe

RESULTS = COURSE / "data" / "records" / "persian_glyphs.json"
DIGIT_CLASSES = [*LETTER_CLASSES][32:]


def figures(results: pd.DataFrame, **facts) -> dict:
    """Accuracy with n and its 95% interval."""
    right, n = int((results["text"] == results["prediction"]).sum()), len(results)
    low, high = wilson_interval(right, n)
    row = {**facts, "n": n, "accuracy": right / n, "low": low, "high": high}
    print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def printed(folder: Path, runs: Path) -> list[dict]:
    """Letters and digits of the test split of `folder`, read by a model that learned from its train split."""
    run_dir = runs / "persian-letters-heldout"
    if not (run_dir / "config.json").exists():
        run_recipe(find_recipe("persian-letters", samples=[str(folder)]), run_dir, command="tools.benchmarks")
    results = GlyphClassifier.load(run_dir).read(load_samples(folder, split="test"))
    digit = results["text"].isin(DIGIT_CLASSES)
    parts = ("letters", results[~digit]), ("digits", results[digit]), ("all", results)
    return [figures(some, learned="rendered and real", part=part) for part, some in parts]


def handwritten(file: Path) -> list[dict]:
    """Digits of the test split of `file`, read by the model of printed letters and by one that learned such digits."""
    samples, start = load_samples(file), load_model("persian-letters")
    test = samples[samples["split"] == "test"]
    results = start.read(test)
    digits = {name: str(k) for k, name in enumerate(DIGIT_CLASSES[:10])} | {"43-anewfive": "5"}
    rows = [figures(results.assign(prediction=results["prediction"].replace(digits)), learned="printed glyphs only")]
    form = start.model.backbone, (48, 48), "L", start.resize
    reader = GlyphClassifier.create(sorted(set(samples["text"])), *form, start=start)
    train, valid = (reader.pack(samples[samples["split"] == split]) for split in ("train", "valid"))
    fit_glyphs(reader, train, valid, 3, slice(5e-4, 3e-3), 128)
    return [*rows, figures(reader.read(test), learned=f"{len(train)} of Hoda's own")]


def main(options: argparse.Namespace) -> None:
    """Measure what is given."""
    facts = {"torch": torch.__version__}
    if options.printed:
        facts["printed"] = printed(options.printed, options.runs)
    if options.hoda:
        facts["hoda"] = handwritten(options.hoda)
    shipped = load_model("persian-glyphs").read(load_samples("persian-glyphs", split="test"))
    facts["sample"] = score_classes(shipped).to_dict("records")[:1]
    write_json(RESULTS, facts)


if __name__ == "__main__":
    about = "Measure Persian glyphs that no renderer drew."
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.persian_glyphs", description=about)
    parser.add_argument("--printed", type=Path, help="a folder of the 43 classes")
    parser.add_argument("--hoda", type=Path, help="a .cdb file of handwritten digits")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the trained models are kept")
    main(parser.parse_args())
