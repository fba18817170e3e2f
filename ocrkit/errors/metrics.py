"""Error rates of a recognizer, with 95% intervals. Texts are compared in NFC; case and white space count."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ocrkit.errors.intervals import bootstrap_interval, wilson_interval
from ocrkit.text.edits import edit_distance, error_rate, operations
from ocrkit.text.strings import normalize, require_columns


def paired_texts(references: Sequence[str], predictions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both lists in NFC; one text counts as a list of one.

    Raises a ValueError where the lists are empty or differ in length, and as `checked_texts`.
    """
    references = [references] if isinstance(references, str) else references
    predictions = [predictions] if isinstance(predictions, str) else predictions
    if len(references) != len(predictions):
        raise ValueError(
            f"{len(references)} references and {len(predictions)} predictions: give one prediction for each reference"
        )
    if len(references) == 0:
        raise ValueError("there are no texts to compare: give at least one reference and its prediction")
    return checked_texts(references, "reference"), checked_texts(predictions, "prediction")


def texts_of(results: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Labels and predictions of a results table in NFC. Raises as `score` does."""
    require_columns(results, "text", "prediction")
    return paired_texts(results["text"], results["prediction"])


def checked_texts(values: Sequence[str], role: str) -> list[str]:
    """Texts in NFC; raises a TypeError that names the row (by the index of a Series) and its `role` if one is none."""
    texts = values.tolist() if isinstance(values, pd.Series) else list(values)  # to iterate over a Series is slow
    for place, value in enumerate(texts):
        if not isinstance(value, str):
            row = values.index[place] if isinstance(values, pd.Series) else place
            raise TypeError(
                f"row {row}: the {role} is {value!r} ({type(value).__name__}), not text; use '' for an empty "
                "text (pandas.read_csv needs keep_default_na=False and dtype=str to keep texts as they are)"
            )
    if unicodedata.is_normalized("NFC", "\n".join(texts)):  # one look at all is faster than one at each
        return texts
    return [normalize(text) for text in texts]


def cer(references: Sequence[str], predictions: Sequence[str], denominator: str = "reference") -> float:
    """Return the character error rate over all images (micro average): sum of edits / sum of lengths.

    It can exceed 1. An empty reference adds its insertions and no length; if all references are empty, the result is
    the number of insertions, as in jiwer 4.

    The length to divide by is that of the `denominator`: `"reference"`, the usual one, or `"longest"`, the longer of
    the two texts of each image, which keeps the rate within 0..1. Never compare results of one kind with the other.
    Raises as `paired_texts` does, also for another `denominator`. Taught in notebook 04.
    """
    if denominator not in ("reference", "longest"):
        raise ValueError(f'denominator={denominator!r}: it must be "reference" or "longest"')
    pairs = list(zip(*paired_texts(references, predictions), strict=True))
    lengths = (max(map(len, pair)) if denominator == "longest" else len(pair[0]) for pair in pairs)
    return error_rate(sum(edit_distance(*pair) for pair in pairs), sum(lengths))


def accuracy(references: Sequence[str], predictions: Sequence[str]) -> float:
    """Return the fraction of images whose whole text is right. Raises as `cer` does."""
    return float(np.mean([r == p for r, p in zip(*paired_texts(references, predictions))]))


def edit_counts(results: pd.DataFrame) -> pd.DataFrame:
    """Count the edits of each row of a results table, along the alignment of `ocrkit.text.edits.align`.

    Returns the columns `substitutions`, `insertions`, `deletions`, `distance` (their sum), `length` (of the label) and
    `predicted_length`, with the index of `results`. Raises as `score` does.
    """
    rows = []
    for reference, prediction in zip(*texts_of(results), strict=True):
        kinds = Counter(edit.kind for edit in operations(reference, prediction))
        counts = kinds["substitute"], kinds["insert"], kinds["delete"]
        rows.append((*counts, kinds.total(), len(reference), len(prediction)))
    columns = ["substitutions", "insertions", "deletions", "distance", "length", "predicted_length"]
    return pd.DataFrame(rows, columns=columns, index=results.index)


def score(results: pd.DataFrame, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score a results table, N rows with `text` and `prediction`: what was read, against what is written.

    Returns six rows with the columns `metric, value, low, high, n, unit`. `accuracy` and `length_accuracy` are
    proportions of images, with Wilson's interval. `cer` is the micro average, and `substitutions`, `insertions` and
    `deletions` are its three parts, counted per 100 reference characters; their intervals are bootstrapped over the
    images, by `n_boot` draws. Raises a ValueError where a column is missing or the table has no rows, and a TypeError
    that names the row where a text or prediction is not text. Taught in notebook 04.
    """
    counts = edit_counts(results)
    images, characters = len(counts), int(counts["length"].sum())

    def proportion(metric: str, right: pd.Series) -> tuple:
        return metric, right.mean(), *wilson_interval(right.sum(), images), images, "images"

    def rate(metric: str, column: str, scale: int) -> tuple:
        low, high = bootstrap_interval(counts[column], counts["length"], n_boot, seed)
        value = error_rate(counts[column].sum(), characters)
        return metric, scale * value, scale * low, scale * high, characters, "characters"

    rows = [
        proportion("accuracy", counts["distance"] == 0),
        rate("cer", "distance", 1),
        proportion("length_accuracy", counts["length"] == counts["predicted_length"]),
        *(rate(kind, kind, 100) for kind in ("substitutions", "insertions", "deletions")),
    ]
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "n", "unit"])


