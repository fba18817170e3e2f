"""The pieces of HTML that the error browser shows; every text in them is escaped.

Taught in notebook 05.
"""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from ocrkit.errors import diffs
from ocrkit.errors.browser.marks import Mark
from ocrkit.errors.diffs import diff_html
from ocrkit.errors.gallery import STYLE, is_right, known_label, picture_html

#: Goes once on every page that shows `tile` or `details`.
LOOK = (
    STYLE
    + """<style>
.ok-tile{font:13px/1.4 sans-serif;overflow:hidden;box-sizing:border-box;min-height:140px;
 width:100%;min-width:0}
.widget-html-content:has(>.ok-tile){min-width:0;width:100%}
.ok-tile img{max-width:100%!important;object-fit:contain;object-position:left}
.ok-tile .ok-same{font-size:16px;margin:12px 0}
.ok-chosen{outline:3px solid #0072b2;outline-offset:-3px}
.ok-facts{font:14px/1.5 sans-serif}
.ok-facts table:not(.ok-diff) td{padding:0 10px 0 0;text-align:left;background:none;border:0}
.ok-picture{overflow-x:auto;margin-bottom:6px}
.ok-unsure{color:#d00}
.ok-note{font:13px/1.4 sans-serif;opacity:.85}
.ok-axis{text-align:center;font:14px/26px sans-serif}
.ok-message{font:14px/1.5 sans-serif;min-height:1.5em;color:var(--jp-warn-color0,#b35000);font-weight:600}
</style>"""
)


def tile(row, spans: bool = False, chosen: bool = False) -> str:
    """A row of the results (from `itertuples`) as a small card: picture, diff or label, confidence.

    Without a label it is the reading that stands there, and nothing is marked as wrong.
    """
    label = known_label(row)
    wrong = bool(label) and not is_right(label, row.prediction)
    text = diff_html(label, row.prediction) if wrong else f'<div class="ok-same">{_text(label or row.prediction)}</div>'
    note = f"<small>confidence {row.confidence:.2f}</small>" if hasattr(row, "confidence") else ""
    look = f"ok-card ok-tile{' ok-wrong' * wrong}{' ok-open' * (not label)}{' ok-chosen' * chosen}"
    return f'<div class="{look}">{picture_html(row, 48, spans)}{text}{note}</div>'


def details(row: pd.Series, name: str, mark: Mark | None, spans: bool = False) -> str:
    """A row of the results as a panel: picture, diff, and a table of what is known of it."""
    lines = [("file", _text(name)), ("label", _text(row["text"])), ("read", _text(row["prediction"]))]
    if mark:
        lines.append(("mark", _text(" ".join(filter(None, mark)))))
    if "confidence" in row:
        lines.append(("confidence", f"{row['confidence']:.3f}"))
    # Without a second text the margin is infinite, and where nothing could be read log_prob is.
    if isinstance(row.get("runner_up"), str) and np.isfinite([row.get("margin", 0), row.get("log_prob", 0)]).all():
        margin = f" <small>behind by {row['margin']:.2f} nats</small>" if "margin" in row else ""
        lines.append(("nearly", _text(row["runner_up"]) + margin))
    if isinstance(row.get("spans"), list) and row["spans"]:
        lines.append(("each", " &nbsp; ".join(map(_sureness, row["spans"]))))
    facts = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in lines)
    return (
        f'<div class="ok-facts"><div class="ok-picture">{picture_html(row, 96, spans)}</div>'
        f"{diff_html(row['text'], row['prediction']) * bool(known_label(row))}<table>{facts}</table></div>"
    )


def visible(character: str) -> str:
    """A character for the eye: nothing is `∅`, a space is `␣`, what cannot be printed is shown by its number."""
    return diffs.visible(character) or "∅"


def _text(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>' if text else "<i>(nothing)</i>"


def _sureness(span) -> str:
    look = "ok-unsure" if span.confidence < 0.5 else ""
    return f'<span class="{look}"><bdi>{escape(visible(span.text))}</bdi> <small>{span.confidence:.2f}</small></span>'
