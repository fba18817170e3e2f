"""`python -m tools.benchmarks.centers`: what center loss and its rivals are worth on look-alikes.

One model learns with plain CTC. From that same start each variant goes on for the same number of steps, once a seed,
and then reads lines in fonts that nothing was trained on. The variants change one thing at a time from the middle one:
weight, alignment, the centers' start and rule. `--grid` adds all 3 weights x 2 starts x 3 alignments. Runs that are in
the records already are not made again, and a run that was broken off goes on; so stop and start as you like.

Records go to `data/records/centers.json`; tables and figure of all tasks are made from them alone:
`data/records/centers.md` and `data/pictures/centers.png` (`--draw` makes only these). `--task plates` does the same
on rendered plates and their look-alikes: the shipped plate reader goes on with images of the laptop recipe's size,
which is smaller than the one it learned with.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ocrkit.data.batches import loader
from ocrkit.data.files import atomic, write_json
from ocrkit.data.packed import Packed, pack_arrays
from ocrkit.data.platforms import COURSE
from ocrkit.errors.metrics import accuracy, cer
from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth import render_lines, render_plates
from ocrkit.synth.store import rendered_store
from ocrkit.text.alphabets import LOOK_ALIKES, PLATE_LOOK_ALIKES, brothers
from ocrkit.text.edits import align
from ocrkit.training.center_tracking import Tracker
from ocrkit.training.centers import Aligned, AlignedLoss, CenterLoss, alignment_report, collect
from ocrkit.training.loop import fit, print_epoch
from ocrkit.training.recipe import Recipe, find_recipe
from ocrkit.training.step import Stepper, keep_memory
from tools.benchmarks.center_report import markdown, page
from tools.benchmarks.comparisons import PLAIN, plot_comparison
from tools.benchmarks.extra_losses import AdditiveMargin, FocalCTC, LabelSmoothing, SupervisedContrastive

RESULTS = COURSE / "data" / "records" / "centers.json"
PICTURE = COURSE / "data" / "pictures" / "centers.png"


class Task(NamedTuple):
    """What is read: the recipe of its start, its look-alikes, and a renderer of test images."""

    recipe: str
    groups: tuple[str, ...]
    test: Callable


TASKS = {
    "look-alikes": Task("look-alikes", LOOK_ALIKES, partial(render_lines, split="test")),
    "plates": Task("plates", PLATE_LOOK_ALIKES, render_plates),
}


# --- the variants: (recognizer, features of what it reads right, seed) -> the extra loss ---

Extra = Callable[[Recognizer, Aligned, int], nn.Module]


def center(weight=0.01, alignment="forced", start="correct", rule="moving") -> Extra:
    """A center loss; centers start in the means of what is read right, or by chance with the same deviation."""

    def make(recognizer: Recognizer, right: Aligned, seed: int) -> nn.Module:
        std = right.features.std().item() if len(right.features) > 1 else 0.1
        k, d = recognizer.tokenizer.num_classes, recognizer.model.feature_size
        loss = CenterLoss(k, d, rule, std=std, seed=seed)
        if start == "correct":
            loss.initialize(right.features, right.classes)
        return AlignedLoss(loss, weight, alignment, warmup=50)

    return make


def margin(recognizer: Recognizer, right: Aligned, seed: int) -> nn.Module:
    k, d = recognizer.tokenizer.num_classes, recognizer.model.feature_size
    return AlignedLoss(AdditiveMargin(k, d, seed=seed), 0.1)


VARIANTS: dict[str, Extra | None] = {
    PLAIN: None,
    "center 0.001": center(0.001),
    "center 0.01": center(),
    "center 0.1": center(0.1),
    "center 0.01, merged": center(alignment="merged"),
    "center 0.01, frames": center(alignment="frames"),
    "center 0.01, random": center(start="random"),
    "center 0.01, learned": center(rule="learned"),
    "label smoothing": lambda recognizer, right, seed: LabelSmoothing(0.05),
    "focal CTC": lambda recognizer, right, seed: FocalCTC(1.0),
    "contrastive": lambda recognizer, right, seed: AlignedLoss(SupervisedContrastive(), 0.1),
    "additive margin": margin,
}
GRID = {
    ", ".join([f"center {w}", *[alignment] * (alignment != "forced"), *[start] * (start != "correct")]): center(
        w, alignment, start
    )
    for w, alignment, start in product((0.001, 0.01, 0.1), ("merged", "frames", "forced"), ("correct", "random"))
}


# --- one run ---


def read_test(recognizer: Recognizer, test: Packed, groups: tuple[str, ...]) -> dict[str, float]:
    """Exact match of lines, CER, share of look-alikes read right, and share taken for one of their brothers."""
    read, alike = [r.text for r in recognizer.decode(test.images, batch_size=128)], brothers(groups)
    edits = [e for pair in zip(test.texts, read) for e in align(*pair) if e.reference in alike and e.kind != "insert"]
    confused = sum(e.kind == "substitute" and e.prediction in alike[e.reference] for e in edits)
    return {
        "accuracy": accuracy(test.texts, read),
        "cer": cer(test.texts, read),
        "look_alikes": sum(e.kind == "equal" for e in edits) / len(edits),
        "confused": confused / len(edits),
    }


def one_run(start: Recognizer, right: Aligned, name: str, seed: int, recipe: Recipe, data: dict, folder: Path) -> dict:
    """Train one variant from `start` and measure it; the folder holds its checkpoint, to go on from."""
    torch.manual_seed(seed)
    recognizer, make = copy.deepcopy(start), (VARIANTS | GRID)[name]
    extra = make(recognizer, right, seed) if make else None
    history = fit(recognizer, data["train"], data["valid"], recipe, folder, True, on_epoch=print_epoch, extra=extra)
    after = Tracker(recognizer, data["valid"], groups=data["groups"]).rows[0]
    return {
        "variant": name,
        "seed": seed,
        **read_test(recognizer, data["test"], data["groups"]),
        **{k: round(v, 4) for k, v in after.items() if k != "step"},
        "valid_accuracy": history["valid_accuracy"].max(),
        "seconds": round(history["seconds"].sum(), 1),
    }


def step_costs(start: Recognizer, right: Aligned, names: list[str], recipe: Recipe, train: Packed, rounds: int) -> dict:
    """Median milliseconds of a training step, the variants in turn on the same batches so that noise meets all."""
    keep_memory()
    batches = [batch for batch, _ in zip(loader(train, start.tokenizer, recipe.batch_size), range(4))]
    steppers, spent = {}, {name: [] for name in names}
    for name in names:
        recognizer, make = copy.deepcopy(start), (VARIANTS | GRID)[name]
        recognizer.model.train()
        steppers[name] = Stepper(recognizer, recipe, make(recognizer, right, 0) if make else None)
        steppers[name](batches[0]).item()  # warm up
    for k, name in product(range(rounds), names):
        started = time.perf_counter()
        steppers[name](batches[k % len(batches)]).item()
        spent[name].append(1000 * (time.perf_counter() - started))
    return {name: round(statistics.median(times), 1) for name, times in spent.items()}


def main(arguments: list[str] | None = None) -> None:
    """Make the runs that are missing, then table and figure."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.centers", description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="look-alikes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="only these variants, separated by ;")
    parser.add_argument("--grid", action="store_true", help="all weights x starts x alignments beside the others")
    parser.add_argument("--train", type=int, default=8_000, help="rendered images for each run")
    parser.add_argument("--test", type=int, default=2000, help="rendered images to measure on")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each run")
    parser.add_argument("--start-train", type=int, help="rendered images for the start, if other than in its recipe")
    parser.add_argument("--start-epochs", type=int, help="epochs of the start, if other than in its recipe")
    parser.add_argument("--rounds", type=int, default=12, help="steps of each variant whose time is taken")
    parser.add_argument("--draw", action="store_true", help="make table and figure of the records there are")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--folder", type=Path, default=COURSE / "runs" / "centers", help="for starts and checkpoints")
    options = parser.parse_args(arguments)
    everything = json.loads(options.results.read_text(encoding="utf-8")) if options.results.exists() else {}
    if not options.draw:
        measure(options, everything)
    with atomic(options.results.with_suffix(".md")) as path:
        path.write_text(page(everything), encoding="utf-8")
    plot_comparison(everything).savefig(options.picture, dpi=110)
    print(markdown(everything[options.task]))


