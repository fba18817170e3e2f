"""Images: files -> uint8 arrays, crops and sizes. Taught in notebooks 01 and 03."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError

BILINEAR = Image.Resampling.BILINEAR


class ImageError(ValueError):
    """An image that cannot be used: `path` is the file, `reason` what is wrong with it."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason


def read_image(path: str | os.PathLike, mode: str = "RGB") -> np.ndarray:
    """Read an image file as a camera's owner sees it: uint8, (H, W, 3) for mode `"RGB"`, (H, W) for `"L"` (grey).

    The EXIF rotation is applied, transparency is laid over white, palettes, CMYK, 1-bit and grey become the
    mode asked for, 16-bit grey is scaled to 8 bits, and of an animation the first frame is taken. Raises ImageError:
    the file is missing, empty, not an image, truncated, or too large to be a picture. Taught in notebook 01.
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
            size = image.width * image.height
            if not size:
                raise ImageError(path, f"has no pixels (width {image.width}, height {image.height})")
            if Image.MAX_IMAGE_PIXELS and size > Image.MAX_IMAGE_PIXELS:  # Pillow only warns up to twice this limit
                raise ImageError(path, f"has too many pixels to be a picture: {image.width} x {image.height}")
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


def _flatten(image: Image.Image) -> Image.Image:
    """Any Pillow mode as 8-bit RGB or L, without transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0)
        # 16-bit grey comes as I;16 or, from older Pillow, as I; floats commonly run from 0 to 1.
        top = 65535 if image.mode != "F" else 1.0 if values.max() <= 1 else 255
        scaled = values * (255 / max(top, values.max()))
        return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a uint8 image, (H, W) or (H, W, 3), to `size` = (height, width).

    Pillow's bilinear filter averages when it shrinks.
    """
    # reducing_gap shrinks a large photo by whole steps first: as good to the eye, several times faster.
    return np.array(Image.fromarray(image).resize(size[::-1], BILINEAR, reducing_gap=3.0))


def warp_corners(
    image: np.ndarray, corners: Sequence[Sequence[float]], size: tuple[int, int] | None = None
) -> np.ndarray:
    """Cut out a tilted rectangle and look at it from the front. Taught in notebook 01.

    Args:
        image: uint8, (H, W) or (H, W, 3).
        corners: (4, 2), x and y in pixels, clockwise from top left. What lies outside the image is black.
        size: (height, width) of the result; by default the mean lengths of the opposite sides.

    Raises ValueError: the corners are not four points that span an area.
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
    coefficients = homography([(0, 0), (w, 0), (w, h), (0, h)], quad)
    warped = Image.fromarray(image).transform((w, h), Image.Transform.PERSPECTIVE, coefficients, BILINEAR)
    return resize(np.asarray(warped), (height, width)) if shrinks else np.array(warped)


def homography(source: Sequence[Sequence[float]], target: np.ndarray) -> list[float]:
    """Pillow's eight coefficients of the projection that takes four points (x, y) of `source` to those of `target`.

    x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1): two linear equations a corner.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    try:
        return np.linalg.solve(np.array(rows, dtype=np.float64), values).tolist()
    except np.linalg.LinAlgError as error:
        raise ValueError(f"the corners {target.tolist()} do not form a rectangle seen at an angle") from error


def read_sample(row: pd.Series, mode: str = "RGB") -> np.ndarray:
    """Read `row.image`, cut to `row.corners` or else `row.box` where the samples table has them.

    Args:
        row: of the samples table, from `iterrows` or `itertuples`. `row.image` is a path, or an image that is in
            memory already: uint8, (H, W, 3) or (H, W), as is what is returned.

    Raises ImageError: the file cannot be read, or the crop lies outside the image.
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
    if image.dtype != np.uint8 or not (image.ndim == 2 or image.shape[2:] == (3,)) or not image.size:
        reason = f"it must be uint8 of shape (H, W, 3) or (H, W), not {image.dtype} {image.shape}"
        raise ImageError("image in memory", reason)
    return np.array(Image.fromarray(image).convert(mode))
