"""What several renderers do alike: names, chances, ink as uint8 (H, W), 255 is ink, and the file that is made of it."""

import io
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from PIL import Image, ImageFilter

Rng = np.random.Generator
Seed = Rng | int | None
Size = tuple[int, int]  # height and width in pixels
BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


def require_known(kind: str, names: Collection[str], *wanted: str) -> None:
    """Raise a ValueError where one of `wanted` is not among the `names` that things of a `kind` have."""
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(f"no {kind} is named {unknown[0]!r}; there are: {', '.join(names)}")


def one_of(options: Sequence, rng: Rng):
    """One of some things, all equally likely."""
    return options[rng.integers(len(options))]


def weighted(chances: Mapping[str, float], rng: Rng) -> str:
    """A key, drawn as often as its value says."""
    upto = np.cumsum([*chances.values()])
    return list(chances)[int(np.searchsorted(upto / upto[-1], rng.random()))]


def reweigh(ink: Image.Image, rng: Rng, blur: float, cut: tuple[int, int], steep: float) -> Image.Image:
    """Make all strokes bolder or finer, as more or less ink does: blur, and cut off at another height between `cut`."""
    table = np.clip((np.arange(256) - rng.uniform(*cut)) * steep + 128, 0, 255)
    return ink.filter(ImageFilter.GaussianBlur(blur)).point(table.astype(int).tolist())


def mapped(ink: np.ndarray, forward: np.ndarray, middle: np.ndarray, size: Size, to: np.ndarray) -> np.ndarray:
    """Ink after `forward`, (2, 2), on an empty ground of `size` (height, width); its point `middle` comes to `to`."""
    # Drawn twice as large and halved, so that thin strokes are not lost between two pixels.
    inverse = np.linalg.inv(2 * forward)
    numbers = np.column_stack([inverse, middle - inverse @ (2 * to)]).ravel().tolist()
    large = Image.fromarray(ink).transform((2 * size[1], 2 * size[0]), Image.Transform.AFFINE, numbers, BICUBIC)
    return np.asarray(large.reduce(2))


def lay(ground: np.ndarray, ink: np.ndarray, x: int, y: int) -> None:
    """Draw ink over that of `ground`, in place, its upper left pixel at (x, y); what lies outside is cut off."""
    left, top = max(x, 0), max(y, 0)
    ink = ink[top - y : max(ground.shape[0] - y, 0), left - x : max(ground.shape[1] - x, 0)]
    place = ground[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(place, ink, out=place)


def saved(image: np.ndarray, quality: int) -> np.ndarray:
    """An image, uint8 (H, W) or (H, W, 3), as it comes back from a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
