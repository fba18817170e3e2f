"""What each ingredient of the renderer is worth on real plates: `python -m tools.benchmarks.ablation SAMPLES...`

One model learns bare plates (no ingredient at all). From that same start, one run a row goes on for one
epoch with plates that lack one ingredient, and then reads real crops that nothing was trained on. Rows whose
text falls in the test split are left out of the measure, because the renderer is improved by this table. One row
leaves nothing out and draws other plates: what it differs by from the first row is chance.
Results go to `data/records/ablation.json`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os

import pandas as pd

from ocrkit.data.files import write_json
from ocrkit.data.packed import concatenate, pack, pack_arrays
from ocrkit.data.platforms import COURSE
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.errors.metrics import accuracy, cer
from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth import INGREDIENTS, render_plates
from ocrkit.training.loop import fit
from ocrkit.training.recipe import find_recipe

CHANCE = "nothing, other plates"
#: name of a row -> what is left out.
ROWS = {
    "nothing": (),
    CHANCE: (),
    "varied letterforms": ("letterforms",),
    "colors: paint, color cast": ("paint", "color_cast"),
    "frame, screws, car body": ("mount",),
    "off-axis view": ("view",),
    "bend": ("bend",),
    "crops too tight or loose": ("crop",),
    "light: shadow, glare, haze, night, overexposure": ("shadow", "glare", "low_contrast", "night", "overexposure"),
    "dirt and occlusion": ("dirt", "occlusion"),
    "blur": ("blur",),
    "motion blur": ("motion_blur",),
    "low resolution": ("low_resolution",),
    "sharpening, noise, JPEG": ("sharpen", "noise", "jpeg"),
    "all of them": INGREDIENTS,
}
RESULTS = COURSE / "data" / "records" / "ablation.json"
START, STEP = 12_000, 36_000  # rendered plates for the common start, and for each row
RECIPE = find_recipe("plates", epochs=1, batch_size=64, learning_rate=2e-3)


def rendered(n: int, seed: int, without: tuple[str, ...]):
    images, table = render_plates(n, seed, RECIPE.image_size, workers=os.cpu_count() or 1, without=without)
    return pack_arrays(images, table.assign(image=""))


def main(places: list[str], only: str | None = None) -> None:
    """Train and measure every row, or `only` one and keep the others; prints each as it is done."""
    real = {}
    for place in places:
        samples = load_samples(place)
        samples = samples[(assign_splits(samples)["split"] != "test") & (samples["text"] != "")]
        real["/".join(place.rstrip("/").split("/")[-2:])] = pack(samples, RECIPE.image_size)
    everything = concatenate(list(real.values()))
    start, valid = Recognizer.create(image_size=RECIPE.image_size), rendered(200, 10**6, ())
    fit(start, rendered(START, 1, INGREDIENTS), valid, RECIPE)
    rows = {}
    if only:
        rows = {row["without"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]}
    for name in [only] if only else ROWS:
        recognizer = copy.deepcopy(start)
        seed = 3 if name == CHANCE else 2
        history = fit(recognizer, rendered(STEP, seed, ROWS[name]), valid, RECIPE)
        row = {"without": name, "seconds": round(history["seconds"].sum())}
        for part, packed in {**real, "all": everything}.items():
            read = [r.text for r in recognizer.decode(packed.images)]
            row |= {f"{part} accuracy": accuracy(packed.texts, read), f"{part} cer": cer(packed.texts, read)}
        rows[name] = row
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = [rows[name] for name in ROWS if name in rows]
    facts = {"images": {name: len(p) for name, p in real.items()}, "start": START, "step": STEP, "rows": table}
    write_json(RESULTS, facts)
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.ablation", description=__doc__.split(": `")[0])
    parser.add_argument("places", nargs="+", metavar="SAMPLES", help="folders of real plates")
    parser.add_argument("--only", choices=ROWS, metavar="ROW", help="measure only this row again")
    options = parser.parse_args()
    main(options.places, options.only)
