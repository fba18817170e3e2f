"""`ErrorTable`: filters, sorts, pages and marks over a results table; `ocrkit.errors.browser.browser` is its view.

Taught in notebook 05.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ocrkit.errors.browser.marks import MARKS, Mark, Marks, Rows, write_changes
from ocrkit.errors.confusions import in_words
from ocrkit.text.alphabets import ALPHABETS
from ocrkit.text.edits import operations
from ocrkit.text.strings import normalize, quote, require_columns
from ocrkit.text.tokenizer import Tokenizer

SHOW = ("wrong", "right", "all", "marked", "not marked", "not an image")
KINDS = ("any", "substitute", "insert", "delete")
#: Name of a sort -> (precomputed column, whether the largest comes first). Not every table has a margin.
SORTS = {
    "surest first": ("confidence", True),
    "least sure first": ("confidence", False),
    "highest CER first": ("cer", True),
    "smallest margin first": ("margin", False),
    "label": ("text", False),
    "reading": ("prediction", False),
    "table order": ("position", False),
}
_START = {"show": "wrong", "kind": "any", "text": "", "pair": None, "where": {}, "confidence": (0.0, 1.0)}


class ErrorTable:
    """A results table with filters, a sort, pages, a selected row and marks. It knows no widgets.

    What a filter needs is computed once, so that each action on 100,000 rows takes milliseconds. Rows are meant by
    their position in the table, from 0. At the start it shows the wrong readings, the surest first.

    Args:
        results: N rows with `image` (path or uint8 array), `text` and `prediction`; of the other columns of
            `Recognizer.read`, `confidence`, `spans`, `operations`, `error`, `runner_up` and `margin` are used where
            they are there.
        alphabet: the characters that a new label may have: a `Tokenizer`, a key of `ALPHABETS` or the characters;
            by default those that occur in the labels and predictions.
        marks: the JSON file of the marks; by default `runs/marks/SET.json` in the working folder, named after the
            folder of the images. `None` keeps the marks in memory alone.
        page_size: rows on a page.

    Raises:
        ValueError: a column is missing, the marks file is damaged, or images in memory have an index with doubles.
        TypeError: a text or a prediction is not text; the message names the row.

    Taught in notebook 05.
    """

    def __init__(
        self,
        results: pd.DataFrame,
        alphabet: Tokenizer | str | None = None,
        marks: str | os.PathLike | None = "auto",
        page_size: int = 12,
    ):
        cure = "Recognizer.read of a samples table gives all that the browser needs"
        require_columns(results, "image", "text", "prediction", cure=cure)
        # Lists, because going through a column of pandas one by one is slow.
        texts, predictions = results["text"].tolist(), results["prediction"].tolist()
        for column, values in (("text", texts), ("prediction", predictions)):
            for place, value in enumerate(values):
                if not isinstance(value, str):
                    row = results.index[place]
                    raise TypeError(f"row {row}: the {column} is {value!r}, not text; use '' for an empty one")
        if page_size < 1:
            raise ValueError(f"page_size={page_size}: a page needs at least one row")
        self.results, self.page_size = results, page_size
        if alphabet is None:
            characters = set(normalize("".join([*texts, *predictions])))
            alphabet = "".join(sorted(characters)) or ALPHABETS["plates"]
        self.tokenizer = alphabet if isinstance(alphabet, Tokenizer) else Tokenizer(ALPHABETS.get(alphabet, alphabet))
        rows = Rows(results)
        self.marks = Marks(rows, rows.default_path() if marks == "auto" else marks)
        self.message = self.marks.message

        n = len(results)
        error = results["error"].tolist() if "error" in results else [""] * n
        self._unread = np.array([isinstance(e, str) and e != "" for e in error], dtype=bool)
        self._confidence = (
            results["confidence"].to_numpy(dtype=float) if "confidence" in results else np.full(n, np.nan)
        )
        edits = results["operations"].tolist() if "operations" in results else [None] * n
        pairs, self._edit_row, self._edit_pair = {}, [], []
        for row, (found, text, prediction) in enumerate(zip(edits, texts, predictions)):
            if not isinstance(found, list):  # no such column, or one that was read from a CSV file
                found = operations(normalize(text), normalize(prediction))
            for edit in found:
                self._edit_row.append(row)
                self._edit_pair.append(pairs.setdefault((edit.reference, edit.prediction), len(pairs)))
        #: (reference, prediction) of each confusion that occurs; "" stands for the missing side.
        self.pairs = list(pairs)
        self._edit_row, self._edit_pair = np.array(self._edit_row, dtype=int), np.array(self._edit_pair, dtype=int)
        self._distance = np.bincount(self._edit_row, minlength=n)
        lengths = np.array([max(1, len(t)) for t in texts])
        self._keys = {"confidence": self._confidence, "cer": self._distance / lengths, "position": np.arange(n)}
        #: Those of `SORTS` that this table has the column for.
        self.sorts = tuple(name for name, (column, _) in SORTS.items() if column != "margin" or column in results)
        if "margin" in results:
            self._keys["margin"] = results["margin"].to_numpy(dtype=float)
        self._permutations, self._slices = {}, {}
        self.filters, self.sorting = dict(_START), "surest first"
        self._update()

    # --- what is shown ---

    def filter(self, **changes) -> None:
        """Change some filters, leave the others, and go to the first page.

        Args:
            show: one of `SHOW`.
            kind: one of `KINDS`; rows with at least one such edit.
            text: part of the label or of the prediction; case does not matter.
            pair: `(reference, prediction)`, one confusion; "" for the side that an insert or delete lacks.
            where: column -> value, as `values` lists them.
            confidence: `(low, high)`, both included; `(0, 1)` also keeps rows without one.

        Raises:
            ValueError: there is no such filter, choice, column or value.
        """
        filters = {**self.filters, **changes}
        for name, choices in (("show", SHOW), ("kind", KINDS)):
            if filters[name] not in choices:
                raise ValueError(f"{name}={filters[name]!r}: it must be one of {', '.join(choices)}")
        if unknown := sorted(filters.keys() - _START.keys()):
            raise ValueError(f"there is no filter {', '.join(unknown)}; there are: {', '.join(_START)}")
        for column, value in filters["where"].items():
            if value not in self.values(column):
                raise ValueError(f"column {column!r} has no value {value!r}; values({column!r}) lists them")
        self.filters = filters
        self._update()

    def sort(self, by: str) -> None:
        """Sort by one of `sorts` and go to the first page."""
        if by not in self.sorts:
            raise ValueError(f"there is no sort {by!r}; there are: {', '.join(self.sorts)}")
        self.sorting = by
        self._update()

    def reset(self) -> None:
        """Go back to the filters of the start; sort and marks stay."""
        self.filter(**_START)

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-len(self.order) // self.page_size))

    @property
    def shown(self) -> np.ndarray:
        """Positions of the rows on the page, at most `page_size`."""
        return self.order[self.page * self.page_size : (self.page + 1) * self.page_size]

    def go(self, page: int) -> None:
        """Go to a page, from 0, or to the nearest one that exists, and select its first row."""
        self.page = min(max(page, 0), self.pages - 1)
        self.selected = next(iter(self.shown.tolist()), None)

    def select(self, position: int) -> None:
        """Select a row and go to its page. Raises ValueError where it does not pass the filters."""
        places = np.flatnonzero(self.order == position)
        if not len(places):
            raise ValueError(f"row {position} does not pass the filters; reset() or filter(show='all') shows it")
        self.page, self.selected = int(places[0]) // self.page_size, int(position)

    def step(self, by: int) -> None:
        """Select the row that stands `by` further in the order, on another page if need be; stop at both ends."""
        if self.selected is not None:
            place = int(np.flatnonzero(self.order == self.selected)[0]) + by
            self.select(self.order[min(max(place, 0), len(self.order) - 1)])

    def row(self, position: int) -> pd.Series:
        """One row of the results table."""
        return self.results.iloc[position]

    def status(self) -> str:
        """One line: how many rows are shown, on which page, and how many are marked."""
        marked = np.count_nonzero(self.marks.codes)
        return (
            f"{len(self.order):,} of {len(self.results):,} images · page {self.page + 1:,} of {self.pages:,} · "
            f"{marked:,} marked"
        )

    @cached_property
    def _searched(self) -> list[str]:
        pairs = zip(self.results["text"].tolist(), self.results["prediction"].tolist())
        return [normalize(f"{text}\n{prediction}").casefold() for text, prediction in pairs]

    @cached_property
    def columns(self) -> list[str]:
        """Columns that can be sliced by: all but images, texts, confidence and those that hold lists."""
        own = {"image", "text", "prediction", "runner_up", "confidence"}
        own |= {"spans", "operations", "error", "corners", "box"}
        first = {c: next(iter(self.results[c].dropna().head(1)), "") for c in self.results if c not in own}
        return [c for c, value in first.items() if not isinstance(value, (list, dict, set, np.ndarray))]

    def values(self, column: str) -> dict[str, int]:
        """Values of a column -> number of rows, the most frequent first; more than 12 numbers become 5 ranges."""
        return self._slice(column)[1]

    def confusions(self, size: int = 8) -> pd.DataFrame:
        """The most frequent confusions of the rows that pass all filters but `pair`, as a matrix of counts.

        At most `size` references (index) x `size` predictions (columns), chosen along the pairs from the most
        frequent one on; "" stands for the missing side of an insert or delete.
        """
        counts = np.bincount(self._edit_pair[self._passed[self._edit_row]], minlength=len(self.pairs))
        references, predictions, cells = {}, {}, {}
        for code in np.argsort(-counts, kind="stable")[: 8 * size].tolist():
            reference, prediction = self.pairs[code]
            fits = all(
                c in axis or len(axis) < size for c, axis in ((reference, references), (prediction, predictions))
            )
            if counts[code] and fits:
                references[reference], predictions[prediction] = None, None
                cells[reference, prediction] = int(counts[code])
        rows = [[cells.get((r, p), 0) for p in predictions] for r in references]
        return pd.DataFrame(rows, index=list(references), columns=list(predictions), dtype=int)

    # --- marks ---

    def mark(self, mark: str | None, new_text: str = "") -> bool:
        """Mark the selected row with one of `MARKS` (`None` takes its mark away), save, and select the next row.

        Returns whether it was marked; `message` says what happened, or why not.
        """
        if self.selected is None:
            self.message = "no image is selected"
            return False
        new_text = normalize(new_text).strip() if mark == "wrong label" else ""
        if mark == "wrong label" and (problem := self._problem(new_text)):
            self.message = problem
            return False
        if mark is not None and mark not in MARKS:
            raise ValueError(f"there is no mark {mark!r}; there are: {', '.join(MARKS)}")
        self.marks.set(self.selected, Mark(mark, new_text) if mark else None)
        self.message = self.marks.message
        self.step(1)
        return True

    def undo(self) -> None:
        """Take back the last mark, and select its row if it passes the filters."""
        position = self.marks.undo()
        self.message = self.marks.message
        if position is not None and position in self.order:
            self.select(position)

    def changes(self) -> pd.DataFrame:
        """A row a marked image, oldest mark first: `image, text, crop, mark, new_text`; `apply_changes` takes it."""
        return self.marks.table()

    def export(self, path: str | os.PathLike | None = None) -> Path:
        """Write `changes()` as CSV, whole or not at all; by default beside the file of the marks."""
        path = write_changes(self.changes(), path or (self.marks.path or Path("marks")).with_suffix(".csv"))
        self.message = (
            f"{len(self.changes()):,} marked images are listed in {path}; ok.apply_changes(samples, file) uses it"
        )
        return path

    # --- inside ---

    def _problem(self, new_text: str) -> str:
        if not new_text:
            return "the new label is empty; an image that cannot be read is marked 'unreadable', or 'exclude'"
        if missing := self.tokenizer.missing(new_text):
            return f"the new label {new_text!r} has {quote(missing)}, which is not in the alphabet; correct it"
        if new_text == normalize(self.results["text"].iloc[self.selected]):
            return f"{new_text!r} is the label already; mark it 'fine', or write what it should be"
        return ""

    def _slice(self, column: str) -> tuple[np.ndarray, dict[str, int]]:
        """Code of each row (-1 for no value), and the values by code count, computed when a column is first used."""
        if column not in self.columns:
            raise ValueError(
                f"there is no column {column!r} to slice by; there are: {', '.join(map(str, self.columns))}"
            )
        if column not in self._slices:
            codes, names = pd.factorize(in_words(self.results[column], bins=5, most=12)[0])
            counts = np.bincount(codes[codes >= 0], minlength=len(names))
            order = np.argsort(-counts, kind="stable")
            ranks = np.append(np.argsort(order), -1)  # the last one is what code -1 finds
            self._slices[column] = ranks[codes], {str(names[i]): int(counts[i]) for i in order}
        return self._slices[column]

    def _update(self) -> None:
        """Compute which rows pass, and their order."""
        f, n = self.filters, len(self.results)
        show = {
            "wrong": lambda: (self._distance > 0) | self._unread,
            "right": lambda: (self._distance == 0) & ~self._unread,
            "marked": lambda: self.marks.codes > 0,
            "not marked": lambda: self.marks.codes == 0,
            "not an image": lambda: self._unread.copy(),
        }
        passed = show.get(f["show"], lambda: np.ones(n, dtype=bool))()
        if f["kind"] != "any":
            kinds = np.array(["insert" if not r else "delete" if not p else "substitute" for r, p in self.pairs])
            passed &= self._rows_of(kinds == f["kind"])
        if wanted := normalize(f["text"]).casefold():
            passed &= np.fromiter((wanted in text for text in self._searched), dtype=bool, count=n)
        for column, value in f["where"].items():
            codes, values = self._slice(column)
            passed &= codes == list(values).index(value)
        low, high = f["confidence"]
        if low > 0 or high < 1:
            passed &= (self._confidence >= low) & (self._confidence <= high)
        self._passed = passed
        if f["pair"] is not None:
            passed = passed & self._rows_of(np.array([pair == f["pair"] for pair in self.pairs]))
        permutation = self._permutation(self.sorting)
        self.order = permutation[passed[permutation]]
        self.go(0)

    def _rows_of(self, chosen: np.ndarray) -> np.ndarray:
        """Rows that have an edit among the chosen pairs, as a mask."""
        rows = np.zeros(len(self.results), dtype=bool)
        if len(chosen):
            rows[self._edit_row[chosen[self._edit_pair]]] = True
        return rows

    def _permutation(self, sorting: str) -> np.ndarray:
        column, largest_first = SORTS[sorting]
        if sorting not in self._permutations:
            key = self._keys[column] if column in self._keys else pd.factorize(self.results[column], sort=True)[0]
            # NaN goes last both ways.
            self._permutations[sorting] = np.argsort(-key if largest_first else key, kind="stable")
        return self._permutations[sorting]
