"""Edits: how a prediction differs from its reference, and the edit distance that counts it. Taught in notebook 04.

Sequences are compared as they are given: two strings by code point, or two lists item by item (such as grapheme
clusters). Text that may mix Unicode forms goes through `normalize` first.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """One step of an alignment.

    `kind` is `"equal"`, `"substitute"`, `"insert"` (the prediction has a character too many) or
    `"delete"` (the prediction lacks a character). `reference` and `prediction` are the two characters;
    the one that does not exist is `""`. `ref_index` and `pred_index` count from 0; for an insert,
    `ref_index` is the place in the reference before which the character stands, and for a delete,
    `pred_index` is the place in the prediction where it should have stood.
    """

    kind: str
    reference: str
    prediction: str
    ref_index: int
    pred_index: int


def distance_table(reference: Sequence[str], prediction: Sequence[str]) -> list[list[int]]:
    """Return the table of Wagner and Fischer, `(len(reference) + 1, len(prediction) + 1)`.

    Row i, column j holds the edit distance between the first i characters of the reference and the
    first j of the prediction, so the last cell holds the distance of the whole.

    Source: Wagner and Fischer, "The string-to-string correction problem", 1974. Taught in notebook 04.
    """
    table = [list(range(len(prediction) + 1))]
    for i, wanted in enumerate(reference, start=1):
        above, row = table[-1], [i]
        for j, read in enumerate(prediction, start=1):
            row.append(min(above[j - 1] + (wanted != read), above[j] + 1, row[j - 1] + 1))
        table.append(row)
    return table


def edit_distance(reference: Sequence[str], prediction: Sequence[str]) -> int:
    """The Levenshtein distance: the fewest substitutions, insertions and deletions. Taught in notebook 04."""
    return distance_table(reference, prediction)[-1][-1]


def align(reference: Sequence[str], prediction: Sequence[str]) -> list[Edit]:
    """Return one cheapest way from the reference to the prediction, from left to right.

    Of those that are equally cheap, it is the one that walks the table back from its last cell and takes the first
    that is cheapest there: equal or substitute, then delete, then insert. So of a run of equal characters the first
    is the one that is reported as deleted or inserted. Taught in notebook 04.
    """
    table = distance_table(reference, prediction)
    i, j = len(reference), len(prediction)
    edits = []
    while i or j:
        here = table[i][j]
        differ = i > 0 and j > 0 and reference[i - 1] != prediction[j - 1]
        if i and j and here == table[i - 1][j - 1] + differ:
            i, j = i - 1, j - 1
            edits.append(Edit("substitute" if differ else "equal", reference[i], prediction[j], i, j))
        elif i and here == table[i - 1][j] + 1:
            i -= 1
            edits.append(Edit("delete", reference[i], "", i, j))
        else:
            j -= 1
            edits.append(Edit("insert", "", prediction[j], i, j))
    return edits[::-1]


def operations(reference: Sequence[str], prediction: Sequence[str]) -> list[Edit]:
    """The edits of `align` that are errors, which fill the column `operations`: as many as the edit distance."""
    return [edit for edit in align(reference, prediction) if edit.kind != "equal"] if reference != prediction else []


def error_rate(errors: float, total: float) -> float:
    """Errors / total; as in jiwer, the number of errors where there are no reference characters at all."""
    return float(errors) / max(float(total), 1.0)