def measure(options: argparse.Namespace, everything: dict) -> None:
    """Make what the records lack; they are written after each run. Raises SystemExit where settings differ."""
    task = TASKS[options.task]
    names = options.only.split(";") if options.only else list(VARIANTS | GRID if options.grid else VARIANTS)
    if unknown := [name for name in names if name not in VARIANTS | GRID]:
        raise SystemExit(f"no variant is named {unknown[0]!r}; there are: {'; '.join(VARIANTS | GRID)}")
    first = find_recipe(task.recipe)
    first = replace(first, epochs=options.start_epochs or first.epochs, rendered=options.start_train or first.rendered)
    recipe = replace(first, epochs=options.epochs, batch_size=64, learning_rate=1e-3)
    size, folder = first.image_size, options.folder / options.task
    settings = {name: getattr(options, name) for name in ("train", "test", "epochs")}
    settings |= {"start_train": first.rendered, "start_epochs": first.epochs}
    records = everything.setdefault(options.task, {"settings": settings, "runs": []})
    if records["settings"] != settings:
        raise SystemExit(f"{options.results} has runs with {records['settings']}: pass the same, or another --results")

    images, texts = task.test(options.test, 2_000_000, size, os.cpu_count() or 1)
    data = {
        "train": rendered_store(options.train, 1, folder / "train", size, renderer=options.task),
        "valid": rendered_store(min(400, options.test), 1_000_000, folder / "valid", size, renderer=options.task),
        "test": pack_arrays(images, texts.assign(image="")),
        "groups": task.groups,
    }
    if options.task == "plates":
        start = Recognizer.load("plates")
    else:
        start = Recognizer.create(first.alphabet, first.backbone, size, first.mode, first.seed)
        material = rendered_store(first.rendered, 0, folder / "start-train", size, renderer=options.task)
        fit(start, material, data["valid"], first, folder / "start", resume=True, on_epoch=print_epoch)
    start.model.eval()
    part = data["train"].keep([i < 2000 for i in range(options.train)])
    right = collect(start, part, correct_only=True)
    records |= {
        "device": str(start.device),
        "torch": torch.__version__,
        "start": read_test(start, data["test"], task.groups),
        "alignments": alignment_report(start, part).to_dict("records"),
    }
    done = {(run["variant"], run["seed"]) for run in records["runs"]}
    for seed, name in product(range(options.seeds), names):  # all variants of a seed first: a part is a fair part
        if (name, seed) in done:
            continue
        place = folder / f"{re.sub(r'[ ,]+', '-', name)}-{seed}"
        run = one_run(start, right, name, seed, replace(recipe, seed=seed), data, place)
        records["runs"].append(run)
        write_json(options.results, everything)
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in run.items()}, flush=True)
    if missing := [name for name in names if name not in records.setdefault("step_ms", {})]:
        # Measured anew for all, because a ratio holds within one measurement only.
        wanted = list(dict.fromkeys([PLAIN, *records["step_ms"], *missing]))
        records["step_ms"] = step_costs(start, right, wanted, recipe, data["train"], options.rounds)
    write_json(options.results, everything)


if __name__ == "__main__":
    main()
