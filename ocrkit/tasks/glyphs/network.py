"""The network that classifies glyphs: a body from torchvision, such as that of a ResNet, and a new head, as in fastai.

Source: He et al. (2015), https://arxiv.org/abs/1512.03385; Sandler et al. (2018), https://arxiv.org/abs/1801.04381;
Howard and Gugger (2020), https://arxiv.org/abs/2002.04688. Taught in notebook 09.
"""

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
#: Seconds without an answer after which a download has failed: behind some firewalls none ever comes.
_PATIENCE = 20


class Backbone(NamedTuple):
    """A network of torchvision, and which of its parts are the body."""

    source: str  # its name there
    parts: tuple[str, ...]
    first: int  # parts in the first group of parameters
    weights: str = "DEFAULT"  # of ImageNet, by their name


def _resnet(source: str, stages: int = 4) -> Backbone:
    return Backbone(source, ("conv1", "bn1", "relu", "maxpool", *(f"layer{k}" for k in range(1, stages + 1))), 6)


#: `"resnet18-short"` lacks the last and largest stage: 2.8 million parameters in the body instead of 11.2, and twice
#: the resolution at its end, which suits images of 50 pixels.
BACKBONES = {
    "resnet18-short": _resnet("resnet18", 3),
    "resnet18": _resnet("resnet18"),
    "resnet34": _resnet("resnet34"),
    "resnet50": _resnet("resnet50"),
    "mobilenet-v2": Backbone("mobilenet_v2", ("features",), 7, "IMAGENET1K_V1"),
}


class GlyphNet(nn.Module):
    """A classifier of images into K = `num_classes`: body `features`, one of `BACKBONES`, then `head`.

    Images come in as for all models of the course, `(N, 3, H, W)` or `(N, 1, H, W)` float from -1 to 1, and are brought
    to ImageNet's mean and deviation inside. Any H and W of 32 or more work. The output is logits `(N, K)`.

    Raises a ValueError where there is no such backbone, or fewer than two classes. Taught in notebook 09.
    """

    def __init__(self, num_classes: int, backbone: str = "resnet34"):
        from torchvision import models  # takes seconds, which nobody shall wait for who reads texts

        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"no backbone is named {backbone!r}; there are: {', '.join(BACKBONES)}")
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: there must be at least 2")
        self.num_classes, self.backbone = num_classes, backbone
        whole, names = models.get_model(BACKBONES[backbone].source, weights=None), BACKBONES[backbone].parts
        # The names of the parts are torchvision's, so that its weights fit.
        self.features = nn.Sequential(OrderedDict((name, getattr(whole, name)) for name in names))
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
        """The parameters in three groups, as fastai cuts a ResNet: stem and first two stages, the others, the head."""
        backbone = BACKBONES[self.backbone]
        parts = list((self.features if len(backbone.parts) > 1 else self.features[0]).children())
        cut = backbone.first
        return [[p for part in group for p in part.parameters()] for group in (parts[:cut], parts[cut:], [self.head])]


class ConcatPool(nn.Module):
    """`(N, C, H, W)` to `(N, 2C)`: the maximum of each channel over the places, then its mean."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1)


def imagenet_weights(backbone: str) -> dict[str, Tensor]:
    """The weights of a body trained on ImageNet: from torchvision's cache, else from the network.

    Raises an OSError or RuntimeError where the download failed or is damaged.
    """
    from torchvision import models

    source = BACKBONES[backbone]
    known = models.get_model_weights(source.source)[source.weights]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        # torch says, depending on its version on either stream, what it downloads to where.
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            weights = known.get_state_dict(progress=False, check_hash=True)
    finally:
        socket.setdefaulttimeout(before)
    return {name: tensor for name, tensor in weights.items() if name.startswith(tuple(f"{p}." for p in source.parts))}
