"""Persian results compared with more and more tolerance. Taught in notebook 10."""

import pandas as pd

from ocrkit.errors.metrics import RATES, rates, texts_of
from ocrkit.text.edits import edit_distance
from ocrkit.text.persian import STEPS, fold


def tolerances(results: pd.DataFrame, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score a results table as it is, and again with each step of `fold` added to those before it.

    Returns five rows, "raw", "+ nfc", "+ letters", "+ digits" and "+ zwnj", with the columns `tolerance` and those of
    `metrics.score_by`; of the labels' `characters`, ZWNJ makes fewer. Raises as `metrics.score` does. Taught in
    notebook 10.
    """
    texts_of(results)  # only for its checks: it composes the raw texts
    rows = []
    for k in range(len(STEPS) + 1):
        steps = list(STEPS)[:k]
        pairs = [(fold(a, steps), fold(b, steps)) for a, b in zip(results["text"], results["prediction"])]
        distances, lengths = [edit_distance(a, b) for a, b in pairs], [len(a) for a, _ in pairs]
        rows.append((f"+ {steps[-1]}" if steps else "raw", *rates(distances, lengths, n_boot, seed)))
    return pd.DataFrame(rows, columns=["tolerance", *RATES])
