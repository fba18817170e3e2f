"""Scores of a classifier, whose labels are right or wrong as a whole; its confusions are those with `unit="text"`."""

import pandas as pd

from ocrkit.errors.intervals import wilson_interval
from ocrkit.errors.metrics import texts_of


def score_classes(results: pd.DataFrame) -> pd.DataFrame:
    """Score a results table of class names: a row a metric, with the columns of `metrics.score`.

    `accuracy` is the share of images that are right, with Wilson's interval. `class_accuracy` is the mean of the
    accuracies of the classes, so that a rare class counts as much as a frequent one; it has no interval. Raises as
    `metrics.score` does. Taught in notebook 09.
    """
    classes = by_class(results)
    seen = classes[classes["n"] > 0]
    n, right = int(seen["n"].sum()), int(seen["right"].sum())
    rows = [
        ("accuracy", right / n, *wilson_interval(right, n), n, "images"),
        ("class_accuracy", seen["accuracy"].mean(), float("nan"), float("nan"), len(seen), "classes"),
    ]
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "n", "unit"])


def by_class(results: pd.DataFrame) -> pd.DataFrame:
    """Score each class of the labels or the predictions, the worst first.

    Returns a row a class: `text` (its name), `n` (images), `right`, `accuracy`, `low`, `high` (95%, Wilson),
    `predicted` (how often it was read) and `precision` (how often rightly so). A share of nothing is NaN. Raises as
    `score_classes` does. Taught in notebook 09.
    """
    texts, predictions = map(pd.Series, texts_of(results))
    n, predicted = texts.value_counts(), predictions.value_counts()
    right = texts[texts == predictions].value_counts()
    rows = []
    for name in sorted({*n.index, *predicted.index} - {""}):
        count, hits, times = (int(counts.get(name, 0)) for counts in (n, right, predicted))
        accuracy, precision = (hits / total if total else float("nan") for total in (count, times))
        rows.append((name, count, hits, accuracy, *wilson_interval(hits, count), times, precision))
    table = pd.DataFrame(rows, columns=["text", "n", "right", "accuracy", "low", "high", "predicted", "precision"])
    return table.sort_values("accuracy", kind="stable", ignore_index=True)
