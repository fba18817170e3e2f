"""Variants of a training, compared seed by seed with the plain one: tables and a figure from the records of the runs.

Records are what `python -m tools.benchmarks.centers` writes for one task: a mapping whose `runs` are rows with
`variant`, `seed` and measures from 0 to 1.

Notebook 07 computes the same from the records.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ocrkit.errors.plots import Picture

#: Colors that color-blind eyes tell apart (Okabe and Ito), each with a mark of its own.
MARKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"))
PLAIN = "plain CTC"
MEASURES = {"accuracy": "exact match", "look_alikes": "look-alikes right"}
#: Student's t for n = 2, 3, ... 10 values: 95% of their means lie within so many standard errors of the true one.
T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


def seed_gains(records: Mapping, measure: str = "look_alikes", plain: str = PLAIN) -> pd.DataFrame:
    """What each run has over the plain run with the same seed, in points of 100: a row a variant, a column a seed.

    NaN where a run or its plain run is missing. Raises ValueError where there is no plain run at all.
    """
    runs = pd.DataFrame(records["runs"], columns=["variant", "seed", measure])
    values = runs.pivot(index="variant", columns="seed", values=measure).reindex(runs["variant"].unique())
    if plain not in values.index:
        raise ValueError(f"there is no run of {plain!r} to compare with; the records have: {'; '.join(values.index)}")
    return 100 * (values - values.loc[plain])


def compare_runs(records: Mapping, measure: str = "look_alikes", plain: str = PLAIN) -> pd.DataFrame:
    """One measure over the seeds, in points of 100.

    Runs with one seed share what chance does to both, so differences within a seed say more than two means.

    Returns:
        A row a variant: `seeds`; `mean` and `sd` of the measure; of the gain over the plain run with the same seed its
        mean `gain`, the `least` and the `most`, and `half_width`: the true gain lies in `gain ± half_width` with 95%
        confidence if gains are normally distributed (Student's t; beyond ten seeds a little too wide).

    Raises:
        ValueError: there is no plain run.
    """
    by = pd.DataFrame(records["runs"]).groupby("variant", sort=False)[measure]
    gains = seed_gains(records, measure, plain)
    n = gains.count(axis=1)
    t = n.map(lambda k: T95[min(k - 2, len(T95) - 1)] if k > 1 else float("nan"))
    return pd.DataFrame(
        {
            "seeds": by.count(),
            "mean": 100 * by.mean(),
            "sd": 100 * by.std(),
            "gain": gains.mean(axis=1),
            "least": gains.min(axis=1),
            "most": gains.max(axis=1),
            "half_width": t * gains.std(axis=1) / n**0.5,
        }
    )


def plot_comparison(tasks: Mapping[str, Mapping], plain: str = PLAIN) -> Picture:
    """Draw the gains of `tasks`, name -> records: a row of panels a task, a mark a seed, a bar for the mean."""
    gains = {(task, m): seed_gains(kept, m, plain).drop(index=plain) for task, kept in tasks.items() for m in MEASURES}
    heights = [0.9 + 0.28 * len(gains[task, "accuracy"]) for task in tasks]
    figure = Picture(figsize=(9, 0.3 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(tasks), len(MEASURES), sharey="row", squeeze=False, height_ratios=heights)
    for axes, ((task, measure), found) in zip(panels.flat, gains.items()):
        for k, (seed, column) in enumerate(found.items()):
            color, mark = MARKS[k % len(MARKS)]
            axes.plot(column, range(len(column)), mark, color=color, alpha=0.7, markersize=5, label=f"seed {seed}")
        axes.plot(found.mean(axis=1), range(len(found)), "|", color="black", markersize=14, label="mean")
        axes.axvline(0, color="0.6", linewidth=1)
        axes.set(xlabel=f"points over {plain}", title=f"{task}: {MEASURES[measure]}")
        axes.set(yticks=range(len(found)), yticklabels=found.index, ylim=(len(found) - 0.5, -0.5))
    labeled = dict(zip(*reversed(panels[0, 0].get_legend_handles_labels())))
    figure.legend(labeled.values(), labeled, loc="outside lower center", ncols=len(labeled), fontsize=8, frameon=False)
    return figure
