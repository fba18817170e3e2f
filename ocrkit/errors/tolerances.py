"""Persian results compared with more and more tolerance.

Taught in notebook 10.
"""

from __future__ import annotations

import pandas as pd

from ocrkit.errors.intervals import bootstrap_interval, wilson_interval
from ocrkit.errors.metrics import paired_texts
from ocrkit.text.edits import edit_distance
from ocrkit.text.persian import STEPS, fold
from ocrkit.text.strings import require_columns


def tolerances(results: pd.DataFrame, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score a results table as it is, and again with each step of `fold` added to those before it.

    Args:
        results: N rows with the columns `text` and `prediction`.
        n_boot, seed: of the bootstrap.

    Returns:
        Five rows, "raw", "+ nfc", "+ letters", "+ digits" and "+ zwnj", with the columns `tolerance`, `n` (images),
        `accuracy, accuracy_low, accuracy_high` (Wilson), `characters` (of the labels, which ZWNJ makes fewer) and
        `cer, cer_low, cer_high` (bootstrap over images).

    Raises:
        ValueError: a column is missing, or the table has no rows.
        TypeError: a text or prediction is not text; the message names the row.

    Taught in notebook 10.
    """
    require_columns(results, "text", "prediction")
    paired_texts(results["text"], results["prediction"])  # only for its checks: it would compose the raw texts
    rows = []
    for k in range(len(STEPS) + 1):
        steps = list(STEPS)[:k]
        pairs = [(fold(a, steps), fold(b, steps)) for a, b in zip(results["text"], results["prediction"])]
        distances, lengths = [edit_distance(a, b) for a, b in pairs], [len(a) for a, _ in pairs]
        n, right, characters = len(pairs), distances.count(0), sum(lengths)
        interval = bootstrap_interval(distances, lengths, n_boot, seed)
        name = f"+ {steps[-1]}" if steps else "raw"
        rate = sum(distances) / max(characters, 1)
        rows.append((name, n, right / n, *wilson_interval(right, n), characters, rate, *interval))
    exact = ["accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(rows, columns=["tolerance", "n", *exact, "characters", "cer", "cer_low", "cer_high"])
