"""Plots of training runs and confidences; each function returns its figure, a `Picture`. See notebooks 03 and 11."""

import sys
from collections.abc import Callable, Mapping
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

#: Colors that color-blind eyes tell apart (Okabe and Ito), each with a mark of its own.
MARKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"))


class Picture(Figure):
    """A figure that a notebook shows even before pyplot was used, which is when figures get their display."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()


def plot_history(history: pd.DataFrame) -> Picture:
    """Draw what `fit` or `fit_glyphs` returned: the losses left; CER and accuracy on the validation set right."""
    figure = Picture(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(history["epoch"], history[["train_loss", "valid_loss"]], "o-", label=["training", "validation"])
    if "valid_cer" in history:
        right.plot(history["epoch"], history["valid_cer"], "o-", color="tab:red", label="CER")
    right.plot(history["epoch"], history["valid_accuracy"], "o-", color="tab:green", label="exact match")
    left.set(xlabel="epoch", ylabel="CTC loss" if "valid_cer" in history else "cross-entropy", yscale="log")
    right.set(xlabel="epoch", ylim=(-0.02, 1.02), title="validation")
    for axes in (left, right):
        axes.legend()
    return figure


class LiveFigure:
    """A figure in a notebook's output that is drawn over again, in the same place."""

    def __init__(self):
        self._display = None

    def show(self, draw: Callable[[], Picture]) -> bool:
        """Show the figure that `draw` gives; False, and nothing is drawn, outside of a notebook."""
        ipython = sys.modules.get("IPython")
        if ipython is None or ipython.get_ipython() is None:
            return False
        picture = ipython.display.Image(draw()._repr_png_())
        if self._display is None:
            self._display = ipython.display.display(picture, display_id=True)
        else:
            self._display.update(picture)
        return True


class LivePlot(LiveFigure):
    """Pass it to `fit` as `on_epoch`: redraws the curves after each epoch, or prints a line outside a notebook."""

    def __call__(self, history: pd.DataFrame) -> None:
        if not self.show(lambda: plot_history(history)):
            print(history.tail(1).to_string(index=False), flush=True)


def plot_lr_find(found: pd.DataFrame) -> Figure:
    """Draw what `lr_find` returned: loss against learning rate, with the suggestion marked."""
    figure = Picture(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(found["learning_rate"], found["loss"], color="0.8", label="each step")
    axes.plot(found["learning_rate"], found["smooth"], label="smoothed")
    rate = found.attrs["suggestion"]
    axes.axvline(rate, color="tab:red", linestyle="--", label=f"steepest fall: {rate:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, 2 * found["smooth"].iloc[0]))
    axes.legend()
    return figure


def plot_reliability(tables: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Picture:
    """Draw `calibration.reliability`: accuracy against confidence with 95% intervals, and below it how many readings.

    `tables` is one table or up to five with names. Below the gray line the model is too sure. Taught in notebook 11.
    """
    figure = Picture(figsize=(5, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    named = _named(tables)
    for (name, table), (color, mark) in zip(named.items(), MARKS):
        x, y = table["confidence"], table["accuracy"]
        bars = [y - table["accuracy_low"], table["accuracy_high"] - y]
        above.errorbar(x, y, bars, fmt=f"{mark}-", color=color, markersize=5, linewidth=1, capsize=2, label=name)
        below.vlines(x, 0, table["n"], color=color, linewidth=2, alpha=0.7)
        below.plot(x, table["n"], mark, color=color, markersize=4)
    above.set(ylabel="accuracy (95% interval)", ylim=(-0.02, 1.02), xlim=(-0.02, 1.02))
    most = max(table["n"].max() for table in named.values())
    below.set(xlabel="confidence, mean of the bin", ylabel="readings", ylim=(0, 1.15 * most))
    if named is tables:
        above.legend(fontsize=8, frameon=False)
    return figure


def plot_accept_reject(curves: pd.DataFrame | Mapping[str, pd.DataFrame], max_error: float | None = None) -> Picture:
    """Draw `calibration.accept_reject`: the error among accepted readings against how many are accepted.

    A dotted line is the upper limit of the error; a mark shows where it is below `max_error` for the last time, as in
    `threshold_for`. `curves` is one table or up to five with names. Taught in notebook 11.
    """
    figure = Picture(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    named = _named(curves)
    for (name, curve), (color, mark) in zip(named.items(), MARKS):
        some = curve[curve["n"] > 0]
        axes.plot(some["accepted"], some["error"], color=color, label=name)
        axes.plot(some["accepted"], some["error_high"], ":", color=color, linewidth=1)
        if max_error is not None:
            last = some[some["error_high"] <= max_error].tail(1)
            axes.plot(last["accepted"], last["error_high"], mark, color=color)
    if max_error is not None:
        axes.axhline(max_error, color="0.3", linestyle="--", linewidth=1)
        axes.annotate(f"{max_error:.1%}", (0.005, max_error), va="bottom", fontsize=8)
    all_of = ", ".join(f"{n:,}" for n in sorted({curve["n"].max() for curve in named.values()}))
    axes.set(xlabel=f"share of readings accepted, of {all_of}", ylabel="error (dotted: upper limit)", xlim=(0, 1.01))
    highest = max(curve["error_high"].iloc[-1] for curve in named.values())
    axes.set_ylim(0, 1.3 * max(highest, max_error or 0))
    if named is curves:
        axes.legend(fontsize=8, frameon=False)
    return figure


def _named(tables: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    return {"": tables} if isinstance(tables, pd.DataFrame) else tables
