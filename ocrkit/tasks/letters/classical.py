"""`ClassicalReader`: fields and dates by profiles and templates alone. What it cannot do shows what networks bring."""

import numpy as np
import pandas as pd

from ocrkit.data.layouts.pages import FIELDS, Box
from ocrkit.data.packed import as_table
from ocrkit.tasks.letters.date_match import read_date
from ocrkit.tasks.letters.dates import ORDERS, iso_day
from ocrkit.tasks.letters.detector import Pages, seen_page
from ocrkit.tasks.letters.projection import INK, ink_of, skew, straighten, without_rules
from ocrkit.tasks.letters.reader import COLUMNS, DATE, empty_row
from ocrkit.tasks.letters.templates import find_labels, same_line, value_below, value_beside

_UPPER = 0.5  # share of a page that is searched for labels, from its top
_SURE = 0.7  # score of a label that ends the value of another
_NEAR = 0.12  # how much less than the best of its kind a label may score and still be the one, if it is higher up
_READABLE = 0.64  # confidence from which ink is a date


class ClassicalReader:
    """Reads dates and finds the other fields of letters without anything trained; `date_order` as in `LetterReader`.

    Taught in notebook 10.
    """

    def __init__(self, date_order: str = "auto"):
        if date_order not in ORDERS:
            raise ValueError(f"date_order={date_order!r}: it must be one of {', '.join(ORDERS)}")
        self.date_order = date_order

    def read(self, pages: Pages) -> pd.DataFrame:
        """Find the fields of letters and read their dates: takes, gives and raises what `LetterReader.read` does.

        `text` is `""` but for dates, and `score` tells how much the label is like its template.
        """
        rows = []
        for page in map(seen_page, as_table(pages).itertuples()):
            found = {} if page.error else self._read_page(page.gray)
            rows += [empty_row(page, kind) | found.get(kind, {}) for kind in FIELDS]
        return pd.DataFrame(rows, columns=COLUMNS)

    def _read_page(self, gray: np.ndarray) -> dict[str, dict]:
        """What was found, by its kind: the values of its row."""
        ink = ink_of(gray)
        ink, shifts = straighten(ink, skew(ink > INK))
        mask = without_rules(ink > INK)
        ink = np.where(mask | (ink <= INK), ink, 0)
        labels = sorted(find_labels(ink[: max(1, round(_UPPER * len(ink)))]), key=lambda label: label.base)
        # The first good label of each kind ends the value of another on its line.
        ends = {label.kind: label for label in reversed(labels) if label.score >= _SURE}.values()
        found, below = {}, None
        # The first that reads as a date: dates in the text stand lower down.
        for label in (one for one in labels if one.kind == DATE):
            boxes = value_beside(ink, mask, label, ends), value_below(mask, label)
            ways = [(*read_date((ink * mask)[b[1] : b[3], b[0] : b[2]])[::-1], b, b is boxes[1]) for b in boxes if b]
            confidence, text, box, under = max(ways, key=lambda way: way[0], default=(0.0, "", None, False))
            if confidence >= _READABLE:
                below = label if under else None
                found[DATE] = {"text": text, "confidence": confidence, "box": _back(box, shifts, gray.shape[0])}
                found[DATE] |= {"score": label.score} | dict(zip(("iso", "problem"), iso_day(text, self.date_order)))
                break
        for kind in {label.kind for label in labels} - {DATE}:
            some = [label for label in labels if label.kind == kind]
            best = max(label.score for label in some)
            label = next(one for one in some if one.score >= best - _NEAR)
            stacked = below is not None and same_line(label, below)
            box = value_below(mask, label) if stacked else value_beside(ink, mask, label, ends)
            if box:
                found[kind] = {"box": _back(box, shifts, gray.shape[0]), "score": label.score,
                               "problem": "only dates are read"}  # fmt: skip
        return found


def _back(box: Box, shifts: np.ndarray, height: int) -> Box:
    """A box of the straightened page on the page as it was."""
    x0, y0, x1, y1 = box
    moved = int(np.median(shifts[x0:x1]))
    return float(x0), float(max(0, y0 + moved)), float(x1), float(min(y1 + moved, height))
