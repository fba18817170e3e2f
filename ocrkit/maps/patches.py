"""Patches: the pieces of images that a channel of a layer responds to most. Taught in notebook 06."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ocrkit.maps.cam import prepare
from ocrkit.maps.receptive_fields import seen_places


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
