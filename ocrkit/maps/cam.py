"""Heat maps: which pixels speak for a class, or for one character of a text. All leave the model as it was.

What is explained is a target (`targets`): scores `(N,)`, or `(N, M)` for M characters an image. The maps have the
scores' shape with `(H, W)` behind: what a layer gives at few places is enlarged, with each place at the center of its
receptive field. Taught in notebook 06.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ocrkit.data.images import read_sample
from ocrkit.data.sizes import fit_size
from ocrkit.maps.receptive_fields import Cells, ReceptiveFields, places_of, seen_places
from ocrkit.maps.targets import Target, class_target, text_target
from ocrkit.reader.device import normalize_images
from ocrkit.reader.hooks import Hook, find_layer, observed
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.reading_order import visual_order
from ocrkit.text.strings import normalize


def activation_map(model: nn.Module, images: Tensor, layer: str | nn.Module) -> np.ndarray:
    """The mean over the channels of what a layer gives: where it responds at all, `(N, H, W)`. It has no target.

    `images` are `(N, C, H, W)`, uint8 (then scaled as a `Recognizer` does) or floats as the model takes them; `layer`,
    a dotted name or a module, gives `(N, C', H', W')`, or, as an LSTM, a vector a time step.
    """
    features, cells = seen_places(model, layer, prepare(model, images))
    return _enlarge(features.mean(1), cells, images.shape[-2:])


def grad_cam(model: nn.Module, images: Tensor, layer: str | nn.Module, target: Target | int) -> np.ndarray:
    """Grad-CAM: the channels of a layer, each weighted by its mean gradient; what is negative counts as 0.

    `images` and `layer` are as for `activation_map`, `target` is what to explain; a number is a class. Returns maps
    `(N, H, W)` or `(N, M, H, W)`, as the scores of the target, by one backward pass a character.

    Source: Selvaraju et al. (2017), https://arxiv.org/abs/1610.02391. Taught in notebook 06.
    """
    return _cam(model, images, layer, target, lambda features, gradients: gradients.mean((2, 3), keepdim=True))


def grad_cam_plus_plus(model: nn.Module, images: Tensor, layer: str | nn.Module, target: Target | int) -> np.ndarray:
    """Grad-CAM++: as `grad_cam`, with weights that do not fade where a channel responds in several places.

    Source: Chattopadhay et al. (2018), https://arxiv.org/abs/1710.11063, equation 19 divided by g squared.
    Taught in notebook 06.
    """

    def weights(features: Tensor, gradients: Tensor) -> Tensor:
        # Made for layers after a ReLU: a channel with a negative sum counts as one with 0.
        gradients = gradients.relu()
        return (gradients / (2 + gradients * features.sum((2, 3), keepdim=True).relu())).sum((2, 3), keepdim=True)

    return _cam(model, images, layer, target, weights)


def hires_cam(model: nn.Module, images: Tensor, layer: str | nn.Module, target: Target | int) -> np.ndarray:
    """HiResCAM: as `grad_cam`, but each place of a channel is weighted by its own gradient, not by the mean.

    A channel that helps to read one character also responds to others in the text, and Grad-CAM then marks them all.

    Source: Draelos and Carin (2020), https://arxiv.org/abs/2011.08891. Taught in notebook 06.
    """
    return _cam(model, images, layer, target, lambda features, gradients: gradients)


def _cam(model, images, layer, target, weights: Callable[[Tensor, Tensor], Tensor]) -> np.ndarray:
    name, module = find_layer(model, layer)
    images, target = prepare(model, images), target if callable(target) else class_target(target)
    with observed(model), Hook(module) as hook:
        # A model with frozen weights has gradients too, if they are asked for by the image.
        images = images.clone().requires_grad_()
        with ReceptiveFields(images) as fields:
            output = model(images)
        scores = target(output, torch.arange(len(images)))
        features, columns, maps = hook.output, scores.reshape(len(images), -1), []
        shown = places_of(features, module, name, len(images))
        cells = fields.of(features, shown.shape[-2:])
        for m in range(columns.shape[1]):
            (gradient,) = torch.autograd.grad(columns[:, m].sum(), features, retain_graph=True, allow_unused=True)
            if gradient is None:
                raise ValueError(f"the score does not depend on layer {name!r}; choose one that leads to the output")
            weight = weights(shown, places_of(gradient, module, name, len(images)))
            maps.append((weight * shown).sum(1).relu().detach())
    large = np.zeros((*scores.shape, *fields.size), np.float32)
    if maps:
        large = np.stack([_enlarge(m, cells, fields.size) for m in maps], 1).reshape(large.shape)
    large[torch.isnan(scores).cpu().numpy()] = np.nan  # where there is no character
    return large


@torch.no_grad()
def occlusion_map(
    model: nn.Module,
    images: Tensor,
    target: Target | int,
    box: tuple[int, int] = (8, 8),
    stride: tuple[int, int] = (4, 4),
    fill: float = 0.0,
) -> np.ndarray:
    """How far the score falls when a box covers a pixel: the mean over all boxes that cover it; below 0 it rises.

    It needs no gradients and no layer, and many forward passes. Maps as of `grad_cam`.

    `box` and `stride` are (height, width) in pixels of the box, and of its steps; `fill` is the value of covered
    pixels, as the model takes them: 0 is mid-gray for a `Recognizer`.

    Source: Zeiler and Fergus (2014), https://arxiv.org/abs/1311.2901. Taught in notebook 06.
    """
    images, target = prepare(model, images), target if callable(target) else class_target(target)
    n, _, height, width = images.shape
    box = min(box[0], height), min(box[1], width)
    tops, lefts = (
        sorted({*range(0, size - side + 1, step), size - side})
        for size, side, step in zip((height, width), box, stride)
    )
    covers = torch.zeros(len(tops) * len(lefts), 1, height, width, dtype=torch.bool, device=images.device)
    for k, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        covers[k, :, top : top + box[0], left : left + box[1]] = True
    with observed(model), torch.no_grad():
        whole = target(model(images), torch.arange(n))
        drops = [whole[i] - covered_scores(model, images, target, i, covers, fill) for i in range(n)]
    drops = torch.stack(drops, 1).reshape(len(covers), -1)  # (P, N * M)
    seen = covers[:, 0].flatten(1).to(drops.dtype)
    maps = (drops.T @ seen) / seen.sum(0)
    return maps.reshape(*whole.shape, height, width).cpu().numpy()


def covered_scores(model: nn.Module, images: Tensor, target: Target, row: int, covers: Tensor, fill: float) -> Tensor:
    """The scores `(P,)` or `(P, M)` of one image, covered with `fill` where `covers` `(P, 1, H, W)` are true."""
    parts = covers.split(128)
    return torch.cat([target(model(torch.where(p, fill, images[row])), torch.full((len(p),), row)) for p in parts])


#: Name -> function of (model, images, layer, target), for `character_maps` and `ocrkit.maps.checks`.
METHODS: dict[str, Callable] = {
    "hires_cam": hires_cam,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "occlusion": lambda model, images, layer, target: occlusion_map(model, images, target),
    "activation": lambda model, images, layer, target: activation_map(model, images, layer),
}


def method_named(name: str) -> Callable:
    """The function of `METHODS`; raises a ValueError that names them where there is none."""
    if name not in METHODS:
        raise ValueError(f"no method is named {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]


@dataclass(frozen=True)
class CharacterMaps:
    """The maps of one image, as `character_maps` makes them."""

    image: np.ndarray  # uint8, as it was given
    text: str
    frames: list[tuple[int, int]]  # the time steps of each character of the text
    maps: np.ndarray  # (M, H, W), as large as the image of the model: what speaks for each character
    method: str
    layer: str
    order: list[int]  # the places of the characters in `text`, as they stand from left to right


def feature_layers(model: nn.Module) -> list[str]:
    """Names of the layers in `model.features` whose maps can be shown: each ReLU, the first layer first."""
    return [name for name, m in model.named_modules() if isinstance(m, (nn.ReLU, nn.LeakyReLU)) and "features" in name]


def character_maps(
    recognizer: Recognizer,
    image,
    method: str = "hires_cam",
    layer: str | None = None,
    text: str | None = None,
    scale: str = "log_prob",
) -> CharacterMaps:
    """A map for each character that is read in one image. Taught in notebook 06.

    Args:
        image: a row of a samples table, a path, or a uint8 array `(H, W, 3)` or `(H, W)`.
        method: a key of `METHODS`; `scale`: as for `class_target`.
        layer: dotted name; by default the last of `feature_layers`.
        text: explain this text instead of the one that is read, for instance the label.

    Raises ImageError: the image cannot be read; ValueError: no such method or layer, or a text that cannot be written.
    """
    pixels, tensor = read_one(recognizer, image)
    target, (alignment,) = text_target(recognizer, tensor, None if text is None else [text], scale)
    layer = layer or feature_layers(recognizer.model)[-1]
    maps = method_named(method)(recognizer.model, tensor, layer, target)
    tokenizer = recognizer.tokenizer
    if method == "activation":  # one map for all characters
        maps = np.broadcast_to(maps[:, None], (1, len(alignment.frames), *maps.shape[-2:]))
    if text is None or tokenizer.unknown == "drop":
        text = tokenizer.decode(alignment.path, collapse=True)
    text = normalize(text)
    order = [k for k, _ in visual_order(text)] if tokenizer.order == "visual" else list(range(len(text)))
    places = np.argsort(order).tolist()  # of each character of the text, counted from the left
    frames = [alignment.frames[place] for place in places]
    return CharacterMaps(pixels, text, frames, maps[0][places], method, layer, order)


def read_one(recognizer: Recognizer, image) -> tuple[np.ndarray, Tensor]:
    """One image (as for `character_maps`) to show, and as the recognizer sees it: `(1, C, H, W)` uint8.

    An image that is squeezed is shown as it is; one that is padded with its padding, so that columns are time steps.
    """
    row = SimpleNamespace(image=image) if isinstance(image, (str, os.PathLike, np.ndarray)) else image
    pixels = read_sample(row, recognizer.mode)
    small, _ = fit_size(pixels, recognizer.image_size, recognizer.resize)
    pixels = small if recognizer.resize == "pad" else pixels
    return pixels, torch.from_numpy(np.ascontiguousarray(small.reshape(*small.shape[:2], -1).transpose(2, 0, 1)))[None]


def prepare(model: nn.Module, images: Tensor) -> Tensor:
    """Images as the model takes them, where it is: uint8 is scaled as a `Recognizer` does, floats stay."""
    images = images.detach().to(next(model.parameters()).device)
    return images if images.is_floating_point() else normalize_images(images)


def _enlarge(maps: Tensor, cells: tuple[Cells, Cells], size: tuple[int, int]) -> np.ndarray:
    """Small maps `(N, h, w)` to `(N, H, W)`: each place stands at its center, and between centers it is linear."""
    rows, columns = (_between(c.center, n).to(maps.device) for c, n in zip(cells, size))
    return (rows @ (maps.float() @ columns.T)).cpu().numpy()


def _between(centers: np.ndarray, size: int) -> Tensor:
    """`(size, n)`: how much of each of n places a pixel has; beyond the outer centers, all of the outer place."""
    places, which = np.unique(centers, return_inverse=True)  # places with one center share it
    shares = np.eye(len(places))[:, which] / np.bincount(which)[:, None]
    near = np.stack([np.interp(np.arange(size) + 0.5, places, one) for one in np.eye(len(places))], 1)
    return torch.from_numpy(near @ shares).float()


class Patch(NamedTuple):
    """A piece of image `row`: its uint8 `pixels`, its `box` (left, top, right, bottom), and the channel's response."""

    row: int
    response: float
    box: tuple[int, int, int, int]
    pixels: np.ndarray