#: Names of what `rates` gives.
RATES = ["n", "accuracy", "accuracy_low", "accuracy_high", "characters", "cer", "cer_low", "cer_high"]


def rates(distances: Sequence[int], lengths: Sequence[int], n_boot: int, seed: int) -> tuple:
    """`RATES` of N images with these edit distances and lengths of labels: intervals by Wilson, and bootstrapped."""
    n, right, characters = len(distances), int(np.sum(np.equal(distances, 0))), int(np.sum(lengths))
    interval = bootstrap_interval(distances, lengths, n_boot, seed)
    cer = error_rate(np.sum(distances), characters)
    return n, right / n, *wilson_interval(right, n), characters, cer, *interval


def score_by(results: pd.DataFrame, column: str, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score each group of a results table, the largest first; rows without a value in `column` are a group, too.

    Returns a row a group with the columns `column`, `n` (images), `accuracy, accuracy_low, accuracy_high` (Wilson),
    `characters`, `cer, cer_low, cer_high` (bootstrap over images). Raises as `score` does, also where `column` is
    missing. Taught in notebook 04.
    """
    require_columns(results, column)
    # Keys go by position, because the index of a filtered or joined table may hold a row twice.
    counts = edit_counts(results).reset_index(drop=True)
    groups = counts.groupby(results[column].reset_index(drop=True), dropna=False, observed=True)
    rows = [(key, *rates(group["distance"], group["length"], n_boot, seed)) for key, group in groups]
    table = pd.DataFrame(rows, columns=[column, *RATES])
    return table.sort_values("n", ascending=False, kind="stable", ignore_index=True)


def by_position(results: pd.DataFrame) -> pd.DataFrame:
    """Error rate at each place of the reference text: where the alignment substitutes or deletes its character.

    Insertions stand between two places. Returns a row a place with the columns `position` (from 0), `n` (references
    that are long enough), `errors`, `error_rate`, `low`, `high` (95%, Wilson). Raises as `score` does. Taught in
    notebook 04.
    """
    references, predictions = texts_of(results)
    edits = (edit for pair in zip(references, predictions) for edit in operations(*pair) if edit.kind != "insert")
    errors, rows = Counter(edit.ref_index for edit in edits), []
    for position in range(max(map(len, references))):
        n, wrong = sum(len(reference) > position for reference in references), errors[position]
        rows.append((position, n, wrong, wrong / n, *wilson_interval(wrong, n)))
    return pd.DataFrame(rows, columns=["position", "n", "errors", "error_rate", "low", "high"])
