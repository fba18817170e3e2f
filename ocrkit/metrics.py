"""Metrics: error rates of a recognizer, each with the number it rests on and a 95% interval.

Texts are compared in NFC, so `é` as one code point equals `é` as two. Nothing else is changed: case
and white space count.

Taught in notebook 04.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from ocrkit.edits import edit_distance, operations
from ocrkit.text import normalize


def paired_texts(references: Sequence[str], predictions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return both lists in NFC, after checking that they can be compared. One text counts as a list of one.

    Raises:
        ValueError: the lists are empty or differ in length.
        TypeError: an entry is not text; the message names its row (the index, for a pandas Series).
    """
    references = [references] if isinstance(references, str) else references
    predictions = [predictions] if isinstance(predictions, str) else predictions
    if len(references) != len(predictions):
        raise ValueError(
            f"{len(references)} references and {len(predictions)} predictions: give one prediction for each reference"
        )
    if len(references) == 0:
        raise ValueError("there are no texts to compare: give at least one reference and its prediction")
    return _texts(references, "reference"), _texts(predictions, "prediction")


def _texts(values: Sequence[str], role: str) -> list[str]:
    rows = values.index if isinstance(values, pd.Series) else range(len(values))
    for row, value in zip(rows, values, strict=True):
        if not isinstance(value, str):
            raise TypeError(
                f"row {row}: the {role} is {value!r} ({type(value).__name__}), not text; use '' for an empty "
                "text (pandas.read_csv needs keep_default_na=False and dtype=str to keep texts as they are)"
            )
    return [normalize(value) for value in values]


def _rate(errors: float, total: float) -> float:
    # As jiwer does: with no reference characters at all, the rate is the number of inserted ones.
    return float(errors) / max(float(total), 1.0)


def cer(references: Sequence[str], predictions: Sequence[str], denominator: str = "reference") -> float:
    """Return the character error rate over all images (micro average): sum of edits / sum of lengths.

    It can exceed 1, when there are more insertions than reference characters. Two empty texts are no
    error. An empty reference adds its insertions and no length; if all references are empty, the
    result is the number of insertions, as in jiwer 4.

    Args:
        references: N texts, the labels.
        predictions: N texts, the readings.
        denominator: the length to divide by: `"reference"`, the usual one, or `"longest"`, the
            longer of the two texts of each image, which keeps the rate within 0..1. Results of one
            kind cannot be compared with results of the other.

    Raises:
        ValueError: no texts, lists of different length, or another `denominator`.
        TypeError: an entry is not text.

    Taught in notebook 04.
    """
    if denominator not in ("reference", "longest"):
        raise ValueError(f'denominator={denominator!r}: it must be "reference" or "longest"')
    pairs = list(zip(*paired_texts(references, predictions), strict=True))
    lengths = (max(map(len, pair)) if denominator == "longest" else len(pair[0]) for pair in pairs)
    return _rate(sum(edit_distance(*pair) for pair in pairs), sum(lengths))


def accuracy(references: Sequence[str], predictions: Sequence[str]) -> float:
    """Return the fraction of images whose whole text is right. Raises as `cer` does."""
    references, predictions = paired_texts(references, predictions)
    return float(np.mean([r == p for r, p in zip(references, predictions, strict=True)]))


def length_accuracy(references: Sequence[str], predictions: Sequence[str]) -> float:
    """Return the fraction of images whose prediction is as long as its reference. Raises as `cer` does."""
    references, predictions = paired_texts(references, predictions)
    return float(np.mean([len(r) == len(p) for r, p in zip(references, predictions, strict=True)]))


