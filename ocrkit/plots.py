"""Plots of a training run, and `Picture`, the figure that all plots of ocrkit are.

Each function returns the matplotlib figure and shows nothing by itself.

Taught in notebook 03.
"""

from __future__ import annotations

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
    left.plot(history["epoch"], history["train_loss"], "o-", label="training")
    left.plot(history["epoch"], history["valid_loss"], "o-", label="validation")
    left.set(xlabel="epoch", ylabel="CTC loss" if "valid_cer" in history else "cross-entropy", yscale="log")
    left.legend()
    if "valid_cer" in history:
        right.plot(history["epoch"], history["valid_cer"], "o-", color="tab:red", label="CER")
    right.plot(history["epoch"], history["valid_accuracy"], "o-", color="tab:green", label="exact match")
    right.set(xlabel="epoch", ylim=(-0.02, 1.02), title="validation")
    right.legend()
    return figure


class LiveFigure:
    """A figure in a notebook's output that is drawn over again, in the same place."""

    def __init__(self):
        self._display = None

    def show(self, draw: Callable[[], Picture]) -> bool:
        """Show the figure that `draw` gives; False, and nothing is drawn, outside of a notebook."""
        try:
            from IPython import get_ipython
            from IPython.display import Image, display
        except ImportError:
            get_ipython = lambda: None  # noqa: E731
        if get_ipython() is None:
            return False
        picture = Image(draw()._repr_png_())
        if self._display is None:
            self._display = display(picture, display_id=True)
        else:
            self._display.update(picture)
        return True


class LivePlot(LiveFigure):
    """Pass it to `fit` as `on_epoch`: redraws the curves in the notebook's output after each epoch.

    Outside a notebook it prints one line an epoch instead.
    """

    def __call__(self, history: pd.DataFrame) -> None:
        if not self.show(lambda: plot_history(history)):
            print_epoch(history)


def print_epoch(history: pd.DataFrame) -> None:
    """Print the last row of a history as one line; the `on_epoch` of the command line."""
    row = history.iloc[-1]
    valid = f"validation CER {row.valid_cer:.4f}" if "valid_cer" in row else f"validation loss {row.valid_loss:.3f}"
    print(
        f"epoch {row.epoch:.0f}: loss {row.train_loss:.3f}, {valid}, "
        f"exact {row.valid_accuracy:.4f}, {row.images_per_second:.0f} images/s",
        flush=True,
    )


def plot_lr_find(found: pd.DataFrame) -> Figure:
    """Draw what `lr_find` returned: loss against learning rate, with the suggestion marked."""
    figure = Picture(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(found["learning_rate"], found["loss"], color="0.8", label="each step")
    axes.plot(found["learning_rate"], found["smooth"], label="smoothed")
    rate = found.attrs["suggestion"]
    axes.axvline(rate, color="tab:red", linestyle="--", label=f"steepest fall: {rate:.1e}")
    highest = found["smooth"].iloc[0] * 2
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, highest))
    axes.legend()
    return figure
