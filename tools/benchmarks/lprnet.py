"""A network of the size and shape of LPRNet, to compare reading speed. Its weights are random.

Zherzdev and Gruzdev (2018), "LPRNet: License plate recognition via deep neural networks",
https://arxiv.org/abs/1806.10447, in the form of its common PyTorch version (0.45M parameters, 24 x 94 pixels).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _small_block(c_in: int, c_out: int) -> nn.Sequential:
    c = c_out // 4
    return nn.Sequential(
        nn.Conv2d(c_in, c, 1), nn.ReLU(),
        nn.Conv2d(c, c, (3, 1), padding=(1, 0)), nn.ReLU(),
        nn.Conv2d(c, c, (1, 3), padding=(0, 1)), nn.ReLU(),
        nn.Conv2d(c, c_out, 1), nn.BatchNorm2d(c_out), nn.ReLU(),
    )  # fmt: skip


class _Pool(nn.Module):
    """3 x 3 max pool that keeps every `channels`-th channel."""

    def __init__(self, channels: int, stride: tuple[int, int]):
        super().__init__()
        self.channels, self.pool = channels, nn.MaxPool2d(3, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)[:, :: self.channels]


class LPRNet(nn.Module):
    """`(N, 3, 24, 94)` to `(N, K, 18)` logits."""

    def __init__(self, num_classes: int = 68):
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU()),
                nn.Sequential(_Pool(1, (1, 1)), _small_block(64, 128)),
                nn.Sequential(_Pool(2, (1, 2)), _small_block(64, 256), _small_block(256, 256)),
                nn.Sequential(
                    _Pool(4, (1, 2)),
                    nn.Conv2d(64, 256, (1, 4)), nn.BatchNorm2d(256), nn.ReLU(),
                    nn.Conv2d(256, num_classes, (13, 1)), nn.BatchNorm2d(num_classes), nn.ReLU(),
                ),
            ]
        )  # fmt: skip
        self.classifier = nn.Conv2d(64 + 128 + 256 + num_classes, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        x, seen = images, []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        # The global context: each stage, brought to the size of the last and scaled by its power.
        context = [nn.functional.adaptive_avg_pool2d(f, x.shape[2:]) for f in seen]
        context = [f / f.square().mean() for f in context]
        return self.classifier(torch.cat(context, 1)).mean(2)
