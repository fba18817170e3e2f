"""The page of `python -m tools.benchmarks.centers`, made from its records alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from tools.benchmarks.comparisons import MEASURES, PLAIN, compare_runs


def page(tasks: Mapping[str, Mapping]) -> str:
    """Summary and table of each task, as they are committed."""
    return "\n".join(f"## {task}\n\n{summary(kept)}\n\n{markdown(kept)}\n" for task, kept in tasks.items())


def summary(records: Mapping) -> str:
    """What was the same for all runs."""
    start, s = records["start"], records["settings"]
    return (
        f"All go on from one start, which reads {100 * start['accuracy']:.1f}% of the {s['test']} test images and "
        f"{100 * start['look_alikes']:.1f}% of their look-alikes, for {s['epochs']} epochs of {s['train']} images. "
        "Gains are points over plain CTC with the same seed: the mean, and the least to the most of all seeds."
    )


def markdown(records: Mapping) -> str:
    """The table of one task; a step costs times that of plain CTC."""
    lines = [
        "| variant | seeds | exact match | gain (least to most) | look-alikes right | gain (least to most) "
        "| taken for a brother | step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    tables = [compare_runs(records, measure) for measure in MEASURES]
    confused = 100 * pd.DataFrame(records["runs"]).groupby("variant")["confused"].mean()
    costs = records.get("step_ms", {})
    for name in tables[0].index:
        cells = [name, str(tables[0].seeds[name])]
        for row in (table.loc[name] for table in tables):
            cells.append(f"{row['mean']:.1f} ± {row.sd:.1f}")
            cells.append("" if name == PLAIN else f"{row.gain:+.2f} ({row.least:+.2f} to {row.most:+.2f})")
        cost = costs.get(name, math.nan) / costs.get(PLAIN, math.nan)
        lines.append(f"| {' | '.join(cells)} | {confused[name]:.1f} | x {cost:.2f} |")
    return "\n".join(lines)
