"""Variants compared seed by seed: gains, their spread and interval, the figure."""

import json
import math
import statistics
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from ocrkit.data import platforms
from tools.benchmarks.comparisons import T95, compare_runs, plot_comparison, seed_gains

READ = {
    "plain CTC": {0: 0.60, 1: 0.70, 2: 0.80},
    "center 0.1": {0: 0.66, 1: 0.72, 2: 0.81},
    "focal CTC": {1: 0.69},
}


def records(read=READ):
    runs = [(name, seed, value) for name, by in read.items() for seed, value in by.items()]
    return {"runs": [{"variant": n, "seed": s, "accuracy": v / 2, "look_alikes": v} for n, s, v in runs]}


def test_each_run_is_compared_with_the_plain_run_of_its_seed():
    gains = seed_gains(records())
    assert list(gains.index) == list(READ) and list(gains.columns) == [0, 1, 2]
    assert gains.loc["center 0.1"].tolist() == pytest.approx([6, 2, 1])
    assert gains.loc["focal CTC"].isna().tolist() == [True, False, True] and gains.loc["focal CTC", 1] == pytest.approx(
        -1
    )
    assert seed_gains(records(), "accuracy").loc["center 0.1"].tolist() == pytest.approx([3, 1, 0.5])


def test_table_has_mean_and_spread_over_seeds():
    row = compare_runs(records()).loc["center 0.1"]
    assert (row.seeds, row["mean"], row.gain, row.least, row.most) == pytest.approx((3, 73, 3, 1, 6))
    assert row.sd == pytest.approx(statistics.stdev([66, 72, 81]))
    assert row.half_width == pytest.approx(4.30 * statistics.stdev([6, 2, 1]) / math.sqrt(3))


def test_one_seed_has_no_spread_and_a_run_without_a_plain_one_no_gain():
    one = compare_runs(records()).loc["focal CTC"]
    assert one.seeds == 1 and one.gain == pytest.approx(-1) and math.isnan(one.sd) and math.isnan(one.half_width)
    alone = compare_runs(records(READ | {"late": {3: 0.5}})).loc["late"]
    assert alone.seeds == 1 and math.isnan(alone.gain)


def test_ten_and_more_seeds_use_the_last_quantile():
    read = {"plain CTC": dict.fromkeys(range(12), 0.5), "center 0.1": {s: 0.5 + 0.01 * (s % 3) for s in range(12)}}
    gains = [s % 3 for s in range(12)]
    expected = T95[-1] * statistics.stdev(gains) / math.sqrt(12)
    assert compare_runs(records(read)).half_width["center 0.1"] == pytest.approx(expected)


@pytest.mark.parametrize("n", range(2, 11))
def test_quantiles_hold_95_percent_of_student_t(n):
    points = torch.linspace(-T95[n - 2], T95[n - 2], 20_001, dtype=torch.float64)
    inside = torch.trapezoid(torch.distributions.StudentT(n - 1.0).log_prob(points).exp(), points)
    assert inside.item() == pytest.approx(0.95, abs=5e-4)


def test_without_a_plain_run_the_message_says_what_there_is():
    with pytest.raises(ValueError, match="no run of 'plain CTC' to compare with; the records have: focal CTC"):
        compare_runs(records({"focal CTC": {0: 0.5}}))


def test_figure_has_a_row_a_task_and_a_mark_a_seed():
    figure = plot_comparison({"look-alikes": records(), "plates": records()})
    assert [axes.get_title() for axes in figure.axes] == [
        f"{task}: {measure}" for task in ("look-alikes", "plates") for measure in ("exact match", "look-alikes right")
    ]
    right = figure.axes[1]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["center 0.1", "focal CTC"]
    drawn = {line.get_label(): list(line.get_xdata()) for line in right.lines}
    assert [drawn[f"seed {s}"][0] for s in range(3)] == pytest.approx([6, 2, 1]) and drawn["mean"] == pytest.approx(
        [3, -1]
    )
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["seed 0", "seed 1", "seed 2", "mean"]


def test_notebook_07_computes_the_same_from_the_record():
    """Its cells are run as they stand, and the tables that they show compared with ours."""
    cells = nbformat.read(platforms.COURSE / "notebooks" / "07_center_loss.ipynb", 4).cells
    record = next(c.source for c in cells if c.cell_type == "code" and "def gains(" in c.source)
    table = next(c.source for c in cells if c.cell_type == "code" and "def over_seeds(" in c.source)
    names = {"look_alikes": "look-alikes right", "accuracy": "exact match", "astray": "nearer to a brother"}
    space = {"json": json, "pd": pd, "platforms": platforms, "MEASURES": names, "display": lambda _: None}
    exec(record, space)
    exec(table, space)
    records = json.loads(Path(platforms.COURSE, "data", "records", "centers.json").read_text(encoding="utf-8"))
    assert space["T_95"] == T95[3 - 2]
    for task, kept in records.items():
        for measure in names:
            theirs, ours = space["over_seeds"](task, measure), compare_runs(kept, measure)
            assert list(theirs.index) == list(ours.index)
            expected = ours[["mean", "gain", "half_width", "least", "most"]]
            assert np.allclose(theirs, expected, atol=1e-9)
