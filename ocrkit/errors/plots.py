"""Plots of training runs; each function returns its figure, a `Picture`. See notebooks 03 and 11."""

import sys
from collections.abc import Callable
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure


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
