"""How much a network computes, counted without computing it.

Taught in notebook 12.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_flops(model: nn.Module, shape: tuple[int, ...], backward: bool = False) -> int:
    """FLOPs (floating-point operations; a product with its addition is two) of a forward pass over one batch.

    Convolutions and matrix products are counted, those inside LSTMs too. Activations, pooling, batch norm and the loss
    are not: they compute little, though they take time to move their numbers.

    Args:
        shape: of the input, such as `(N, C, H, W)`; `(T, N, D)` for an LSTM.
        backward: add the backward pass to all weights. It is twice the forward pass, except that the first layer
            needs no gradient of the images.

    Counted by torch's `FlopCounterMode`. Taught in notebook 12.
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
