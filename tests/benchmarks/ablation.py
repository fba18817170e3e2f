"""`python -m tests.benchmarks.ablation SAMPLES...`: what each ingredient of the renderer is worth on real plates.

One model learns bare plates (no ingredient at all). From that same start, one run a row goes on for one
epoch with plates that lack one ingredient, and then reads real crops that nothing was trained on. Rows whose
text falls in the test split are left out of the measure, because the renderer is improved by this table.
Results go to `data/benchmarks/ablation.json`.
"""

from __future__ import annotations

import copy
import os
import sys

import pandas as pd

from ocrkit.batches import concatenate, pack, pack_arrays
from ocrkit.files import write_json
from ocrkit.metrics import accuracy, cer
from ocrkit.platforms import COURSE
from ocrkit.recipes import Recipe
from ocrkit.recognizer import Recognizer
from ocrkit.samples import assign_splits, load_samples
from ocrkit.synth import INGREDIENTS, render_plates
from ocrkit.training import fit

#: name of a row -> what is left out.
ROWS = {
    "nothing": (),
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
START, STEP = 12_000, 12_000  # rendered plates for the common start, and for each row
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=2e-3, augment="none")


def rendered(n: int, seed: int, without: tuple[str, ...]):
    images, table = render_plates(n, seed, workers=os.cpu_count() or 1, without=without)
    return pack_arrays(images, table.assign(image=""))


def main(places: list[str]) -> None:
    """Train and measure every row; prints each as it is done."""
    real = {}
    for place in places:
        samples = load_samples(place)
        samples = samples[(assign_splits(samples)["split"] != "test") & (samples["text"] != "")]
        real["/".join(place.rstrip("/").split("/")[-2:])] = pack(samples)
    everything = concatenate(list(real.values()))
    start, valid = Recognizer.create(), rendered(200, 10**6, ())
    fit(start, rendered(START, 1, INGREDIENTS), valid, RECIPE)
    rows = []
    for name, without in ROWS.items():
        recognizer = copy.deepcopy(start)
        history = fit(recognizer, rendered(STEP, 2, without), valid, RECIPE)
        row = {"without": name, "seconds": round(history["seconds"].sum())}
        for part, packed in {**real, "all": everything}.items():
            read = [r.text for r in recognizer.decode(packed.images)]
            row |= {f"{part} accuracy": accuracy(packed.texts, read), f"{part} cer": cer(packed.texts, read)}
        rows.append(row)
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    facts = {"images": {name: len(p) for name, p in real.items()}, "start": START, "step": STEP, "rows": rows}
    write_json(COURSE / "data" / "benchmarks" / "ablation.json", facts)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])
