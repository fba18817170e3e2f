"""Where to compute, and pixels as a network takes them. Taught in notebook 03."""

from __future__ import annotations

import torch
from torch import Tensor


def pick_device() -> torch.device:
    """The fastest device that is here: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def normalize_images(images: Tensor) -> Tensor:
    """`(N, C, H, W)` uint8 0..255 to float32 -1..1, in channels-last memory order, which convolutions like."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
