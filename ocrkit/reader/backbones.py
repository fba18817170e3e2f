"""Backbones: the parts by which the networks of `crnn.CRNN` differ, each after a system that was published.

Taught in notebooks 03 and 08.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _conv_bn_relu(c_in: int, c_out: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    ]


def light(in_channels: int) -> nn.Sequential:
    """Small and quick on a CPU: the first convolution already halves the size, the width is halved only twice."""
    return nn.Sequential(
        *_conv_bn_relu(in_channels, 48, kernel=4, stride=2),
        *_conv_bn_relu(48, 64), nn.MaxPool2d(2),
        *_conv_bn_relu(64, 128), nn.MaxPool2d((2, 1)),
        *_conv_bn_relu(128, 192),
        *_conv_bn_relu(192, 192), nn.MaxPool2d((2, 1)),
    )  # fmt: skip


def vgg(in_channels: int) -> nn.Sequential:
    """The five convolutions of the VGG plate system; the odd pools are its own."""
    return nn.Sequential(
        *_conv_bn_relu(in_channels, 64), nn.MaxPool2d(2, 2),
        *_conv_bn_relu(64, 128), nn.MaxPool2d(2, 2),
        *_conv_bn_relu(128, 256), nn.MaxPool2d((1, 2), 2),
        *_conv_bn_relu(256, 512), nn.MaxPool2d((1, 2), (2, 1), (0, 1)),
        *_conv_bn_relu(512, 1024, kernel=2, padding=0),
    )  # fmt: skip


class ResidualBlock(nn.Module):
    """conv -> batch norm -> dropout, plus the input, then LeakyReLU: one block of the ResNet plate system.

    Where the number of channels changes, the block halves the size and a 1x1 convolution fits the
    input to it. `(N, C_in, H, W) -> (N, C_out, H', W')`.
    """

    def __init__(self, c_in: int, c_out: int, dropout: float = 0.15):
        super().__init__()
        stride = 1 if c_in == c_out else 2
        self.body = nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.BatchNorm2d(c_out), nn.Dropout(dropout))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1, stride)
        self.activation = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


def resnet(in_channels: int) -> nn.Sequential:
    """The stem and five stages of the ResNet plate system."""
    stem = [nn.Conv2d(in_channels, 64, 7), nn.BatchNorm2d(64), nn.Dropout(0.15), nn.LeakyReLU()]
    blocks = [ResidualBlock(64, 64), ResidualBlock(64, 64)]
    for c in (128, 256, 512, 1024):
        blocks += [ResidualBlock(c // 2, c), ResidualBlock(c, c), ResidualBlock(c, c)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks)


class Stretch(nn.Module):
    """`(N, C, H, W) -> (N, 256, 1, 256)`: the ResNet system pools its features to 256 x 256, up or down."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((256, 256))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x.flatten(1, 2).unsqueeze(1)).transpose(1, 2)


def lenet(in_channels: int) -> nn.Sequential:
    """Two convolutions with their pools, as in LeNet: those of the Keras names system."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.3),
    )  # fmt: skip


class SharedDropout(nn.Module):
    """Dropout of `(T, N, D)` that leaves out the same features of an image at all its time steps.

    Gal, Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural
    networks", https://arxiv.org/abs/1512.05287; Keras drops the inputs of its LSTM in this way.
    """

    def __init__(self, p: float):
        super().__init__()
        self.dropout = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.dropout(torch.ones_like(x[:1]))


class NarrowingLSTM(nn.Module):
    """Dense layer, BiLSTM 128, BiLSTM 64 of the Keras names system; `(T, N, D)` to `(T, N, 128)`.

    Called as an `nn.LSTM` is, it gives a pair, of which the second is None. Keras's LSTM has one bias where torch's has
    two: the second stays 0 and is not learned.
    """

    def __init__(self, features: int):
        super().__init__()
        self.dense = nn.Linear(features, 64)
        self.dropout = nn.Dropout(0.2)
        self.first_dropout, self.first = SharedDropout(0.2), nn.LSTM(64, 128, bidirectional=True)
        self.second_dropout, self.second = SharedDropout(0.25), nn.LSTM(256, 64, bidirectional=True)

    def forward(self, columns: Tensor) -> tuple[Tensor, None]:
        x = self.dropout(F.relu(self.dense(columns)))
        x, _ = self.first(self.first_dropout(x))
        return self.second(self.second_dropout(x))[0], None


def init_resnet(module: nn.Module) -> None:
    """The start values of the ResNet plate system."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.01)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


@torch.no_grad()
def init_lenet(module: nn.Module) -> None:
    """The start values that Keras gives its layers."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LSTM):
        for name, values in module.named_parameters():
            if "weight" in name:
                (nn.init.xavier_uniform_ if "_ih_" in name else nn.init.orthogonal_)(values)
            else:
                values.zero_()
            if "bias_ih" in name:
                values[module.hidden_size : 2 * module.hidden_size] = 1.0  # the forget gate starts open
            if "bias_hh" in name:
                values.requires_grad_(False)
