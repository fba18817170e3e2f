"""The error page: a results table as one HTML file that filters and sorts by itself. Taught in notebook 05."""

from pathlib import Path

import pandas as pd

from ocrkit.data.files import atomic
from ocrkit.errors.gallery import card_html
from ocrkit.errors.metrics import score, texts_of
from ocrkit.errors.templates import template
from ocrkit.text.edits import operations
from ocrkit.text.strings import require_columns


def report(
    results: pd.DataFrame, path: str | Path = "errors.html", title: str = "Errors", height: int = 48, spans: bool = True
) -> Path:
    """Write the results table as one HTML page, with filters by text, kind of error, state and confidence.

    The images are inside the page, `height` pixels high and about 3 kB each, so it can be sent and opens from the disk;
    of a large set, write a part. `spans` draws on them which columns each character was read from. The file is written
    whole or not at all. Raises as `metrics.score` does, also without `confidence`. Taught in notebook 05.
    """
    require_columns(results, "text", "prediction", "confidence")
    boxes, (texts, predictions) = [], texts_of(results)
    for row, text, prediction in zip(results.itertuples(), texts, predictions, strict=True):
        edits = operations(text, prediction) if text else []  # without a label, nothing is known to be wrong
        box = {"text": text, "prediction": prediction, "edits": len(edits), "confidence": row.confidence}
        kinds = " ".join(sorted({edit.kind for edit in edits}))
        boxes.append({**box, "kinds": kinds, "card": card_html(row, height, spans)})
    summary, labeled = f"{len(results):,} images", results[[text != "" for text in texts]]
    if len(labeled) < len(results):
        summary += f", {len(labeled):,} with a label"
    if len(labeled):
        rates = score(labeled).set_index("metric")["value"]
        summary += f", exact match {rates['accuracy']:.4f}, CER {rates['cer']:.4f}"
    page = template("report").render(title=title, summary=summary, boxes=boxes)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)
