"""Augmentation: training images changed at random, so that none is learned by heart. Taught in notebook 03."""

from collections.abc import Callable

import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate, max_pool2d, pad

#: A batch of images to one of the same shape, with values drawn anew at each call.
Augmentation = Callable[[torch.Tensor], torch.Tensor]


def augmentation(name: str) -> Augmentation:
    """Return a `torchvision.transforms.v2` pipeline for uint8 batches (N, C, H, W), C = 1 or 3. Taught in notebook 03.

    `"plates-resnet"` and `"plates-vgg"` are those of the two plate systems that the course rebuilds. Call it through
    `augment`, since one call draws one set of values for its whole batch. Raises ValueError: no pipeline has that name.
    """
    from torchvision.transforms import v2

    bilinear = v2.InterpolationMode.BILINEAR

    def sometimes(p: float, step) -> v2.Transform:
        return v2.RandomApply([step], p=p)

    steps = {
        "none": [v2.Identity()],
        "plates": [
            v2.RandomChoice(
                [
                    v2.RandomAffine(4, (0.02, 0.05), (0.88, 1.03), shear=(-8, 8), interpolation=bilinear),
                    v2.RandomPerspective(0.2, p=1, interpolation=bilinear),
                    v2.Identity(),
                ],
                p=[0.45, 0.25, 0.3],
            ),
            v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4),
            # Hue costs as much as all the others, so only some chunks pay for it.
            sometimes(0.15, v2.ColorJitter(hue=0.03)),
            sometimes(0.3, v2.GaussianBlur((3, 5), (0.3, 1.5))),
            sometimes(0.3, v2.Lambda(_noise)),
        ],
        # The paper is 0 in between, so that what moves in from outside is paper, and brightness is that of the ink.
        "names": [
            v2.RandomInvert(1.0),
            v2.Lambda(_bend),
            sometimes(0.5, v2.Lambda(_stroke)),
            v2.ColorJitter(brightness=(0.6, 1.3)),
            sometimes(0.2, v2.GaussianBlur(3, (0.3, 0.8))),
            v2.RandomInvert(1.0),
            sometimes(0.2, v2.Lambda(_noise)),
        ],
        # As names: the paper is 0 in between. No flips: a mirrored 2 or 7 is another sign, or none.
        "glyphs": [
            v2.RandomInvert(1.0),
            v2.RandomAffine(5, (0.06, 0.06), (0.85, 1.1), shear=(-8, 8, -3, 3), interpolation=bilinear),
            sometimes(0.5, v2.Lambda(_stroke)),
            v2.ColorJitter(brightness=(0.6, 1.3)),
            sometimes(0.2, v2.GaussianBlur(3, (0.3, 1.0))),
            v2.RandomInvert(1.0),
            sometimes(0.3, v2.Lambda(_noise)),
        ],
        # ColorJitter's default is not to change anything; it stands here as it stood there.
        "plates-resnet": [v2.RandomRotation(5), v2.ColorJitter(), v2.GaussianBlur(3)],
        "plates-vgg": [v2.RandomPerspective(), v2.RandomRotation(10)],
    }
    if name not in steps:
        raise ValueError(f"no augmentation is named {name!r}; there are: {', '.join(steps)}")
    return v2.Compose(steps[name])


def augment(batch: torch.Tensor, pipeline: Augmentation, chunks: int = 16) -> torch.Tensor:
    """Augment a uint8 batch (N, C, H, W) in `chunks` parts, each with values of its own.

    One value for the whole batch would be too little variety, one call an image too slow.
    """
    return torch.cat([pipeline(part) for part in batch.chunk(chunks)]) if len(batch) else batch


def _bend(batch: torch.Tensor) -> torch.Tensor:
    """Size, slant, turn, place and a smooth bend for each image by itself; what comes in from outside is 0."""
    n, _, height, width = batch.shape
    if torch.rand(()) < 0.15:
        return batch
    low, high = torch.tensor([0.88, 0.85, -0.2, -0.03]), torch.tensor([1.12, 1.15, 0.2, 0.03])
    across, down, slant, turn = (low + (high - low) * torch.rand(n, 4)).unbind(1)
    shift = (torch.rand(n, 2) - 0.5) * torch.tensor([0.06, 0.16])
    # In the grid's units, which run from -1 to 1 along both sides, whatever their lengths.
    across_row = torch.stack([1 / across, slant * height / width, shift[:, 0]], 1)
    down_row = torch.stack([turn * width / height, 1 / down, shift[:, 1]], 1)
    grid = affine_grid(torch.stack([across_row, down_row], 1), list(batch.shape), align_corners=False)
    bend = interpolate(torch.randn(n, 2, 4, max(4, width // 24)), (height, width), mode="bicubic")
    grid += bend.permute(0, 2, 3, 1) * (torch.rand(n, 1, 1, 1) * 2.5) / torch.tensor([width, height])
    return grid_sample(batch.float(), grid.to(batch.device), align_corners=False).round().to(torch.uint8)


def _stroke(batch: torch.Tensor) -> torch.Tensor:
    """Make light strokes finer or bolder: each pixel goes part of the way to its lightest or darkest neighbor."""
    sign = 1.0 if torch.rand(()) < 0.5 else -1.0
    values = sign * batch.float()
    # The window has an even side, so strokes move by half a pixel; that does no harm.
    wider = max_pool2d(pad(values, (0, 1, 0, 1), value=-255.0), 2, 1)
    return (sign * values.lerp(wider, float(torch.rand(())))).to(torch.uint8)


def _noise(batch: torch.Tensor) -> torch.Tensor:
    """Add the grain of a camera in low light; a strength for each call, at most 12 of 255."""
    strength = int(torch.randint(3, 13, ()))
    grain = torch.randint(-strength, strength + 1, batch.shape, dtype=torch.int16, device=batch.device)
    return (batch.to(torch.int16) + grain).clamp(0, 255).to(torch.uint8)
