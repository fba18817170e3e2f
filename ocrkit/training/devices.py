"""Devices: peaks, bandwidth and memory of graphics cards by their data sheets, and of this machine by measuring.

Taught in notebook 12.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch
from torch import nn

from ocrkit.training.costs import operations
from ocrkit.training.step import autocast_dtype

Range = tuple[float, float]
GIGA, TERA = 1e9, 1e12


@dataclass(frozen=True)
class Device:
    """What a device can do, and which share of it such networks get.

    Args:
        peak: bits (16 or 32) -> FLOP/s of matrix products, dense.
        bandwidth: of its memory, in bytes a second.
        memory: in bytes.
        shares: kind of operation -> lowest and highest share of the peak; "traffic" is the share of the bandwidth.
        call: seconds in which the host starts one operation.
        step: seconds that one time step of an LSTM takes at least, however few images there are.
        beside: the host starts operations while the device still works on earlier ones, as with a graphics card.
        scaling: how many times as fast as one card; other than 1 where there are several.
    """

    name: str
    peak: dict[int, float]
    bandwidth: float
    memory: float
    shares: dict[str, Range]
    call: Range
    step: Range
    beside: bool = True
    scaling: Range = (1.0, 1.0)


#: Rows and columns of the matrices whose product shows the peak.
_MATRIX = 1024

#: Assumptions for graphics cards, until `measure_device` has run on one. Layers of 48 to 256 channels do not fill their
#: tensor cores; kernels that only move data reach most of the bandwidth; PyTorch starts an operation in microseconds.
_SHARES = {"convolution": (0.08, 0.4), "matrix": (0.1, 0.6), "lstm": (0.03, 0.25), "traffic": (0.5, 0.85)}
_CARD = partial(Device, shares=_SHARES, call=(4e-6, 12e-6), step=(4e-6, 15e-6))
_T4 = _CARD("T4", {16: 65 * TERA, 32: 8.1 * TERA}, 300 * GIGA, 16 * GIGA)
_A100 = {16: 312 * TERA, 32: 19.5 * TERA}
#: Peaks, bandwidth and memory as NVIDIA's data sheets give them, without sparsity, 32 bits without TF32:
#: https://www.nvidia.com/en-us/data-center/ + tesla-t4, l4, a100, h200. "2xT4" is Kaggle's pair, half of a batch each;
#: that the second card adds 60 to 95% is an assumption.
DEVICES = {
    device.name: device
    for device in (
        _T4,
        replace(_T4, name="2xT4", scaling=(1.6, 1.95)),
        _CARD("L4", {16: 121 * TERA, 32: 30.3 * TERA}, 300 * GIGA, 24 * GIGA),
        _CARD("A100-40", _A100, 1555 * GIGA, 40 * GIGA),
        _CARD("A100-80", _A100, 2039 * GIGA, 80 * GIGA),
        _CARD("H200", {16: 989 * TERA, 32: 67 * TERA}, 4800 * GIGA, 141 * GIGA),
    )
}


def measure_device(device: str | torch.device = "cpu", tries: int = 5) -> Device:
    """Measure this machine's processor, or a graphics card, in half a minute: peaks by a matrix product and a copy.

    The shares are those that small layers get of them, forward and backward: two convolutions, batch norm with its
    neighbors, an LSTM. So predictions for this machine assume only that a network is made of such layers. The shortest
    of `tries` counts; with fewer it is quicker, and sees more of what else the machine does.
    """
    device = torch.device(device)
    dtypes = {32: torch.float32}
    if half := autocast_dtype(device):
        dtypes[16] = half
    bits = min(dtypes)
    peak = {}
    for width, dtype in dtypes.items():
        a = torch.rand(_MATRIX, _MATRIX, device=device, dtype=dtype)
        peak[width] = 2 * _MATRIX**3 / _seconds(lambda a=a: a @ a, device, tries)
    block, other = torch.rand(2, 16 * 2**20, device=device)
    bandwidth = 2 * block.numel() * block.element_size() / _seconds(lambda: other.copy_(block), device, tries)

    def probe(model: nn.Module, *shape: int) -> tuple[float, pd.Series]:
        """Seconds of a training step, and what it does in all."""
        model = model.to(device, memory_format=torch.channels_last)
        x = torch.rand(shape, device=device, requires_grad=True)
        x = x.to(memory_format=torch.channels_last) if len(shape) == 4 else x

        def step() -> None:
            with torch.autocast(device.type, dtypes[bits], enabled=bits == 16):
                out = model(x)
            (out[0] if isinstance(out, tuple) else out).float().sum().backward()

        return _seconds(step, device, tries), operations(model, step).sum()

    shares = []
    for c_in, c_out, height in ((64, 128, 8), (192, 192, 4)):
        seconds, total = probe(nn.Conv2d(c_in, c_out, 3, 1, 1), 64, c_in, height, 24)
        shares.append(float(total["flops"]) / seconds / peak[bits])
    norm = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))
    seconds, total = probe(norm, 64, 64, 16, 48)
    traffic = float(total["bytes"]) / seconds / bandwidth
    seconds, total = probe(nn.LSTM(384, 128, bidirectional=True), 24, 128, 384)
    lstm = float(total["flops"]) / seconds / peak[bits]
    alone, total = probe(nn.LSTM(8, 8, bidirectional=True), 24, 1, 8)
    step = alone / float(total["steps"])
    small = nn.Sequential(*(nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(6)))
    seconds, total = probe(small, 2, 8, 4, 4)
    call = seconds / float(total["calls"])
    if device.type == "cuda":
        name, memory = torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory
    else:
        name, memory = f"this processor, {torch.get_num_threads()} threads", _host_memory()
    kinds = {"convolution": (min(shares), max(shares)), "matrix": (min(lstm, 1.0), 1.0)}
    kinds |= {"lstm": (0.8 * lstm, 1.2 * lstm), "traffic": (0.7 * traffic, 1.3 * traffic)}
    times = {"call": (0.7 * call, 1.5 * call), "step": (0.5 * step, step)}
    return Device(name, peak, bandwidth, memory, kinds, **times, beside=device.type == "cuda")


def _seconds(work: Callable[[], object], device: torch.device, tries: int) -> float:
    """The shortest of `tries`, each of as many rounds as take a twentieth of a second."""

    def rounds(n: int) -> float:
        started = time.perf_counter()
        for _ in range(n):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - started) / n

    rounds(1)
    n = max(1, int(0.05 / max(rounds(1), 1e-6)))
    return min(rounds(n) for _ in range(tries))


def _host_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        return float("nan")
