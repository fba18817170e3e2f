"""What a network is made of: the shape that each layer gives out, its parameters, and how much is computed."""

import copy

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ocrkit.reader.crnn import CRNN
from ocrkit.reader.hooks import Hooks, observed

_SHOWN = (nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.LSTM, nn.Linear)


def summary(model: CRNN) -> pd.DataFrame:
    """A table of the layers for one image: `layer`, `kind`, `output` shape, `parameters`; the last row is the total.

    The total counts every parameter, batch normalization (which has no row) included. Taught in notebook 03.
    """
    shown = {name: module for name, module in model.named_modules() if isinstance(module, _SHOWN)}
    images = torch.zeros(1, model.in_channels, *model.image_size, device=next(model.parameters()).device)
    with observed(model), torch.no_grad(), Hooks(model, *shown) as hooks:
        model(images)
    rows = [
        (name, type(module).__name__, " x ".join(map(str, hooks[name].output.shape)), _parameters(module))
        for name, module in shown.items()
    ]
    rows.append(("total", "", "", _parameters(model)))
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def count_flops(model: nn.Module, shape: tuple[int, ...], backward: bool = False) -> int:
    """FLOPs (a product with its addition is two) of a forward pass over one batch of `shape`, and of the way back.

    Torch's `FlopCounterMode` counts convolutions and matrix products, those inside LSTMs too. Activations, pooling,
    batch norm and the loss compute little, and are left out. Taught in notebook 12.
    """
    # On "meta" tensors, which have a shape and no numbers, torch takes an LSTM apart into its matrix products. On a
    # real device it is a single operation, which the counter does not know.
    model = copy.deepcopy(model).to("meta")
    with FlopCounterMode(display=False) as counter:
        out = model(torch.empty(shape, device="meta"))
        out = out[0] if isinstance(out, tuple) else out
        if backward:
            out.sum().backward()
    return counter.get_total_flops()
