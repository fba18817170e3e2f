"""Persian text: what a comparison may forgive, step by step.

One Persian word can be stored in several ways that look the same, or nearly so, on paper: with Arabic or Persian
ye and kaf, with digits of three sets, with or without the zero-width non-joiner (ZWNJ). An error rate means little
until it says which of these count as errors. Taught in notebook 10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pandas as pd

from ocrkit.edits import edit_distance
from ocrkit.metrics import bootstrap_interval, paired_texts, wilson_interval
from ocrkit.text import PERSIAN_DIGITS, normalize

ZWNJ = "\u200c"
_LETTERS = str.maketrans("يىك", "ییک")
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩0123456789", 2 * PERSIAN_DIGITS)

#: Step -> what it does to a text, in the order in which steps are taken. Letters that are read in another way, as ۀ
#: and ة are, stay what they are.
STEPS: dict[str, Callable[[str], str]] = {
    "nfc": normalize,
    "letters": lambda text: text.translate(_LETTERS),
    "digits": lambda text: text.translate(_DIGITS),
    "zwnj": lambda text: text.replace(ZWNJ, ""),
}


def fold(text: str, steps: Collection[str] = tuple(STEPS)) -> str:
    """Write a Persian text in one of its ways.

    Args:
        steps: which of `STEPS`, in any order: `"nfc"` composes letters and marks, `"letters"` writes Arabic ye and kaf
            as Persian ones, `"digits"` Arabic and Latin digits as Persian ones, `"zwnj"` leaves out the non-joiner.

    Raises:
        ValueError: there is no such step.

    Taught in notebook 10.
    """
    if unknown := [step for step in steps if step not in STEPS]:
        raise ValueError(f"there is no step {unknown[0]!r}; there are: {', '.join(STEPS)}")
    for step, change in STEPS.items():
        if step in steps:
            text = change(text)
    return text


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
    if missing := [column for column in ("text", "prediction") if column not in results]:
        raise ValueError(f"the results table has no column {missing[0]!r}; it has: {', '.join(map(str, results))}")
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
