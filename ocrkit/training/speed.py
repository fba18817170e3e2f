"""How long a training will take: some of its steps are measured, and multiplied. Taught in notebook 12."""

import math
import time

import pandas as pd

from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.loop import Data, progress, set_aside, train_loader
from ocrkit.training.rates import epochs_of
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper, keep_memory, on_trial

#: Steps before the clock starts: the first ones choose algorithms, and make the memory of the optimizer.
WARM_UP = 3


def measure_steps(
    recognizer: Recognizer, train: Data, recipe: Recipe, steps: int = 20, images: int | None = None
) -> pd.DataFrame:
    """Time training steps of `recipe` as `fit` takes them, batches included, and multiply them up to a whole run.

    The weights and the random numbers are put back after. An epoch of the run has `images`, by default those of
    `train`. Rows `fastest`, `median`, `mean` and `slowest` step, columns `seconds`, `images_per_second` and `minutes`:
    all epochs, if every step took as long. A run is a sum of steps, so plan with `mean`; validation, and rendering or
    packing the images, come on top. Raises ValueError where there is nothing to measure. Taught in notebook 12.
    """
    train, _ = set_aside(train, recognizer)
    images = len(train) if images is None else images
    if min(steps, images, len(train)) < 1:
        raise ValueError(
            f"nothing to measure: steps={steps}, {len(train)} usable images, {images} in an epoch of the run; "
            "each must be at least 1"
        )
    size, took = min(recipe.batch_size, len(train)), []
    batches = epochs_of(train_loader(recognizer, train, recipe))
    keep_memory()
    with on_trial(recognizer):
        stepper = Stepper(recognizer, recipe)
        full = (batch for batch in batches if len(batch.texts) >= size)
        for _ in progress(range(WARM_UP + steps), "measure_steps"):
            started = time.perf_counter()
            stepper(next(full)).item()  # waits for the device
            took.append(time.perf_counter() - started)
    seconds = pd.Series(took[WARM_UP:]).agg(["min", "median", "mean", "max"])
    seconds = seconds.set_axis(["fastest", "median", "mean", "slowest"])
    whole = recipe.epochs * math.ceil(images / size)
    return pd.DataFrame({"seconds": seconds, "images_per_second": size / seconds, "minutes": seconds * whole / 60})
