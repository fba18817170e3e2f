"""The error browser over many results: first paint and each action, a part of `make bench`.

What is timed is Python's part, from a click to the last value that is handed to the page. The images are those of the
shipped samples, again and again; one row in five is wrong. On a busy machine, the time on the CPU is what to look at.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ocrkit.ctc.greedy import Span
from ocrkit.data.samples import load_samples
from ocrkit.errors.browser.browser import ErrorBrowser
from ocrkit.text.edits import operations


def results_table(n: int) -> pd.DataFrame:
    """`n` readings of the shipped plates, as `Recognizer.read` gives them; one in five has wrong characters."""
    rng = np.random.default_rng(0)
    samples = load_samples("plates")
    table = samples.iloc[np.arange(n) % len(samples)].reset_index(drop=True)
    readings = table["text"].tolist()
    for i in rng.choice(n, n // 5, replace=False).tolist():
        letters = list(readings[i])
        for k in rng.integers(0, len(letters), rng.integers(1, 3)).tolist():
            letters[k] = rng.choice(["", "0", "D", "8", "B", "皖", "X7"])
        readings[i] = "".join(letters)
    edits = [operations(t, p) for t, p in zip(table["text"], readings)]
    return table.assign(
        prediction=readings,
        confidence=rng.random(n),
        spans=[[Span(c, 8.0 * k, 8.0 * k + 8, 0.9) for k, c in enumerate(p)] for p in readings],
        error="",
        distance=[len(e) for e in edits],
        operations=edits,
        brightness=rng.random(n),
    )


def browser_times(n: int) -> dict[str, dict[str, float]]:
    """Action -> milliseconds by the clock (`ms`) and on the CPU (`cpu_ms`), of its slowest try, over `n` results."""
    results = results_table(n)
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder, "marks.json")
        ErrorBrowser(results.head(100), marks=marks)._repr_mimebundle_()  # imports
        gc.collect()  # of what making the table left behind, or it falls to one of the actions by chance
        times = {}

        def measure(name: str, *acts: Callable[[], object]) -> None:
            wall, own = [], []
            for act in acts:
                started = time.perf_counter(), time.process_time()
                act()
                wall.append(time.perf_counter() - started[0])
                own.append(time.process_time() - started[1])
            times[name] = {"ms": 1000 * max(wall), "cpu_ms": 1000 * max(own)}

        browser = ErrorBrowser(results.head(1), marks=None)

        def first_paint():
            nonlocal browser
            browser = ErrorBrowser(results, marks=marks)
            browser._repr_mimebundle_()

        def put(widget, *values):
            return [lambda value=value: setattr(widget, "value", value) for value in values]

        measure("first paint", first_paint)
        view = browser.view
        measure("next page", *3 * [view.pager[2].click])
        measure("last page", view.pager[3].click)
        measure("select an image", *(view._card_button[i].click for i in (3, 1, 2)))
        measure("spans on, off", *put(view.spans, True, False, True))
        measure("first mark (the marks file is made)", view.marks["fine"].click)
        measure("mark", view.marks["unreadable"].click, view.marks["exclude"].click, view.marks["wrong label"].click)
        measure("undo", *2 * [view.undo.click])
        measure("show", *put(view.show, "all", "right", "marked"), *put(view.show, "all"))
        measure("kind of edit", *put(view.kind, "insert", "delete", "any"))
        measure("text, letter by letter", *put(view.text, "皖", "皖A", "皖A1", ""))
        measure("split", *put(view.split, "test", "train", view.split.options[0][1]))
        measure("slice by a column (first use)", *put(view.column, "province", "brightness"))
        measure("slice value", *put(view.value, *list(browser.values("brightness"))[:3]))
        measure("confidence", *put(view.confidence, (0.2, 1.0), (0.2, 0.9), (0.0, 1.0)))
        measure("reset", view.reset.click)
        cells = [cell for line in view._cells for cell in line if not cell.disabled][:2]
        measure("click on a confusion", *(cell.click for cell in cells), view.any_pair.click)
        measure("sort (first use)", *put(view.sort, "label", "highest CER first", "reading", "least sure first"))
        measure("sort", *put(view.sort, "label", "highest CER first", "reading"))
        measure("key", *put(view.keys, "n", "nj", "njp"))
    return times
