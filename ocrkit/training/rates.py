"""The sweep behind the learning-rate finders, and the bar that all training shows.

Taught in notebook 03.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


def progress(items, label: str) -> tqdm:
    """A bar over the items, where bars are wanted: of several processes, in the first."""
    # The notebook's bar does not look at TQDM_DISABLE by itself; bars do not belong into outputs that are kept.
    off = bool(os.environ.get("TQDM_DISABLE")) or int(os.environ.get("RANK", 0)) > 0
    return tqdm(items, desc=label, leave=False, mininterval=0.5, disable=off)


def sweep_rates(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Callable[[], Tensor],
    rates: tuple[float, float],
    steps: int,
    otherwise: float,
) -> pd.DataFrame:
    """What `lr_find` does, for any model; `step` takes one training step and returns its loss.

    `rates` are the lowest and the highest; `otherwise` is suggested where there were too few steps to see a slope.
    """
    before = {name: t.clone() for name, t in model.state_dict().items()}
    lowest, highest = rates
    rows, mean = [], 0.0
    model.train()
    try:
        for k in progress(range(steps), "lr_find"):
            rate = lowest * (highest / lowest) ** (k / (steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = step().item()
            mean = 0.9 * mean + 0.1 * loss
            rows.append((rate, loss, mean / (1 - 0.9 ** (k + 1))))
            if not math.isfinite(loss) or rows[-1][2] > 4 * min(r[2] for r in rows):
                break
    finally:
        model.load_state_dict(before)
        model.eval()
    table = pd.DataFrame(rows, columns=["learning_rate", "loss", "smooth"])
    # Slope over a few steps: between neighbors it is mostly noise.
    slope = table["smooth"].diff(5)
    table.attrs["suggestion"] = float(table["learning_rate"][slope.idxmin()]) if slope.notna().any() else otherwise
    return table