def edit_counts(references: Sequence[str], predictions: Sequence[str]) -> pd.DataFrame:
    """Count the edits of each image, along the alignment of `ocrkit.edits.align`.

    Returns:
        N rows (the index of `references`, if it is a Series) with the columns `substitutions`,
        `insertions`, `deletions`, `distance` (their sum), `length` (of the reference) and
        `predicted_length`.

    Raises as `cer` does. Taught in notebook 04.
    """
    index = references.index if isinstance(references, pd.Series) else None
    rows = []
    for reference, prediction in zip(*paired_texts(references, predictions), strict=True):
        kinds = Counter(edit.kind for edit in operations(reference, prediction))
        counts = kinds["substitute"], kinds["insert"], kinds["delete"]
        rows.append((*counts, sum(counts), len(reference), len(prediction)))
    columns = ["substitutions", "insertions", "deletions", "distance", "length", "predicted_length"]
    return pd.DataFrame(rows, columns=columns, index=index)


def wilson_interval(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of Wilson (1927) for a proportion of `n` independent trials; (0, 1) for none.

    It stays within 0..1 and has a width even where all or none succeed.
    """
    _check_level(level)
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # Rounding must not push the bound past the proportion that it encloses.
    return max(0.0, min(center - half, p)), min(1.0, max(center + half, p))


def bootstrap_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of sum(numerators) / sum(denominators) over N images.

    The images are drawn with replacement, because the characters of one image err together. Where
    all images have the same rate, every draw gives that rate and the interval would have no width;
    Wilson's interval over the sum of the denominators stands in for it.

    Args:
        numerators: N counts, for instance the edit distances.
        denominators: N counts, for instance the reference lengths.
        n_boot: number of draws.
        seed: the same seed gives the same interval.
        level: share of the draws that lies within the interval.

    Raises:
        ValueError: no images, lists of different length, negative or not finite counts, or `n_boot`
            or `level` out of range.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993. Taught in notebook 04.
    """
    _check_level(level)
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: at least one draw is needed")
    if len(numerators) != len(denominators) or len(numerators) == 0:
        raise ValueError(
            f"{len(numerators)} numerators and {len(denominators)} denominators: give one of each an image"
        )
    counts = np.stack([np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)], axis=1)
    wrong = np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)).all(axis=1))
    if len(wrong):
        numerator, denominator = counts[wrong[0]]
        raise ValueError(f"image {wrong[0]}: {numerator:g} / {denominator:g}: both must be numbers from 0 up")

    total, length = counts.sum(axis=0)
    if np.allclose(counts[:, 0] * length, counts[:, 1] * total, rtol=1e-12, atol=0):
        rate = _rate(total, length)
        low, high = wilson_interval(min(total, length), length, level)
        return low, max(high, rate)  # a rate over 1 is no proportion: the interval then reaches up to it

    # Images with equal counts are alike, so draw how often each kind occurs: a few kinds, not N images.
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    rates = []
    chunk = max(1, 4_000_000 // len(kinds))  # bounds the memory where all images differ
    for start in range(0, n_boot, chunk):
        drawn = rng.multinomial(len(counts), times / len(counts), size=min(chunk, n_boot - start))
        sums = drawn @ kinds
        rates.append(sums[:, 0] / np.maximum(sums[:, 1], 1.0))
    low, high = np.quantile(np.concatenate(rates), [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level={level}: it must lie between 0 and 1, such as 0.95")


def _counts_of(results: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in ("text", "prediction") if c not in results.columns]
    if missing:
        raise ValueError(
            f"the results table has no column {' and no column '.join(map(repr, missing))}; "
            f"it has: {', '.join(map(str, results.columns))}"
        )
    counts = edit_counts(results["text"], results["prediction"])
    right_length = counts["length"] == counts["predicted_length"]
    return counts.assign(right=counts["distance"] == 0, right_length=right_length)


def score(results: pd.DataFrame, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score a results table: what was read, against what is written.

    Args:
        results: N rows with the columns `text` and `prediction`.
        n_boot: draws of the bootstrap.
        seed: seed of the bootstrap.

    Returns:
        Six rows with the columns `metric, value, low, high, n, unit`. `accuracy` and
        `length_accuracy` are proportions of images, with Wilson's interval. `cer` is the micro
        average, and `substitutions`, `insertions` and `deletions` are its three parts, counted per
        100 reference characters; their intervals are bootstrapped over the images.

    Raises:
        ValueError: a column is missing, or the table has no rows.
        TypeError: a text or prediction is not text; the message names the row.

    Taught in notebook 04.
    """
    counts = _counts_of(results)
    images, characters = len(counts), int(counts["length"].sum())

    def proportion(metric: str, right: pd.Series) -> tuple:
        return metric, right.mean(), *wilson_interval(right.sum(), images), images, "images"

    def rate(metric: str, column: str, scale: int) -> tuple:
        low, high = bootstrap_interval(counts[column], counts["length"], n_boot, seed)
        value = _rate(counts[column].sum(), characters)
        return metric, scale * value, scale * low, scale * high, characters, "characters"

    rows = [
        proportion("accuracy", counts["right"]),
        rate("cer", "distance", 1),
        proportion("length_accuracy", counts["right_length"]),
        *(rate(kind, kind, 100) for kind in ("substitutions", "insertions", "deletions")),
    ]
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "n", "unit"])


def score_by(results: pd.DataFrame, column: str, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score each group of a results table, the largest group first.

    Args:
        results: N rows with the columns `text`, `prediction` and `column`.
        column: what to group by; rows without a value form a group of their own.
        n_boot: draws of the bootstrap.
        seed: seed of the bootstrap.

    Returns:
        One row a group with the columns `column`, `n` (images), `accuracy, accuracy_low,
        accuracy_high` (Wilson), `characters`, `cer, cer_low, cer_high` (bootstrap over images).

    Raises as `score` does, also where `column` is missing. Taught in notebook 04.
    """
    if column not in results.columns:
        raise ValueError(
            f"the results table has no column {column!r} to group by; it has: {', '.join(map(str, results.columns))}"
        )
    # Keys go by position, because the index of a filtered or joined table may hold a row twice.
    counts = _counts_of(results).reset_index(drop=True)
    keys = results[column].reset_index(drop=True)
    rows = []
    for key, group in counts.groupby(keys, dropna=False, observed=True):
        n, characters = len(group), int(group["length"].sum())
        whole = group["right"].mean(), *wilson_interval(group["right"].sum(), n)
        rate = _rate(group["distance"].sum(), characters)
        interval = bootstrap_interval(group["distance"], group["length"], n_boot, seed)
        rows.append((key, n, *whole, characters, rate, *interval))
    whole_names = ["n", "accuracy", "accuracy_low", "accuracy_high"]
    table = pd.DataFrame(rows, columns=[column, *whole_names, "characters", "cer", "cer_low", "cer_high"])
    return table.sort_values("n", ascending=False, kind="stable", ignore_index=True)


def by_position(results: pd.DataFrame) -> pd.DataFrame:
    """Error rate at each place of the reference text.

    A place is wrong where the alignment substitutes or deletes its character. Insertions stand
    between two places and are not counted here.

    Args:
        results: N rows with the columns `text` and `prediction`.

    Returns:
        One row a position (from 0) with the columns `position`, `n` (references that are long
        enough), `errors`, `error_rate`, `low`, `high` (95%, Wilson).

    Raises as `score` does. Taught in notebook 04.
    """
    counts = _counts_of(results)
    references, predictions = paired_texts(results["text"], results["prediction"])
    errors = Counter(
        edit.ref_index
        for reference, prediction in zip(references, predictions, strict=True)
        for edit in operations(reference, prediction)
        if edit.kind != "insert"
    )
    rows = []
    for position in range(counts["length"].max()):
        n = int((counts["length"] > position).sum())
        wrong = errors[position]
        rows.append((position, n, wrong, wrong / n, *wilson_interval(wrong, n)))
    return pd.DataFrame(rows, columns=["position", "n", "errors", "error_rate", "low", "high"])
