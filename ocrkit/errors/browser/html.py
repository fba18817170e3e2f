"""The pieces of HTML that the error browser shows. Taught in notebook 05."""

import numpy as np
import pandas as pd

from ocrkit.errors.browser.marks import Mark
from ocrkit.errors.diffs import diff_html, visible
from ocrkit.errors.gallery import judged, picture_html
from ocrkit.errors.templates import template

HTML = template("browser").module
#: Goes once on every page that shows `tile` or `details`.
LOOK = HTML.look()


def tile(row, spans: bool = False, chosen: bool = False) -> str:
    """A row of the results (from `itertuples`) as a small card: picture, diff or label, confidence.

    Without a label it is the reading that stands there, and nothing is marked as wrong.
    """
    label, read, wrong = judged(row)
    diff = diff_html(label, read) if wrong else ""
    return HTML.tile(picture_html(row, 48, spans), label, read, diff, getattr(row, "confidence", None), chosen)


def details(row: pd.Series, name: str, mark: Mark | None, spans: bool = False) -> str:
    """A row of the results as a panel: picture, diff, and a table of what is known of it."""
    label, read, _ = judged(row)
    # Without a second text the margin is infinite, and where nothing could be read log_prob is.
    rivals = isinstance(row.get("runner_up"), str) and np.isfinite([row.get("margin", 0), row.get("log_prob", 0)]).all()
    each = row["spans"] if isinstance(row.get("spans"), list) else []
    nearly = (row["runner_up"] if rivals else None), row.get("margin")
    picture, diff = picture_html(row, 96, spans), diff_html(label, read) if label else ""
    facts = name, row["text"], read, " ".join(filter(None, mark or ())), row.get("confidence")
    each = [(visible(span.text, "∅"), span.confidence) for span in each]
    return HTML.details(picture, diff, *facts, *nearly, each)
