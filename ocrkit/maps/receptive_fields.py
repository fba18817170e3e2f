"""Receptive fields: which pixels a place of a layer sees, and where among them its center is. Taught in notebook 06.

They are found while the model runs: each convolution and pool that an image goes through says by its kernel, stride and
padding from where a place of its output comes. Place i of stride 16 has its center at 16 i + 8 pixels behind four pools
of 2 x 2, and at 16 i + 0.5 in a ResNet.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ocrkit.reader.hooks import Hook, find_layer, observed


class Cells(NamedTuple):
    """The n places of a layer along the rows or the columns of the image, in pixels; pixel 0 goes from 0 to 1.

    `start` and `end` `(n,)` are what a place sees, end excluded, cut to the image (`end` lies before `start` where that
    is padding alone); `center` `(n,)` is the middle of its window, uncut. `step` is the distance of the centers, and
    `reach` the length of a window, inf where it is not known.
    """

    start: np.ndarray
    end: np.ndarray
    center: np.ndarray
    step: float
    reach: float


class ReceptiveFields(TorchFunctionMode):
    """Follows the tensor `images` `(N, C, H, W)` through a model that is called with it in the block.

    Where ways meet (a shortcut, a feature pyramid), a place sees what any of them sees, with the center of the smallest
    window. What mixes places otherwise, as LSTMs and attention do, or turns them, is not followed: a time step keeps
    the center of its column. Where the way is lost (the rows of `crnn.Stretch`, an operation that is not PyTorch's
    own), places count as spread evenly over the image, and each as seeing all of it.
    """

    def __init__(self, images: Tensor):
        super().__init__()
        self.size = tuple(images.shape[-2:])
        pixels = (np.arange(n) for n in self.size)
        images._cells = tuple(Cells(p, p + 1, p + 0.5, 1.0, 1.0) for p in pixels)

    def of(self, values: Tensor, shape: tuple[int, int]) -> tuple[Cells, Cells]:
        """The rows and the columns of what a layer gave, which has `shape` = (h, w) places."""
        known = getattr(values, "_cells", (None, None))
        return tuple(
            cells if cells is not None and len(cells.center) == n else _spread(n, size)
            for cells, n, size in zip(known, shape, self.size)
        )

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        known = [t._cells for t in _tensors([args, list(kwargs.values())]) if hasattr(t, "_cells")]
        found = func(*args, **kwargs)
        if not known:
            return found
        outputs = list(_tensors(found))
        cells = tuple(map(_meet, zip(*known)))
        if func in _WINDOWS:
            settings = dict(kwargs)
            into = args[0] if args else settings.pop("input")
            if into.ndim == outputs[0].ndim == 4 and outputs[0].numel():
                windows = _WINDOWS[func](into.shape, outputs[0].shape, *args[1:], **settings)
                cells = tuple(_through(c, *w) for c, w in zip(self.of(into, into.shape[-2:]), windows))
        for output in outputs:
            output._cells = cells
        return found


def _tensors(values) -> Iterator[Tensor]:
    """The tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def _spread(n: int, size: int) -> Cells:
    """What is assumed of n places of which nothing is known."""
    step = size / n
    return Cells(np.zeros(n, int), np.full(n, size), (np.arange(n) + 0.5) * step, step, math.inf)


def _meet(ways: tuple[Cells, ...]) -> Cells:
    """The places of a sum, a product or a concatenation."""
    n = max(len(way.center) for way in ways)
    ways = [way for way in ways if len(way.center) in (1, n)]  # one place for all, as in squeeze and excitation
    small = min((way for way in ways if len(way.center) == n), key=lambda way: way.reach)
    for way in ways:
        small = small._replace(start=np.minimum(small.start, way.start), end=np.maximum(small.end, way.end))
    return small


def _through(cells: Cells, taps: np.ndarray, middle: np.ndarray, stride: float) -> Cells:
    """The places of an output, of which each takes the places `taps` `(n, k)` of its input, around `middle` `(n,)`.

    Places below 0 and beyond the last one are padding; the centers go on there at the same distance.
    """
    n = len(cells.center)
    center = np.interp(middle, np.arange(n), cells.center)
    center = center + cells.step * (np.minimum(middle, 0) + np.maximum(middle - (n - 1), 0))
    real, inside = (taps >= 0) & (taps < n), taps.clip(0, n - 1)
    start = np.where(real, cells.start[inside], cells.end.max()).min(1)
    end = np.where(real, cells.end[inside], 0).max(1)
    return Cells(start, end, center, cells.step * stride, cells.reach + cells.step * np.ptp(taps, 1).max())


# --- what is taken by one operation, along rows and columns: (taps, middle, stride) each, see `_through` ---


def _side(value, k: int):
    return value[k] if isinstance(value, (tuple, list)) and len(value) > 1 else np.ravel(value)[0]


def _window(into, out, kernel, stride, padding, dilation=1) -> list:
    found = []
    for k in (-2, -1):
        side, step, before, apart = (_side(v, k) for v in (kernel, stride, padding, dilation))
        taps = np.arange(out[k])[:, None] * step - before + apart * np.arange(side)
        found.append((taps, taps.mean(1), step))
    return found


