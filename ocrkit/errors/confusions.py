"""Confusions: which characters are taken for which others. Taught in notebook 05."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ocrkit.errors.metrics import texts_of
from ocrkit.text.edits import Edit, align
from ocrkit.text.strings import graphemes, normalize

#: What counts as one symbol: unit -> how a text is split. "text" is for class names, right or wrong as a whole.
UNITS = {"codepoint": list, "grapheme": graphemes, "text": lambda text: [text] if text else []}


def _edits(results: pd.DataFrame, unit: str) -> Iterator[Edit]:
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}: it must be one of {', '.join(map(repr, UNITS))}")
    split = UNITS[unit]
    for reference, prediction in zip(*texts_of(results), strict=True):
        if reference == prediction:  # most are, and need no table
            yield from (Edit("equal", c, c, i, i) for i, c in enumerate(split(reference)))
        else:
            yield from align(split(reference), split(prediction))


def confusions(results: pd.DataFrame, unit: str = "codepoint") -> pd.DataFrame:
    """Count the edits of all images, by a unit of `UNITS`: code points, graphemes, or the whole label as one symbol.

    Returns a row a kind of edit, the most frequent first: `kind` (substitute, insert, delete), `reference`,
    `prediction` (`""` for the one that is not there), `count`. By code points, the counts add up to the edit distances
    of `cer`. Raises as `metrics.score` does, also where there is no such unit. Taught in notebook 05.
    """
    counts = Counter(edit[:3] for edit in _edits(results, unit) if edit.kind != "equal")
    rows = [(*edit, n) for edit, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return pd.DataFrame(rows, columns=["kind", "reference", "prediction", "count"])


def confusion_matrix(results: pd.DataFrame, unit: str = "codepoint", top: int | None = None) -> pd.DataFrame:
    """Count which symbol was read as which, the right ones on the diagonal; of `top` symbols, those that err most.

    Rows are what is written, columns what was read. Row `""` counts insertions, column `""` deletions, so all but the
    diagonal adds up to the edits, and the row of a symbol to its occurrences. Raises as `confusions` does. Taught in
    notebook 05.
    """
    counts = Counter((edit.reference, edit.prediction) for edit in _edits(results, unit))
    errors = Counter()
    for pair, n in counts.items():
        errors.update(dict.fromkeys(pair, n * (pair[0] != pair[1])))
    symbols = sorted(sorted(sorted(errors), key=lambda symbol: -errors[symbol])[:top])
    table = [[counts[reference, prediction] for prediction in symbols] for reference in symbols]
    return pd.DataFrame(table, pd.Index(symbols, name="reference"), pd.Index(symbols, name="prediction"))


def most_confused(results: pd.DataFrame, min_count: int = 2, unit: str = "codepoint") -> pd.DataFrame:
    """Return the substitutions that occur at least `min_count` times, the most frequent first.

    The columns are `reference`, `prediction`, `count`, `occurrences` (of the reference in the labels) and `rate`, their
    quotient. Raises as `confusions` does. Taught in notebook 05.
    """
    table = confusions(results, unit)
    table = table[(table["kind"] == "substitute") & (table["count"] >= min_count)].drop(columns="kind")
    seen = Counter(symbol for text in results["text"] for symbol in UNITS[unit](normalize(text)))
    occurrences = table["reference"].map(seen).astype(int)
    return table.assign(occurrences=occurrences, rate=table["count"] / occurrences).reset_index(drop=True)


def in_words(values: pd.Series, bins: int, most: int) -> tuple[pd.Series, list[str]]:
    """Return a column in words, missing values as None, and the words of numbers in their order ([] for other values).

    More than `most` different numbers become `bins` ranges of about one size. Taught in notebook 05.
    """
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not numeric:
        return values.map(str, na_action="ignore").astype(object), []
    values = values.replace([np.inf, -np.inf], np.nan)  # a range cannot end there
    if values.nunique() <= most:
        names = {value: f"{value:.15g}" for value in sorted(values.dropna().unique())}
        return values.map(names).astype(object), list(names.values())
    values = pd.qcut(values, bins, duplicates="drop")
    for digits in range(3, 17):  # as few as tell the ranges apart
        words = [f"{r.left:.{digits}g} to {r.right:.{digits}g}" for r in values.cat.categories]
        if len(set(words)) == len(words):
            break
    return values.cat.rename_categories(words).astype(object), words
