"""Diffs: a reference and a prediction aligned in three lines, as plain text and as HTML. Taught in notebook 05."""

import unicodedata
from itertools import groupby

from ocrkit.errors.templates import template
from ocrkit.text.edits import align
from ocrkit.text.strings import graphemes, normalize

_HTML = template("cards").module
_MARKS = {"equal": " ", "substitute": "x", "insert": "+", "delete": "-"}


def diff_text(reference: str, prediction: str) -> str:
    """Two texts aligned in three lines: reference, marks (`x` substitute, `+` insert, `-` delete), prediction.

    The columns are grapheme clusters, and wide characters count two places. Right-to-left text runs from left to right
    here, or the marks would not stand below it. Taught in notebook 05.
    """
    lines = ["", "", ""]
    for _, *cells in _columns(reference, prediction):
        width = max(map(_width, cells))
        lines = [line + cell + " " * (width - _width(cell)) for line, cell in zip(lines, cells)]
    if any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in reference + prediction):
        lines = [f"\u202d{line}\u202c" for line in lines]  # left-to-right override, and its end
    return "\n".join(lines)


def diff_html(reference: str, prediction: str) -> str:
    """Two texts aligned in three rows of a table, with colored differences, for a page that holds `gallery.STYLE`.

    The middle row has the marks of `diff_text`. A text that begins right-to-left runs from right to left, its numbers
    from left to right. Letters stand alone, so Persian ones are not joined. Taught in notebook 05.
    """
    columns = _columns(reference, prediction)
    kinds = (unicodedata.bidirectional(c) for c in reference + prediction)
    is_rtl = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"
    return _HTML.diff(_visual(columns), "rtl") if is_rtl else _HTML.diff(columns, "ltr")


def visible(cluster: str, nothing: str = "") -> str:
    """A grapheme cluster for the eye: a space is `␣`, what cannot be printed is shown by its number."""
    if cluster in ("", " "):
        return "␣" if cluster else nothing
    return cluster if any(map(str.isprintable, cluster)) else cluster.encode("unicode_escape").decode()


def _columns(reference: str, prediction: str) -> list[tuple[str, str, str, str]]:
    """(kind of edit, of the reference, mark, of the prediction) along the alignment."""
    edits = align(graphemes(normalize(reference)), graphemes(normalize(prediction)))
    return [(e.kind, visible(e.reference), _MARKS[e.kind], visible(e.prediction)) for e in edits]


def _visual(columns: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Columns of a right-to-left text, with each run of numbers or Latin letters turned around."""

    def left_to_right(column):
        return unicodedata.bidirectional((column[1] or column[3])[0]) in ("L", "EN", "AN", "CS")

    runs = [(ltr, list(run)) for ltr, run in groupby(columns, left_to_right)]
    return [column for ltr, run in runs for column in (run[::-1] if ltr else run)]


def _width(text: str) -> int:
    """Places that `text` takes in a monospaced font."""
    zero = ("Mn", "Me", "Cf")
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text if unicodedata.category(c) not in zero)