def _conv(into, out, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> list:
    kernel = weight.shape[-2:]
    if isinstance(padding, str):
        same = [_side(dilation, k) * (kernel[k] - 1) // 2 for k in (-2, -1)]
        padding = same if padding == "same" else 0
    return _window(into, out, kernel, stride, padding, dilation)


def _conv_transpose(into, out, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> list:
    found = []
    for k in (-2, -1):
        step, before, apart = (_side(v, k) for v in (stride, padding, dilation))
        whole = np.arange(out[k])[:, None] + before - apart * np.arange(weight.shape[k])
        found.append((np.where(whole % step, -1, whole // step), whole.mean(1) / step, 1 / step))
    return found


def _max_pool(into, out, kernel_size, stride=None, padding=0, dilation=1, *others, **more) -> list:
    return _window(into, out, kernel_size, stride or kernel_size, padding, dilation)


def _avg_pool(into, out, kernel_size, stride=None, padding=0, *others, **more) -> list:
    return _max_pool(into, out, kernel_size, stride, padding)


def _adaptive_pool(into, out, *others, **more) -> list:
    found = []
    for k in (-2, -1):
        i = np.arange(out[k])
        first, last = i * into[k] // out[k], -(-(i + 1) * into[k] // out[k]) - 1
        taps = np.minimum(first[:, None] + np.arange((last - first).max() + 1), last[:, None])
        found.append((taps, (first + last) / 2, into[k] / out[k]))
    return found


def _interpolate(into, out, size=None, scale_factor=None, mode="nearest", align_corners=None, *others, **more) -> list:
    if mode == "area":
        return _adaptive_pool(into, out)
    found = []
    for k in (-2, -1):
        i, scale = np.arange(out[k]), into[k] / out[k]
        middle = (i + 0.5) * scale - 0.5
        if align_corners:
            middle = i * (into[k] - 1) / max(out[k] - 1, 1)
        elif mode.startswith("nearest"):
            middle = ((i + 0.5 * (mode == "nearest-exact")) * scale).astype(int)
        wide = np.arange(-1, 3) if mode == "bicubic" else np.arange(2)
        middle = middle.clip(0, into[k] - 1)
        taps = np.minimum(np.floor(middle)[:, None] + wide, np.ceil(middle)[:, None] + wide[-1] - 1).astype(int)
        found.append((taps.clip(0, into[k] - 1), middle, scale))
    return found


def _pad(into, out, pad, *others, **more) -> list:
    return _window(into, out, 1, 1, [pad[2] if len(pad) > 2 else 0, pad[0]])


_WINDOWS = {
    F.conv2d: _conv,
    F.conv_transpose2d: _conv_transpose,
    F.max_pool2d: _max_pool,
    F.max_pool2d_with_indices: _max_pool,
    torch.max_pool2d: _max_pool,
    F.avg_pool2d: _avg_pool,
    F.adaptive_avg_pool2d: _adaptive_pool,
    F.adaptive_max_pool2d: _adaptive_pool,
    F.adaptive_max_pool2d_with_indices: _adaptive_pool,
    F.interpolate: _interpolate,
    F.pad: _pad,
}


def places_of(values: Tensor | None, module: nn.Module, name: str, n: int) -> Tensor:
    """What a layer gave as `(N, C, H, W)`; a vector a time step `(T, N, D)` becomes `(N, D, 1, T)`.

    Raises a ValueError where the layer has no places, or the forward pass left it out.
    """
    if values is None:
        raise ValueError(f"layer {name!r} took no part in the forward pass")
    if values.ndim == 3 and getattr(module, "batch_first", False):
        values = values.transpose(0, 1)
    if values.ndim == 3 and values.shape[1] == n:
        values = values.permute(1, 2, 0)[:, :, None]
    if values.ndim != 4:
        raise ValueError(f"layer {name!r} gives {tuple(values.shape)}, which has no places; choose a convolution")
    return values


def seen_places(model: nn.Module, layer: str | nn.Module, images: Tensor) -> tuple[Tensor, tuple[Cells, Cells]]:
    """What a layer gives for images, `(N, C, h, w)`, and the rows and the columns of its places."""
    name, module = find_layer(model, layer)
    with observed(model), torch.no_grad(), Hook(module) as hook, ReceptiveFields(images) as fields:
        model(images)
        features = places_of(hook.output, module, name, len(images))
        return features, fields.of(hook.output, features.shape[-2:])


def receptive_field(model: nn.Module, layer: str | None = None, axis: str = "columns") -> pd.DataFrame:
    """Which pixel columns of the input each time step of a `CRNN` can see through the convolutions.

    With the dotted name of a `layer`, the places of its output are meant instead; `axis` may be `"rows"` too.

    Returns a row a time step: `step`, and the `start`, `end` and `center` of `Cells`. The LSTM after the convolutions
    mixes all steps; this is where a step looks first. Raises ValueError: the model has no such layer, its forward pass
    leaves it out, or there is no such axis. Taught in notebooks 03 and 06.
    """
    if axis not in ("columns", "rows"):
        raise ValueError(f'axis={axis!r}: it must be "columns" or "rows"')
    images = torch.zeros(1, model.in_channels, *model.image_size, device=next(model.parameters()).device)
    cells = seen_places(model, layer or "features", images)[1][axis == "columns"]
    return pd.DataFrame({"step": range(len(cells.center)), **dict(zip(("start", "end", "center"), cells))})
