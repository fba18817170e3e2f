"""Where a network computes, in which mode, and pixels as it takes them. Taught in notebook 03."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def pick_device() -> torch.device:
    """The fastest device that is here: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def normalize_images(images: Tensor) -> Tensor:
    """`(N, C, H, W)` uint8 0..255 to float32 -1..1, in channels-last memory order, which convolutions like."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode; afterwards each module by itself is in the mode it was in, also where the block raises."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, training in modes.items():
            module.training = training
