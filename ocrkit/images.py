"""Images: files -> uint8 arrays, crops, sizes, and augmentation of whole batches.

Taught in notebooks 01 and 03.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    import pandas as pd
    import torch

    Augmentation = Callable[[torch.Tensor], torch.Tensor]

BILINEAR = Image.Resampling.BILINEAR


class ImageError(ValueError):
    """An image that cannot be used: `path` is the file, `reason` what is wrong with it."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason


def read_image(path: str | os.PathLike, mode: str = "RGB") -> np.ndarray:
    """Read an image file as a camera's owner sees it.

    The EXIF rotation is applied, transparency is laid over white, palettes, CMYK, 1-bit and grey become the
    mode asked for, 16-bit grey is scaled to 8 bits, and of an animation the first frame is taken.

    Args:
        path: the file.
        mode: `"RGB"` or `"L"` (grey).

    Returns:
        uint8 array, (H, W, 3) for `"RGB"`, (H, W) for `"L"`.

    Raises:
        ImageError: the file is missing, empty, not an image, truncated, or too large to be a picture.

    Taught in notebook 01.
    """
    if mode not in ("RGB", "L"):
        raise ValueError(f'mode={mode!r}: it must be "RGB" or "L"')
    path = Path(path)
    if not path.is_file():
        raise ImageError(path, "is a folder, not an image" if path.is_dir() else "there is no such file")
    if path.stat().st_size == 0:
        raise ImageError(path, "the file is empty (0 bytes)")
    return decode_image(path, path, mode)


def decode_image(file: Path | BinaryIO, path: str | Path, mode: str = "RGB") -> np.ndarray:
    """As `read_image`, of an open file or of bytes in memory; `path` names the image in errors."""
    try:
        with Image.open(file) as image:
            _check_size(path, image)
            image.load()
            return np.array(_flatten(ImageOps.exif_transpose(image)).convert(mode))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(path, "is not an image that Pillow can read") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(path, f"has too many pixels to be a picture: {error}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, zlib.error, ...
        fault = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise ImageError(path, f"is {fault}: {error}") from error


def _check_size(path: str | Path, image: Image.Image) -> None:
    if min(image.size) == 0:
        raise ImageError(path, f"has no pixels (width {image.width}, height {image.height})")
    # Pillow itself only warns up to twice this limit.
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(path, f"has too many pixels to be a picture: {image.width} x {image.height}")


def _flatten(image: Image.Image) -> Image.Image:
    """Any Pillow mode as 8-bit RGB or L, without transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        values = np.nan_to_num(values, posinf=0, neginf=0)
        # 16-bit grey comes as I;16 or, from older Pillow, as I; floats commonly run from 0 to 1.
        top = 65535 if image.mode != "F" else 1.0 if values.max() <= 1 else 255
        scaled = values * (255 / max(top, values.max()))
        return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale to `size` = (height, width) with Pillow's bilinear filter, which averages when it shrinks.

    Args:
        image: uint8, (H, W) or (H, W, 3).

    Returns:
        uint8, (height, width) or (height, width, 3).
    """
    height, width = size
    # reducing_gap shrinks a large photo by whole steps first: as good to the eye, several times faster.
    return np.array(Image.fromarray(image).resize((width, height), BILINEAR, reducing_gap=3.0))


def warp_corners(
    image: np.ndarray, corners: Sequence[Sequence[float]], size: tuple[int, int] | None = None
) -> np.ndarray:
    """Cut out a tilted rectangle and look at it from the front.

    Args:
        image: uint8, (H, W) or (H, W, 3).
        corners: (4, 2), x and y in pixels, clockwise from top left. What lies outside the image is black.
        size: (height, width) of the result; by default the mean lengths of the opposite sides.

    Returns:
        uint8, (height, width) or (height, width, 3).

    Raises:
        ValueError: the corners are not four points that span an area.

    Taught in notebook 01.
    """
    quad = np.asarray(corners, dtype=np.float64)
    if quad.shape != (4, 2) or not np.isfinite(quad).all():
        raise ValueError(f"corners must be four (x, y) points, got {corners!r}")
    x, y = quad.T
    if abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) < 2:  # twice the area
        raise ValueError(f"the corners {quad.tolist()} span no area")
    top, right, bottom, left = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    natural = max(1, round((left + right) / 2)), max(1, round((top + bottom) / 2))
    height, width = size or natural
    # A warp takes single pixels, so a large plate is warped at its own size and then scaled with a filter.
    shrinks = height < natural[0] or width < natural[1]
    h, w = natural if shrinks else (height, width)
    coefficients = _homography(quad, h, w)
    warped = Image.fromarray(image).transform((w, h), Image.Transform.PERSPECTIVE, coefficients, BILINEAR)
    return resize(np.asarray(warped), (height, width)) if shrinks else np.array(warped)