def top_patches(model: nn.Module, layer: str, images: Tensor, channel: int, n: int = 9) -> list[Patch]:
    """The patches of `(N, C, H, W)` uint8 images that a channel of a layer responds to most, one an image.

    They are cut by the receptive field; a ValueError says where there is no such layer or channel.

    Source: Zeiler and Fergus (2014), https://arxiv.org/abs/1311.2901. Taught in notebook 06.
    """
    best = []
    for part in images.split(128):
        features, (rows, columns) = seen_places(model, layer, prepare(model, part))
        if not 0 <= channel < features.shape[1]:
            raise ValueError(f"layer {layer!r} has channels 0..{features.shape[1] - 1}, and no channel {channel}")
        best.append(torch.stack(features[:, channel].flatten(1).max(1), 1).cpu())
    responses, places = torch.cat([pair[:, 0] for pair in best]), torch.cat([pair[:, 1] for pair in best]).long()
    patches = []
    for row in responses.argsort(descending=True, stable=True)[:n].tolist():
        y, x = divmod(places[row].item(), features.shape[-1])
        top, bottom, left, right = (int(v) for v in (rows.start[y], rows.end[y], columns.start[x], columns.end[x]))
        pixels = images[row, :, top:bottom, left:right].permute(1, 2, 0).cpu().numpy()
        pixels = np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        patches.append(Patch(row, responses[row].item(), (left, top, right, bottom), pixels))
    return patches
