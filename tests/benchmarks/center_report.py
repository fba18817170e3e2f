"""The table and the figure of `python -m tests.benchmarks.centers`, made from its records alone."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

PLAIN = "plain CTC"


def table(records: dict) -> pd.DataFrame:
    """A row a variant: over its seeds mean and standard deviation of exact match and look-alikes, the mean gain over
    plain CTC with the same seed with its least and most, all in points of 100; and the cost of a step, plain = 1.
    """
    runs = pd.DataFrame(records["runs"])
    plain = runs[runs["variant"] == PLAIN].set_index("seed")
    costs, rows = records.get("step_ms", {}), []
    for name, part in runs.groupby("variant", sort=False):
        part = part.set_index("seed")
        row = {"variant": name, "seeds": len(part)}
        for column in ("accuracy", "look_alikes"):
            gain = 100 * (part[column] - plain[column]).dropna()
            row |= {
                column: 100 * part[column].mean(),
                f"{column}_sd": 100 * part[column].std(),
                f"{column}_gain": gain.mean(),
                f"{column}_least": gain.min(),
                f"{column}_most": gain.max(),
            }
        row |= {"confused": 100 * part["confused"].mean(), "cost": costs.get(name, float("nan")) / costs.get(PLAIN, 1)}
        rows.append(row)
    return pd.DataFrame(rows)


def summary(records: dict) -> str:
    """What was the same for all runs."""
    start, s = records["start"], records["settings"]
    return (
        f"All go on from one start, which reads {100 * start['accuracy']:.1f}% of the {s['test']} test images and "
        f"{100 * start['look_alikes']:.1f}% of their look-alikes, for {s['epochs']} epochs of {s['train']} images. "
        "Gains are points over plain CTC with the same seed."
    )


def markdown(records: dict) -> str:
    """The table as it is committed."""
    lines = [
        "| variant | seeds | exact match | gain (least to most) | look-alikes right | gain (least to most) "
        "| taken for a brother | step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in table(records).itertuples():
        cells = [r.variant, str(r.seeds)]
        for c in ("accuracy", "look_alikes"):
            mean, sd, gain, least, most = (getattr(r, c + s) for s in ("", "_sd", "_gain", "_least", "_most"))
            cells.append(f"{mean:.1f} ± {sd:.1f}")
            cells.append("" if r.variant == PLAIN else f"{gain:+.2f} ({least:+.2f} to {most:+.2f})")
        lines.append(f"| {' | '.join(cells)} | {r.confused:.1f} | x {r.cost:.2f} |")
    return "\n".join(lines)


def figure(records: dict) -> Figure:
    """Gain over plain CTC with the same seed: a dot a seed, a bar for the mean; exact match left, look-alikes right."""
    runs, rows = pd.DataFrame(records["runs"]), table(records)
    plain, names = runs[runs["variant"] == PLAIN].set_index("seed"), [n for n in rows["variant"] if n != PLAIN]
    drawing = Figure(figsize=(9, 1.2 + 0.28 * len(names)), layout="constrained")
    for axes, column, title in zip(
        drawing.subplots(1, 2, sharey=True), ("accuracy", "look_alikes"), ("exact match of lines", "look-alikes right")
    ):
        for y, name in enumerate(names):
            part = runs[runs["variant"] == name].set_index("seed")
            gain = 100 * (part[column] - plain[column]).dropna()
            axes.plot(gain, [y] * len(gain), "o", color="tab:blue", alpha=0.6, markersize=5)
            axes.plot(gain.mean(), y, "|", color="black", markersize=14)
        axes.axvline(0, color="0.6", linewidth=1)
        axes.set(yticks=range(len(names)), yticklabels=names, xlabel="points over plain CTC", title=title)
    axes.invert_yaxis()
    return drawing