def _homography(quad: np.ndarray, height: int, width: int) -> list[float]:
    """Pillow's eight coefficients: output pixel -> place in the source.

    x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1): two linear equations a corner.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip([(0, 0), (width, 0), (width, height), (0, height)], quad, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    try:
        return np.linalg.solve(np.array(rows, dtype=np.float64), values).tolist()
    except np.linalg.LinAlgError as error:
        raise ValueError(f"the corners {quad.tolist()} do not form a rectangle seen at an angle") from error


def read_sample(row: pd.Series, mode: str = "RGB") -> np.ndarray:
    """Read `row.image`, cut to `row.corners` or else `row.box` where the samples table has them.

    Args:
        row: a row of the samples table, from `iterrows` or `itertuples`. `row.image` is a path, or an image
            that is in memory already: uint8, (H, W, 3) or (H, W).

    Returns:
        uint8, (H, W, 3) or (H, W).

    Raises:
        ImageError: the file cannot be read, or the crop lies outside the image.
    """
    in_memory = isinstance(row.image, np.ndarray)
    image = _to_mode(row.image, mode) if in_memory else read_image(row.image, mode)
    corners, box = getattr(row, "corners", None), getattr(row, "box", None)
    try:
        if np.ndim(corners) == 2:  # NaN and None, where other sets of the table have corners, are not
            return warp_corners(image, corners)
        if np.ndim(box) == 1:
            x1, y1, x2, y2 = (round(v) for v in box)
            crop = image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
            if crop.size == 0:
                height, width = image.shape[:2]
                raise ValueError(f"the box {tuple(box)} lies outside the image of {width} x {height} px")
            return crop
    except ValueError as error:
        raise ImageError("image in memory" if in_memory else row.image, str(error)) from error
    return image


def _to_mode(image: np.ndarray, mode: str) -> np.ndarray:
    fits = image.ndim == 2 or image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or not fits or not image.size:
        reason = f"it must be uint8 of shape (H, W, 3) or (H, W), not {image.dtype} {image.shape}"
        raise ImageError("image in memory", reason)
    return np.array(Image.fromarray(image).convert(mode))


# --- augmentation ---


def augmentation(name: str) -> Augmentation:
    """Return a `torchvision.transforms.v2` pipeline for uint8 batches (N, C, H, W), C = 1 or 3.

    `"none"` changes nothing. `"plates"`, `"names"` and `"glyphs"` are what the course trains with.
    `"plates-resnet"` and `"plates-vgg"` are those of the two plate systems that the course rebuilds. Call it through
    `augment`, since one call draws one set of values for its whole batch.

    Raises:
        ValueError: no pipeline has that name.

    Taught in notebook 03.
    """
    from torchvision.transforms import v2

    bilinear = v2.InterpolationMode.BILINEAR
    pipelines = {
        "none": lambda: v2.Identity(),
        "plates": lambda: v2.Compose(
            [
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
                v2.RandomApply([v2.ColorJitter(hue=0.03)], p=0.15),
                v2.RandomApply([v2.GaussianBlur((3, 5), (0.3, 1.5))], p=0.3),
                v2.RandomApply([v2.Lambda(_noise)], p=0.3),
            ]
        ),
        # The paper is 0 in between, so that what moves in from outside is paper, and brightness is that of the ink.
        "names": lambda: v2.Compose(
            [
                v2.RandomInvert(1.0),
                v2.Lambda(_bend),
                v2.RandomApply([v2.Lambda(_stroke)], p=0.5),
                v2.ColorJitter(brightness=(0.6, 1.3)),
                v2.RandomApply([v2.GaussianBlur(3, (0.3, 0.8))], p=0.2),
                v2.RandomInvert(1.0),
                v2.RandomApply([v2.Lambda(_noise)], p=0.2),
            ]
        ),
        # As names: the paper is 0 in between. No flips: a mirrored 2 or 7 is another sign, or none.
        "glyphs": lambda: v2.Compose(
            [
                v2.RandomInvert(1.0),
                v2.RandomAffine(5, (0.06, 0.06), (0.85, 1.1), shear=(-8, 8, -3, 3), interpolation=bilinear),
                v2.RandomApply([v2.Lambda(_stroke)], p=0.5),
                v2.ColorJitter(brightness=(0.6, 1.3)),
                v2.RandomApply([v2.GaussianBlur(3, (0.3, 1.0))], p=0.2),
                v2.RandomInvert(1.0),
                v2.RandomApply([v2.Lambda(_noise)], p=0.3),
            ]
        ),
        # ColorJitter's default is not to change anything; it stands here as it stood there.
        "plates-resnet": lambda: v2.Compose([v2.RandomRotation(5), v2.ColorJitter(), v2.GaussianBlur(3)]),
        "plates-vgg": lambda: v2.Compose([v2.RandomPerspective(), v2.RandomRotation(10)]),
    }
    if name not in pipelines:
        raise ValueError(f"no augmentation is named {name!r}; there are: {', '.join(pipelines)}")
    return pipelines[name]()


def augment(batch: torch.Tensor, pipeline: Augmentation, chunks: int = 16) -> torch.Tensor:
    """Augment a batch in `chunks` parts, each with values of its own.

    One value for the whole batch would be too little variety, one call an image too slow. With
    `torch.manual_seed` the result is always the same.

    Args:
        batch: uint8, (N, C, H, W).

    Returns:
        uint8, (N, C, H, W).
    """
    import torch

    if len(batch) == 0:
        return batch
    return torch.cat([pipeline(part) for part in batch.chunk(chunks)])


def _bend(batch: torch.Tensor) -> torch.Tensor:
    """Size, slant, turn, place and a smooth bend for each image by itself; what comes in from outside is 0."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample, interpolate

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
    import torch
    from torch.nn.functional import max_pool2d, pad

    sign = 1.0 if torch.rand(()) < 0.5 else -1.0
    values = sign * batch.float()
    # The window has an even side, so strokes move by half a pixel; that does no harm.
    wider = max_pool2d(pad(values, (0, 1, 0, 1), value=-255.0), 2, 1)
    return (sign * values.lerp(wider, float(torch.rand(())))).to(torch.uint8)


def _noise(batch: torch.Tensor) -> torch.Tensor:
    """Add the grain of a camera in low light; a strength for each call, at most 12 of 255."""
    import torch

    strength = int(torch.randint(3, 13, ()))
    grain = torch.randint(-strength, strength + 1, batch.shape, dtype=torch.int16, device=batch.device)
    return (batch.to(torch.int16) + grain).clamp(0, 255).to(torch.uint8)
