"""Diffs: a reference and a prediction aligned in three lines, as plain text and as HTML.

Taught in notebook 05.
"""

from __future__ import annotations

import unicodedata
from html import escape
from itertools import groupby

from ocrkit.text.edits import align
from ocrkit.text.strings import graphemes, normalize

#: The look of `diff_html`. The colors are see-through: they work on light and dark grounds.
DIFF_STYLE = """<style>
table.ok-diff{display:block;overflow-x:auto;border-collapse:collapse;margin:4px 0;border:0}
.ok-diff tr,.ok-diff tr:nth-child(n){background:none}
.ok-diff tr td{padding:0 2px;border:0;min-width:1ch;text-align:center;white-space:pre;font:16px/1.25 sans-serif}
.ok-diff tr td.ok-mark{font:10px/1 monospace;opacity:.75}
.ok-diff tr td.ok-substitute{background:rgba(213,94,0,.35)}
.ok-diff tr td.ok-insert{background:rgba(230,159,0,.4)}
.ok-diff tr td.ok-delete{background:rgba(0,158,115,.35)}
</style>"""
_MARKS = {"equal": " ", "substitute": "x", "insert": "+", "delete": "-"}


def diff_text(reference: str, prediction: str) -> str:
    """Two texts aligned in three lines: reference, marks (`x` substitute, `+` insert, `-` delete), prediction.

    The columns are grapheme clusters, and wide characters count two places. A space is shown as `␣`, a control
    character by its number. Right-to-left text runs from left to right here, or the marks would not stand below it.

    Taught in notebook 05.
    """
    lines = ["", "", ""]
    for kind, *pair in _columns(reference, prediction):
        cells = pair[0], _MARKS[kind], pair[1]
        width = max(map(_width, cells))
        lines = [line + cell + " " * (width - _width(cell)) for line, cell in zip(lines, cells)]
    if any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in reference + prediction):
        lines = [f"\u202d{line}\u202c" for line in lines]  # left-to-right override, and its end
    return "\n".join(lines)


def diff_html(reference: str, prediction: str) -> str:
    """Two texts aligned in three rows of a table, with colored differences, for a page that holds `STYLE`.

    Substitutions are red, insertions orange, deletions green; the middle row has the marks of `diff_text`. A text
    that begins right-to-left runs from right to left, its numbers from left to right. Letters stand alone, so
    Persian ones are not joined. Taught in notebook 05.
    """
    columns = _columns(reference, prediction)
    strong = (unicodedata.bidirectional(c) for c in reference + prediction)
    rtl = next((b for b in strong if b in ("L", "R", "AL")), "L") != "L"
    rows = []
    for line in (1, None, 2):
        cells = []
        for column in _visual(columns) if rtl else columns:
            kind = column[0]
            text, extra = (_MARKS[kind], "ok-mark ") if line is None else (column[line], "")
            cells.append(f'<td class="{extra}ok-{kind}"><bdi>{escape(text) or " "}</bdi></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="ok-diff" dir="{"rtl" if rtl else "ltr"}">{"".join(rows)}</table>'


def _columns(reference: str, prediction: str) -> list[tuple[str, str, str]]:
    edits = align(graphemes(normalize(reference)), graphemes(normalize(prediction)))
    return [(e.kind, visible(e.reference), visible(e.prediction)) for e in edits]


def visible(cluster: str) -> str:
    """A grapheme cluster for the eye: a space is `␣`, what cannot be printed is shown by its number."""
    if cluster == " ":
        return "␣"
    return cluster if any(map(str.isprintable, cluster)) else cluster.encode("unicode_escape").decode()


def _visual(columns: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Columns of a right-to-left text, with each run of numbers or Latin letters turned around."""

    def left_to_right(column):
        return unicodedata.bidirectional((column[1] or column[2])[0]) in ("L", "EN", "AN", "CS")

    runs = [(ltr, list(run)) for ltr, run in groupby(columns, left_to_right)]
    return [column for ltr, run in runs for column in (run[::-1] if ltr else run)]


def _width(text: str) -> int:
    """Places that `text` takes in a monospaced font."""
    zero = ("Mn", "Me", "Cf")
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text if unicodedata.category(c) not in zero)
