"""`python -m tools.benchmarks.costs`: what `ocrkit.predict` says beside what is measured, on this machine.

The device is measured first, by products and small layers that belong to no model (`measure_device`). Then each recipe
trains some steps on made-up images, in a process of its own, and its images a second and its memory are put beside the
range that was predicted. The last table is a plan: what the large recipes take on graphics cards, predicted only.
Results: `data/records/costs.json` and `costs.md`. On a machine with a graphics card, `--device cuda` measures that:
its shares of the peak then stand in the JSON, where the plan has assumptions.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import torch

from ocrkit.data.platforms import COURSE
from ocrkit.data.samples import load_samples
from ocrkit.data.sizes import used_columns
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.devices import DEVICES, Device, measure_device
from ocrkit.training.predictions import predict, recipe_step
from ocrkit.training.recipe import find_recipe
from ocrkit.training.step import keep_memory
from tools.benchmarks.measures import own_memory
from tools.benchmarks.report import keep_record

RESULTS = COURSE / "data" / "records" / "costs.json"
#: What is trained -> the recipe and what is changed in it. The plate systems train with smaller batches than they have.
RUNS = {
    "plates, light": ("plates", {}),
    "plates, VGG": ("plates", {"backbone": "vgg", "image_size": (32, 128), "batch_size": 64}),
    "plates, ResNet": ("plates", {"backbone": "resnet", "image_size": (32, 128), "batch_size": 32}),
    "names": ("names-start", {}),
    "Persian glyphs": ("persian-glyphs", {"start": ""}),
    "letters, detector": ("letters-detector", {}),
}
#: What is planned -> recipe and training images an epoch.
PLANS = {"names": ("names-gpu", 331_059), "plates": ("plates-large", 200_000)}
CARDS = ("T4", "L4", "A100-40", "H200")
RANGES = {"images_per_second": "{:,.0f}", "hours": "{:.2f}", "gigabytes": "{:.1f}"}


def shown_width() -> float:
    """The share of the width up to which the names of the shipped sample have ink, on average."""
    reader = Recognizer.load("names", device="cpu")
    names = reader.pack(load_samples("names"))
    return float(used_columns(names.images).float().mean() / names.images.shape[-1])


def measured(name: str, bits: int, used: float, device: str, seconds: float) -> dict[str, float]:
    """Train for some `seconds`: images a second, best of three, and the gigabytes that training takes."""
    recipe, changes = RUNS[name]
    recipe = find_recipe(recipe, **changes)
    keep_memory()
    torch.ones(1, device=device)  # the driver's own memory, on a graphics card
    before = own_memory()
    _, step = recipe_step(recipe, bits, used if recipe.resize == "pad" else 1.0, device)

    def run(rounds: int) -> float:
        started = time.perf_counter()
        for _ in range(rounds):
            step(recipe.batch_size)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / rounds

    run(1)
    rounds = max(1, int(seconds / 3 / run(1)))
    best = min(run(rounds) for _ in range(3))
    held = torch.cuda.max_memory_reserved() if device == "cuda" else 1e6 * (own_memory() - before)
    return {"images_per_second": recipe.batch_size / best, "gigabytes": held / 1e9}


def compare(device: Device, used: float, where: str, seconds: float) -> list[dict]:
    """A row a run: measured, and predicted from lowest to highest."""
    rows, context = [], multiprocessing.get_context("spawn")
    for name, (recipe, changes) in RUNS.items():
        recipe = find_recipe(recipe, **changes)
        found = predict(recipe, 1, device, used=used if recipe.resize == "pad" else 1.0)
        with ProcessPoolExecutor(1, context) as pool:
            real = pool.submit(measured, name, found["bits"], used, where, seconds).result()
        row = {"run": name, "batch_size": recipe.batch_size, "bits": found["bits"], "limit": found["limit"]}
        for what, value in real.items():
            low, high = found[f"{what}_low"], found[f"{what}_high"]
            row |= {what: value, f"{what}_low": low, f"{what}_high": high, f"{what}_ratio": value / (low * high) ** 0.5}
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def plan(used: float) -> list[dict]:
    """A row a recipe and card, predicted from assumptions."""
    rows = []
    for what, (name, images) in PLANS.items():
        recipe = find_recipe(name)
        share = used if recipe.resize == "pad" else 1.0
        for card in CARDS:
            found = predict(recipe, images, card, used=share)
            rows.append({"what": f"{images:,} {what}", "recipe": name, "epochs": recipe.epochs, **found})
    return rows


def _range(row: dict, what: str) -> str:
    return " to ".join(RANGES[what].format(row[f"{what}_{end}"]) for end in ("low", "high"))


def report(facts: dict) -> str:
    """The results as Markdown."""
    lines = [
        "# Costs, predicted and measured",
        "",
        f"`python -m tools.benchmarks.costs`, {facts['device']['name']}, torch {facts['torch']}. The ratio is the",
        "measured figure over the middle (geometric mean) of the predicted range.",
        "",
        "| run | batch | bits | limit | images/s: measured | predicted | ratio | GB: measured | predicted | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in facts["rows"]:
        cells = [r["run"], r["batch_size"], r["bits"], r["limit"]]
        for what in ("images_per_second", "gigabytes"):
            cells += [RANGES[what].format(r[what]), _range(r, what), f"{r[f'{what}_ratio']:.2f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "## Graphics cards: predicted, not measured",
        "",
        "From data sheets and from assumptions about the share of the peaks that such networks get",
        "(`ocrkit/training/devices.py`). Rendering or packing, and validation, come on top.",
        "",
        "| images an epoch | recipe | card | images/s | hours in all | GB | largest batch | limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in facts["plan"]:
        what = f"{r['recipe']}, {r['epochs']} epochs"
        cells = [r["what"], what, r["device"], *(_range(r, w) for w in RANGES), f"{r['largest_batch']:,}", r["limit"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(options: argparse.Namespace) -> None:
    """Measure, compare, plan, and write all down."""
    used = shown_width()
    device = measure_device(options.device)
    print(device, flush=True)
    facts = {
        "device": dataclasses.asdict(device),
        "torch": torch.__version__,
        "width_used": used,
        "rows": compare(device, used, options.device, options.seconds),
        "plan": plan(used),
        "cards": {name: dataclasses.asdict(DEVICES[name]) for name in CARDS},
    }
    print(pd.DataFrame(facts["rows"]).round(2).to_string(index=False))
    keep_record(RESULTS, facts, report(facts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.costs", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seconds", type=float, default=20, help="how long each run is timed, about")
    main(parser.parse_args())
