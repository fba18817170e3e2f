"""Scores of what a detector found on pages, against the boxes that are there."""

import numpy as np
import pandas as pd

from ocrkit.data.layouts.pages import FIELDS, Box
from ocrkit.errors.intervals import wilson_interval
from ocrkit.text.strings import normalize


def evaluate_fields(found: pd.DataFrame, pages: pd.DataFrame, iou: float = 0.5) -> pd.DataFrame:
    """Compare what `detect` found with the boxes of a pages table, kind by kind.

    A field counts as found where a box of its kind overlaps it by `iou` (intersection over union) or more; each field
    and each box counts once, and the most certain box chooses first. A row a kind, and one for `"all"`: `kind`, `n`
    (fields on the pages), `recall` (the share that was found), `found` (boxes), `precision` (the share of them that is
    right), both with `_low` and `_high`: Wilson's intervals, 95%. A share of nothing is NaN.

    Raises a ValueError where the index of `pages`, which `found` names in `page`, has a value twice.
    Taught in notebook 10.
    """
    if not pages.index.is_unique:
        raise ValueError(
            f"the index of the pages has {pages.index[pages.index.duplicated()].tolist()[0]!r} twice, so a box could "
            "not say on which page it lies; use pages = pages.reset_index(drop=True) before you read them"
        )
    counts: dict[str, np.ndarray] = {}
    for page, fields in pages["fields"].items():
        here = np.array([one == page for one in found["page"]], dtype=bool)  # a page of a MultiIndex is a tuple
        seen = found[here].sort_values("score", ascending=False, kind="stable")
        for kind in {f.kind for f in fields} | set(seen["kind"]):
            left = [f.box for f in fields if f.kind == kind]
            boxes = seen.loc[seen["kind"] == kind, "box"]
            count = np.array([len(left), len(boxes), 0])
            for box in boxes:
                best = max(left, key=lambda other: overlap(box, other), default=None)
                if best is not None and overlap(box, best) >= iou:
                    left.remove(best)
                    count[2] += 1
            counts[kind] = counts.get(kind, 0) + count
    known = [kind for kind in FIELDS if kind in counts]
    counts = {kind: counts[kind] for kind in [*known, *sorted(counts.keys() - set(known))]}
    rows = []
    for kind, (n, boxes, right) in [*counts.items(), ("all", sum(counts.values(), np.zeros(3, int)))]:
        recall, precision = (right / total if total else float("nan") for total in (n, boxes))
        rows.append((kind, n, recall, *wilson_interval(right, n), boxes, precision, *wilson_interval(right, boxes)))
    shares = [[share, f"{share}_low", f"{share}_high"] for share in ("recall", "precision")]
    return pd.DataFrame(rows, columns=["kind", "n", *shares[0], "found", *shares[1]])


def score_letters(results: pd.DataFrame, pages: pd.DataFrame, iou: float = 0.5) -> pd.DataFrame:
    """Score what `LetterReader.read` gave from `pages`, and how many values were read exactly.

    Returns the table of `evaluate_fields`, and raises its errors, with `exact` (the share of the fields on the pages
    whose text is right as a whole, also where the box is not), `exact_low` and `exact_high`. Taught in notebook 10.
    """
    table = evaluate_fields(results[results["box"].notna()], pages, iou).set_index("kind")
    texts = {(row.page, row.kind): normalize(row.text) for row in results.itertuples() if row.text}
    right = dict.fromkeys(table.index, 0)
    for page, fields in pages["fields"].items():
        for field in fields:
            for kind in (field.kind, "all"):
                right[kind] += texts.get((page, field.kind)) == normalize(field.text)
    for kind, n in table["n"].items():
        table.loc[kind, "exact"] = right[kind] / n if n else float("nan")
        table.loc[kind, ["exact_low", "exact_high"]] = wilson_interval(right[kind], n)
    return table.reset_index()


def overlap(a: Box, b: Box) -> float:
    """Intersection over union (IoU) of two boxes (x0, y0, x1, y1). Taught in notebook 10."""
    width, height = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    shared = max(0.0, width) * max(0.0, height)
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (both - shared) if shared else 0.0
