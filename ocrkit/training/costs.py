"""Costs: what one training step computes, moves and keeps in memory, counted on the CPU with a few images.

Every operation is counted: its FLOPs (floating-point operations; a multiplication with an addition is two) and the
bytes that it reads and writes. What that means on a device, `predictions` says. Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class _Count(TorchDispatchMode):
    """Notes each operation that runs: name -> calls, FLOPs, bytes read and written, time steps one after another."""

    def __init__(self):
        super().__init__()
        self.rows: dict[str, list[float]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet, name = func._overloadpacket, func._overloadpacket.__name__
        flops = flop_registry[packet](*args, **kwargs, out_val=out) if packet in flop_registry else 0
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
        size = 0 if func.is_view or name.startswith("empty") else sum(t.numel() * t.element_size() for t in tensors)
        steps = max(len(t) for t in tensors if t.ndim == 3) if "ctc_loss" in name else 0
        self.note(name, 1, flops, size, steps)
        return out

    def note(self, name: str, *values: float) -> None:
        self.rows[name] = [a + b for a, b in zip(self.rows.get(name, [0] * 4), values)]


def lstm_flops(steps: int, images: int, inputs: int, hidden: int, layers: int = 1, directions: int = 2) -> int:
    """FLOPs of an LSTM forward and backward: four gates of (inputs + hidden) products each, and twice that back."""
    widths = [inputs, *[directions * hidden] * (layers - 1)]
    return 3 * directions * sum(2 * steps * images * 4 * hidden * (width + hidden) for width in widths)


@contextmanager
def _lstms_by_formula(model: nn.Module, count: _Count) -> Iterator[None]:
    """Inside, LSTMs give a cheap stand-in of the right shape and are counted by formula.

    torch's formulas know the matrix products into which an LSTM falls apart on some machines, and not the one operation
    that it is on the others (oneDNN, cuDNN): there it would cost nothing.
    """

    def stand_in(lstm: nn.LSTM, x: Tensor) -> tuple[Tensor, None]:
        (steps, n, inputs), sides = x.shape, 1 + lstm.bidirectional
        flops = lstm_flops(steps, n, inputs, lstm.hidden_size, lstm.num_layers, sides)
        # Inputs, four gates, cell and output of each step, read or written once forward and twice backward.
        moved = 3 * steps * n * x.element_size() * lstm.num_layers * (inputs + sides * 6 * lstm.hidden_size)
        count.note("lstm", 3 * lstm.num_layers, flops, moved, 3 * steps * lstm.num_layers * sides)
        return x.mean(-1, keepdim=True).expand(-1, -1, sides * lstm.hidden_size), None

    lstms = [m for m in model.modules() if isinstance(m, nn.LSTM)]
    try:
        for lstm in lstms:
            lstm.forward = partial(stand_in, lstm)
        yield
    finally:
        for lstm in lstms:
            lstm.__dict__.pop("forward", None)


def operations(model: nn.Module, step: Callable[[], object]) -> pd.DataFrame:
    """What `step`, which runs `model`, does: a row a kind of operation, with `calls`, `flops`, `bytes` and `steps`.

    `bytes` are those read and written; `steps` the time steps that must follow one another. Taught in notebook 12.
    """
    count = _Count()
    with _lstms_by_formula(model, count), count:
        step()
    table = pd.DataFrame.from_dict(count.rows, "index", columns=["calls", "flops", "bytes", "steps"], dtype=float)
    return table.sort_values("bytes", ascending=False).rename_axis("operation")


def training_flops(model: nn.Module, shape: tuple[int, ...]) -> int:
    """FLOPs of one forward and backward pass over a batch of `shape`, such as `(N, C, H, W)`, LSTMs included.

    Counted as `torch.utils.flop_counter.FlopCounterMode` does, which misses LSTMs: convolutions and matrix products
    alone. Taught in notebook 12.
    """
    images = torch.zeros(shape, device=next(model.parameters()).device)
    return int(operations(model, lambda: model(images).sum().backward())["flops"].sum())


def saved_bytes(model: nn.Module, step: Callable[[], object]) -> int:
    """Bytes of all tensors that `step` keeps for its backward pass, the parameters of `model` aside."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, Tensor] = {}  # they stay alive, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in own:
            kept.setdefault(address, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(t.untyped_storage().nbytes() for t in kept.values())


def memory_bytes(
    model: nn.Module,
    shape: tuple[int, ...],
    bits: int = 32,
    states: int = 2,
    step: Callable[[int], object] | None = None,
) -> dict[str, float]:
    """Bytes that training holds: `weights`, `gradients`, `optimizer`, `activations`, and `total`.

    Activations are what a forward pass saves for the way back, measured with 2 and with 4 images and continued in a
    straight line. Weights stay in 32 bits, as under autocast, which keeps 16-bit copies of them until the step is over.

    Args:
        shape: of a batch, `(N, C, H, W)`.
        bits: 16 computes under autocast in bf16, 32 in float32.
        states: how many values the optimizer keeps a weight; Adam and AdamW 2.
        step: runs the model forward and backward with so many images; by default the sum of its outputs is the loss.

    Taught in notebook 12.
    """

    def plain(n: int) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
            model(torch.zeros(n, *shape[1:])).sum().backward()

    few, more = (saved_bytes(model, partial(step or plain, n)) for n in (2, 4))
    model.zero_grad()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    learned = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    activations = max(few + (more - few) / 2 * (shape[0] - 2), 0.0)
    parts = {"weights": weights, "gradients": learned, "optimizer": states * learned, "activations": activations}
    return parts | {"total": sum(parts.values())}
