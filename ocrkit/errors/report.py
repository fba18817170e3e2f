"""The error page: a results table as one HTML file that filters and sorts by itself, without a server.

Taught in notebook 05.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd

from ocrkit.data.files import atomic
from ocrkit.errors.gallery import STYLE, card_html
from ocrkit.errors.metrics import paired_texts, score
from ocrkit.text.edits import operations
from ocrkit.text.strings import require_columns

# No address outside the page may be loaded, whatever a label says.
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">"""
_LOOK = """<style>
:root{color-scheme:light dark}
body{font:15px sans-serif;margin:16px}
#ok-filters{display:flex;flex-wrap:wrap;gap:12px;align-items:center;position:sticky;top:0;padding:8px 0;
 background:Canvas;z-index:1}
#ok-filters input[type=number]{width:4.5em}
#ok-cards>div{content-visibility:auto;contain-intrinsic-size:auto 220px auto 150px}
#ok-cards>div[hidden]{display:none}
</style>"""
_FILTERS = """<form id="ok-filters">
<label>text <input type="search" name="text" placeholder="in label or prediction"></label>
<label>show <select name="state"><option value="">all</option><option value="wrong">wrong</option>
<option value="right">right</option></select></label>
<label>kind of error <select name="kind"><option value="">any</option><option>substitute</option>
<option>insert</option><option>delete</option></select></label>
<label>confidence <input type="number" name="low" min="0" max="1" step="0.05" value="0"></label>
<label>to <input type="number" name="high" min="0" max="1" step="0.05" value="1"></label>
<label>sort <select name="sort"><option value="edits">most edits first</option>
<option value="sure">most confident first</option><option value="unsure">least confident first</option>
<option value="label">by label</option><option value="table">as in the table</option></select></label>
<button type="reset">reset</button> <output></output></form>"""
_SCRIPT = """<script>
const form = document.getElementById("ok-filters"), grid = document.getElementById("ok-cards");
const items = [...grid.children].map((box, i) => ({box, i, text: box.dataset.text.toLowerCase(),
  label: box.dataset.label, kinds: box.dataset.kinds.split(" "), edits: +box.dataset.edits,
  confidence: +box.dataset.confidence || 0}));
const orders = {edits: (a, b) => b.edits - a.edits || b.confidence - a.confidence,
  sure: (a, b) => b.confidence - a.confidence, unsure: (a, b) => a.confidence - b.confidence,
  label: (a, b) => a.label < b.label ? -1 : a.label > b.label ? 1 : 0, table: (a, b) => a.i - b.i};
function apply() {
  const want = Object.fromEntries(new FormData(form)), text = want.text.normalize("NFC").toLowerCase();
  const low = want.low === "" ? 0 : +want.low, high = want.high === "" ? 1 : +want.high;
  let shown = 0;
  for (const item of items) {
    const fits = item.text.includes(text) && (!want.kind || item.kinds.includes(want.kind)) &&
      (!want.state || (item.label && (item.edits > 0) === (want.state === "wrong"))) &&
      item.confidence >= low && item.confidence <= high;
    item.box.hidden = !fits;
    shown += fits;
  }
  grid.append(...items.sort((a, b) => orders[want.sort](a, b) || a.i - b.i).map(item => item.box));
  form.querySelector("output").value = shown + " of " + items.length + " images";
}
form.addEventListener("input", apply);
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("reset", () => setTimeout(apply));
apply();
</script>"""


def report(
    results: pd.DataFrame, path: str | Path = "errors.html", title: str = "Errors", height: int = 48, spans: bool = True
) -> Path:
    """Write the results table as one HTML page, with filters by text, kind of error, state and confidence.

    The images are inside the page, about 3 kB each, so it can be sent and opens from the disk. Without
    JavaScript all cards are still there. The file is written whole or not at all.

    Args:
        results: N rows with `text`, `prediction` and `confidence`. For a large set, write a part of it.
        height: height of the images on screen, in pixels.
        spans: draw on the image which columns each character was read from.

    Returns:
        The path of the page.

    Raises:
        ValueError: a column is missing, or the table has no rows.
        TypeError: a text or prediction is not text; the message names the row.

    Taught in notebook 05.
    """
    require_columns(results, "text", "prediction", "confidence")
    boxes = []
    texts, predictions = paired_texts(results["text"], results["prediction"])
    for row, text, prediction in zip(results.itertuples(), texts, predictions, strict=True):
        edits = operations(text, prediction) if text else []  # without a label, nothing is known to be wrong
        kinds = " ".join(sorted({edit.kind for edit in edits}))
        boxes.append(
            f'<div data-text="{escape(text)}&#10;{escape(prediction)}" data-label="{escape(text)}" '
            f'data-kinds="{kinds}" data-edits="{len(edits)}" data-confidence="{row.confidence:.4f}">'
            f"{card_html(row, height, spans)}</div>"
        )
    summary, labeled = f"{len(results):,} images", results[[text != "" for text in texts]]
    if len(labeled) < len(results):
        summary += f", {len(labeled):,} with a label"
    if len(labeled):
        rates = score(labeled).set_index("metric")["value"]
        summary += f", exact match {rates['accuracy']:.4f}, CER {rates['cer']:.4f}"
    page = f"""{_HEAD}<title>{escape(title)}</title>{STYLE}{_LOOK}</head>
<body><h1>{escape(title)}</h1><p>{summary}. Diff: label above, prediction below; x substitute, + insert, - delete.</p>
{_FILTERS}<div id="ok-cards" class="ok-grid">{"".join(boxes)}</div>{_SCRIPT}</body></html>
"""
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)
