"""The network that classifies glyphs: a ResNet's body from torchvision and a new head, as fastai builds it.

Source: He et al. (2015), https://arxiv.org/abs/1512.03385; Howard and Gugger (2020), https://arxiv.org/abs/2002.04688.
Taught in notebook 09.
"""

from __future__ import annotations

import io
import socket
from collections import OrderedDict
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import torch
from torch import Tensor, nn

#: Mean and deviation of the colors of ImageNet's photos, 0..1; a body trained on them expects images scaled by them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HIDDEN = 512
#: Seconds without an answer after which a download has failed.
_PATIENCE = 20


class Backbone(NamedTuple):
    """A ResNet of torchvision by its name there, and how many of its four stages are used."""

    source: str
    stages: int = 4


#: `"resnet18-short"` lacks the last and largest stage: 2.8 million parameters in the body instead of 11.2, and twice
#: the resolution at its end, which suits images of 50 pixels.
BACKBONES = {
    "resnet18-short": Backbone("resnet18", 3),
    "resnet18": Backbone("resnet18"),
    "resnet34": Backbone("resnet34"),
    "resnet50": Backbone("resnet50"),
}


class GlyphNet(nn.Module):
    """A classifier of images: body `features`, then `head`.

    The head: maximum and mean of each channel over the places, batch norm, dropout, linear to 512, ReLU, batch norm,
    dropout, linear to the classes. Dropout is 0.25 and 0.5.

    Images come in as for all models of the course, `(N, 3, H, W)` or `(N, 1, H, W)` float from -1 to 1, and are brought
    to ImageNet's mean and deviation inside. Any H and W of 32 or more work. The output is logits `(N, K)`.

    Args:
        num_classes: K.
        backbone: a key of `BACKBONES`.

    Raises:
        ValueError: there is no such backbone, or fewer than two classes.

    Taught in notebook 09.
    """

    def __init__(self, num_classes: int, backbone: str = "resnet34"):
        from torchvision import models  # takes seconds, which nobody shall wait for who reads texts

        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"no backbone is named {backbone!r}; there are: {', '.join(BACKBONES)}")
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: there must be at least 2")
        self.num_classes, self.backbone = num_classes, backbone
        source, stages = BACKBONES[backbone]
        parts = OrderedDict(models.get_model(source, weights=None).named_children())
        # The names of the parts are torchvision's, so that its weights fit.
        kept = ["conv1", "bn1", "relu", "maxpool", *(f"layer{k}" for k in range(1, stages + 1))]
        self.features = nn.Sequential(OrderedDict((name, parts[name]) for name in kept))
        channels = [m.num_features for m in self.features.modules() if isinstance(m, nn.BatchNorm2d)][-1]
        self.head = nn.Sequential(
            ConcatPool(),
            nn.BatchNorm1d(2 * channels),
            nn.Dropout(0.25),
            nn.Linear(2 * channels, HIDDEN),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(HIDDEN),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, num_classes),
        )
        # Of -1..1, not of 0..1.
        self.register_buffer("mean", 2 * torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1) - 1, persistent=False)
        self.register_buffer("std", 2 * torch.tensor(IMAGENET_STD).reshape(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        # A gray image becomes three equal channels here, by broadcasting.
        return self.head(self.features((images - self.mean) / self.std))

    def groups(self) -> list[list[nn.Parameter]]:
        """The parameters in three groups, from the general to the special: edges and strokes, shapes, classes.

        That is the stem with the first two stages, the other stages, and the head, as fastai cuts a ResNet.
        """
        parts = list(self.features.children())
        return [[p for part in group for p in part.parameters()] for group in (parts[:6], parts[6:], [self.head])]


class ConcatPool(nn.Module):
    """`(N, C, H, W)` to `(N, 2C)`: the maximum of each channel over the places, then its mean."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1)


def imagenet_weights(backbone: str) -> dict[str, Tensor]:
    """The weights of a body trained on ImageNet, as torchvision gives them: from its cache, else from the network.

    Raises:
        OSError, RuntimeError: the download failed or is damaged.
    """
    from torchvision import models

    source, stages = BACKBONES[backbone]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)  # behind some firewalls no answer ever comes
    try:
        # torch says, depending on its version on either, what it downloads to where.
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            weights = models.get_model_weights(source).DEFAULT.get_state_dict(progress=False, check_hash=True)
    finally:
        socket.setdefaulttimeout(before)
    unused = ("fc.", *(f"layer{k}." for k in range(stages + 1, 5)))
    return {name: tensor for name, tensor in weights.items() if not name.startswith(unused)}
