"""Shapes: what each layer of a network gives out, and which pixels a cell of it sees.

Taught in notebooks 03 and 06.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from ocrkit.reader.crnn import CRNN
from ocrkit.reader.hooks import observed

_SHOWN = (nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.LSTM, nn.Linear)


def _trace(model: CRNN) -> list[tuple[str, nn.Module, tuple]]:
    """(name, module, output shape) of each layer with weights or a window, in order of use."""
    steps, handles, device = [], [], next(model.parameters()).device

    def note(name):
        def hook(module, inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            steps.append((name, module, tuple(output.shape)))

        return hook

    try:
        for name, module in model.named_modules():
            if isinstance(module, _SHOWN):
                handles.append(module.register_forward_hook(note(name)))
        with observed(model), torch.no_grad():
            model(torch.zeros(1, model.in_channels, *model.image_size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return steps


def summary(model: CRNN) -> pd.DataFrame:
    """A table of the layers for one image: `layer`, `kind`, `output` shape, `parameters`; the last row is the total.

    The total counts every parameter, batch normalization (which has no row) included. Taught in notebook 03.
    """
    rows = [
        (name, type(module).__name__, " x ".join(map(str, out)), sum(p.numel() for p in module.parameters()))
        for name, module, out in _trace(model)
    ]
    total = sum(p.numel() for p in model.parameters())
    rows.append(("total", "", "", total))
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])
