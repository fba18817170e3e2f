"""`ErrorBrowser`: look at what a recognizer read, find the errors, and mark what is wrong with labels and images.

All logic is in `ocrkit.errors.browser.table`, the widgets are in `ocrkit.errors.browser.view`. Taught in notebook 05.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd

from ocrkit.errors.browser.html import LOOK, tile
from ocrkit.errors.browser.table import ErrorTable
from ocrkit.errors.gallery import mimebundle
from ocrkit.text.tokenizer import Tokenizer


class ErrorBrowser:
    """Browse the errors of a results table in a notebook; the last expression of a cell shows it.

    Filter by right or wrong, kind of edit, text, slices, confidence, or one confusion by a click on the matrix; sort;
    page; look at one image enlarged, with the columns that each character was read from; say what is wrong with its
    label. Marks are saved at once and are there again after a restart of the kernel.

    Keys: plain ipywidgets cannot catch keys that are pressed anywhere on the page. Two things work: a click into the
    field `keys`, after which each key acts at once (n and p page, j and k step through the images, 1 to 4
    mark, u undoes); and Tab with Space or Enter, since every control is a button or a field.

    Where ipywidgets are missing or the page cannot show them (GitHub, a PDF), the first page stands there as HTML.

    Args:
        results, alphabet, marks, page_size: as for `ErrorTable`, which is the attribute `table`.
        on_select: called with the row (a Series) each time an image is selected; what it returns is shown below it.
        buttons: name -> function of the row, for buttons of your own; what one returns is shown below the image.

    Raises as `ErrorTable` does. Taught in notebook 05.
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
        self.table = ErrorTable(results, alphabet, marks, page_size)
        self._on_select, self._buttons = on_select, dict(buttons or {})

    def changes(self) -> pd.DataFrame:
        """A row a marked image: `image, text, crop, mark, new_text`; `apply_changes` makes corrected samples of it."""
        return self.table.changes()

    def export(self, path: str | os.PathLike | None = None) -> Path:
        """Write `changes()` as CSV, whole or not at all; by default beside the file of the marks."""
        return self.table.export(path)

    @cached_property
    def view(self):
        """The widgets, an `ocrkit.errors.browser.view.View`; raises ImportError where ipywidgets are missing."""
        from ocrkit.errors.browser.view import View

        return View(self.table, self._on_select, self._buttons)

    def html(self) -> str:
        """The page that is shown now as HTML that needs no widgets."""
        tiles = "".join(map(tile, self.table.results.iloc[self.table.shown].itertuples()))
        return (
            f'{LOOK}<p style="font:14px sans-serif">{escape(self.table.status())}. This page stands still: '
            f"run the cell where widgets work to filter, page and mark.</p>"
            f'<div class="ok-grid">{tiles}</div>'
        )

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return mimebundle(repr(self), self.html(), lambda: self.view.root)

    def __repr__(self) -> str:
        return f"ErrorBrowser({self.table.status()})"
