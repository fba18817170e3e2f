"""What the error browser knows and does; what a person sees of it is `ocrkit.errors.browser.view`."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ocrkit.data.files import atomic
from ocrkit.errors.browser.html import HTML, tile
from ocrkit.errors.browser.marks import MARKS, Mark, Marks, Rows
from ocrkit.errors.confusions import in_words
from ocrkit.errors.gallery import mimebundle
from ocrkit.errors.metrics import checked_texts
from ocrkit.text.alphabets import ALPHABETS
from ocrkit.text.edits import operations
from ocrkit.text.strings import normalize, quote, require_columns
from ocrkit.text.tokenizer import Tokenizer

SHOW = ("wrong", "right", "all", "marked", "not marked", "not an image")
KINDS = ("any", "substitute", "insert", "delete")
#: Name of a sort -> (column, whether the largest comes first). Not every table has a margin.
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
#: Columns that cannot be sliced by.
_WHOLE = {"image", "text", "prediction", "runner_up", "confidence", "spans", "operations", "error", "corners", "box"}


class ErrorBrowser:
    """Browse the errors of a results table in a notebook; the last expression of a cell shows it.

    Filter by right or wrong, kind of edit, text, slices, confidence or confusion; sort; page; look at one image; say
    what is wrong with its label. Marks are saved at once. Without ipywidgets, and on GitHub, the first page stands as
    HTML. The methods do all that a person can, with rows by their position in the table, from 0.

    Args:
        results: N rows with `image` (path or uint8 array), `text` and `prediction`; the other columns of
            `Recognizer.read` are used where they are there.
        alphabet: the characters that a new label may have: a `Tokenizer`, a key of `ALPHABETS` or the characters;
            by default those that occur in the labels and predictions.
        marks: the JSON file of the marks; by default `runs/marks/SET.json` in the working folder, named after the
            folder of the images. `None` keeps the marks in memory alone.
        on_select: called with the row (a Series) each time an image is selected; what it returns is shown below it.
        buttons: name -> function of the row, for buttons of your own; what one returns is shown below the image.

    Raises a ValueError where a column is missing, the marks file is damaged, or images in memory have an index with
    doubles, and a TypeError that names the row where a text is not text. Taught in notebook 05.
    """

    def __init__(
        self,
        results: pd.DataFrame,
        alphabet: Tokenizer | str | None = None,
        marks: str | os.PathLike | None = "auto",
        page_size: int = 12,
        on_select: Callable[[pd.Series], object] | None = None,
        buttons: Mapping[str, Callable[[pd.Series], object]] | None = None,
    ):
        cure = "Recognizer.read of a samples table gives all that the browser needs"
        require_columns(results, "image", "text", "prediction", cure=cure)
        if page_size < 1:
            raise ValueError(f"page_size={page_size}: a page needs at least one row")
        texts, predictions = (checked_texts(results[column], column) for column in ("text", "prediction"))
        self.results, self.page_size = results, page_size
        self.on_select, self.buttons = on_select, dict(buttons or {})
        if alphabet is None:
            alphabet = "".join(sorted({*"".join(texts), *"".join(predictions)})) or ALPHABETS["plates"]
        self.tokenizer = alphabet if isinstance(alphabet, Tokenizer) else Tokenizer(ALPHABETS.get(alphabet, alphabet))
        rows = Rows(results)
        self.marks = Marks(rows, rows.default_path() if marks == "auto" else marks)
        #: What the last action did or why it did not, for people.
        self.message = self.marks.message

        n = len(results)
        self._unread = np.array([isinstance(e, str) and e != "" for e in results.get("error", [""] * n)], dtype=bool)
        pairs, edit_row, edit_pair = {}, [], []
        for row, (found, *both) in enumerate(zip(results.get("operations", [None] * n), texts, predictions)):
            # There is no such column, or one that was read from a CSV file.
            for edit in found if isinstance(found, list) else operations(*both):
                edit_row.append(row)
                edit_pair.append(pairs.setdefault((edit.reference, edit.prediction), len(pairs)))
        #: (reference, prediction) of each confusion that occurs; "" stands for the missing side.
        self.pairs = list(pairs)
        self._edit_row, self._edit_pair = np.array(edit_row, dtype=int), np.array(edit_pair, dtype=int)
        self._distance = np.bincount(self._edit_row, minlength=n)
        self._confidence = np.array(results.get("confidence", np.full(n, np.nan)), dtype=float)
        rates = self._distance / [max(1, len(text)) for text in texts]
        self._keys = {"confidence": self._confidence, "cer": rates, "position": np.arange(n)}
        if "margin" in results:
            self._keys["margin"] = results["margin"].to_numpy(dtype=float)  # NaN included, which goes last
        #: Those of `SORTS` that this table has the column for.
        self.sorts = tuple(name for name, (column, _) in SORTS.items() if column in self._keys or column in results)
        self._texts, self._permutations, self._slices = (texts, predictions), {}, {}
        self.filters, self.sorting = dict(_START), "surest first"
        self._update()

    def filter(self, **changes) -> None:
        """Change some filters, leave the others, and go to the first page; a ValueError changes nothing.

        Args:
            show, kind: one of `SHOW` and of `KINDS`; rows with at least one such edit.
            text: part of the label or of the prediction; case does not matter.
            pair: `(reference, prediction)`, one confusion; "" for the side that an insert or delete lacks.
            where: column -> value, as `values` lists them.
            confidence: `(low, high)`, both included; `(0, 1)` also keeps rows without one.
        """
        filters = self.filters | changes
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

    def status(self) -> str:
        """One line: how many rows are shown, on which page, and how many are marked."""
        shown, marked = f"{len(self.order):,} of {len(self.results):,} images", np.count_nonzero(self.marks.codes)
        return f"{shown} · page {self.page + 1:,} of {self.pages:,} · {marked:,} marked"

    @cached_property
    def columns(self) -> list[str]:
        """Columns that can be sliced by: all but images, texts, confidence and those that hold lists."""
        first = {c: next(iter(self.results[c].dropna().head(1)), "") for c in self.results if c not in _WHOLE}
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
            sides = (reference, references), (prediction, predictions)
            if counts[code] and all(c in seen or len(seen) < size for c, seen in sides):
                references[reference] = predictions[prediction] = None
                cells[reference, prediction] = int(counts[code])
        rows = [[cells.get((r, p), 0) for p in predictions] for r in references]
        return pd.DataFrame(rows, index=list(references), columns=list(predictions), dtype=int)

    def mark(self, mark: str | None, new_text: str = "") -> bool:
        """Mark the selected row with one of `MARKS` (`None` takes its mark away), save, and select the next row.

        Returns whether it was marked; `message` says what happened, or why not.
        """
        if mark is not None and mark not in MARKS:
            raise ValueError(f"there is no mark {mark!r}; there are: {', '.join(MARKS)}")
        relabels = mark == "wrong label"
        new_text = normalize(new_text).strip() if relabels else ""
        if self.selected is None:
            self.message = "no image is selected"
        elif relabels and not new_text:
            self.message = "the new label is empty; an image that cannot be read is marked 'unreadable', or 'exclude'"
        elif relabels and (missing := self.tokenizer.missing(new_text)):
            self.message = f"the new label {new_text!r} has {quote(missing)}, which is not in the alphabet; correct it"
        elif relabels and new_text == self._texts[0][self.selected]:
            self.message = f"{new_text!r} is the label already; mark it 'fine', or write what it should be"
        else:
            self.marks.set(self.selected, Mark(mark, new_text) if mark else None)
            self.message = self.marks.message
            self.step(1)
            return True
        return False

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
        changes, path = self.changes(), Path(path or (self.marks.path or Path("marks")).with_suffix(".csv"))
        with atomic(path) as temporary:
            changes.to_csv(temporary, index=False, quoting=1, encoding="utf-8")  # 1: quotes around every field
        self.message = f"{len(changes):,} marked images are listed in {path}; ok.apply_changes(samples, file) uses it"
        return path

    @cached_property
    def view(self):
        """The widgets, an `ocrkit.errors.browser.view.View`; raises ImportError where ipywidgets are missing."""
        from ocrkit.errors.browser.view import View

        return View(self)

    def html(self) -> str:
        """The page that is shown now as HTML that needs no widgets."""
        return HTML.still(self.status(), [tile(row) for row in self.results.iloc[self.shown].itertuples()])

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return mimebundle(repr(self), self.html(), lambda: self.view.root)

    def __repr__(self) -> str:
        return f"ErrorBrowser({self.status()})"

    def _slice(self, column: str) -> tuple[np.ndarray, dict[str, int]]:
        """Code of each row (-1 for no value), and the values by code with counts, made when a column is first used."""
        require_columns(self.columns, column, what="the choice of slices")
        if column not in self._slices:
            words = in_words(self.results[column], bins=5, most=12)[0]
            values = words.value_counts()
            self._slices[column] = values.index.get_indexer(words), {str(v): int(n) for v, n in values.items()}
        return self._slices[column]

    def _update(self) -> None:
        """Compute which rows pass, and their order."""
        f, n = self.filters, len(self.results)
        wrong, marked = (self._distance > 0) | self._unread, self.marks.codes > 0
        shown = {"wrong": wrong, "right": ~wrong, "marked": marked, "not marked": ~marked, "not an image": self._unread}
        passed = shown.get(f["show"], np.full(n, True)).copy()
        if f["kind"] != "any":
            kinds = ("insert" if not r else "delete" if not p else "substitute" for r, p in self.pairs)
            passed &= self._rows_of([kind == f["kind"] for kind in kinds])
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
            passed = passed & self._rows_of([pair == f["pair"] for pair in self.pairs])
        if self.sorting not in self._permutations:
            column, largest_first = SORTS[self.sorting]
            key = self._keys[column] if column in self._keys else pd.factorize(self.results[column], sort=True)[0]
            # NaN goes last both ways.
            self._permutations[self.sorting] = np.argsort(-key if largest_first else key, kind="stable")
        permutation = self._permutations[self.sorting]
        self.order = permutation[passed[permutation]]
        self.go(0)

    @cached_property
    def _searched(self) -> list[str]:
        return [f"{text}\n{prediction}".casefold() for text, prediction in zip(*self._texts)]

    def _rows_of(self, chosen: list[bool]) -> np.ndarray:
        """Rows that have an edit among the chosen pairs, as a mask."""
        rows = self._edit_row[np.array(chosen, dtype=bool)[self._edit_pair]]
        return np.bincount(rows, minlength=len(self.results)) > 0
