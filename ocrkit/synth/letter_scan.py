"""What copier, folder, punch and scanner do to a printed page. Taught in notebook 10."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ocrkit.synth.ink import BICUBIC, BILINEAR, Rng, Size, saved
from ocrkit.synth.letter_sheet import HIGH, WIDE


def random_turn(rng: Rng, size: Size) -> np.ndarray:
    """How a page lies on the glass, turned by 1.5 degrees at most: (2, 3), takes (x, y) of the sheet to the scan."""
    angle = np.radians(np.clip(rng.normal(0, 0.55), -1.5, 1.5))
    grow = rng.uniform(0.98, 1.01)
    shift = np.clip(rng.normal(0, 4, 2), -9, 9)
    turn = grow * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = np.diag([size[1] / WIDE, size[0] / HIGH])
    turn = scale @ turn @ np.linalg.inv(scale)
    center = np.array([size[1], size[0]]) / 2
    return np.column_stack([turn, center - turn @ center + scale @ shift])


def turned(ink: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Ink, uint8 (H, W), moved as `forward`, (2, 3), says."""
    inverse = np.linalg.inv(forward[:, :2])
    numbers = np.column_stack([inverse, -inverse @ forward[:, 2]]).ravel()
    image = Image.fromarray(ink)
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, tuple(numbers), BICUBIC))


def scan(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """The picture, uint8 (H, W), of a page with `ink` on it, uint8 (H, W): grey, or black and white."""
    height, width = ink.shape
    down = height / HIGH
    if rng.random() < 0.15:  # the print of the back shines through
        back = np.roll(ink[:, ::-1], (int(rng.integers(-40, 40)), int(rng.integers(-20, 20))), (0, 1))
        back = np.asarray(Image.fromarray(back).filter(ImageFilter.BoxBlur(2 * down)))
        ink = np.maximum(ink, (back * np.float32(rng.uniform(0.05, 0.18))).astype(np.uint8))
    if rng.random() < 0.5:
        ink = np.asarray(Image.fromarray(ink).filter(ImageFilter.GaussianBlur(rng.uniform(0.25, 0.75) * down)))
    white = rng.random() < 0.3  # black and white
    light, dark = rng.uniform(222, 256), rng.uniform(0, 75)
    # Darkness from ink, paper and light; a lamp that is brighter on one side tilts all of it.
    grey = np.float32(light) + ink * np.float32((dark - light) / 255)
    coarse = rng.random((3, 2), dtype=np.float32) if rng.random() < 0.6 else np.zeros((1, 1), np.float32)
    lamp = Image.fromarray(1 - coarse * np.float32(rng.uniform(0, 0.05 if white else 0.13)))
    grey *= np.asarray(lamp.resize((width, height), BILINEAR))
    grey += _grain(rng, ink.shape) * np.float32(rng.uniform(0.5, 2.5))
    if white:
        # So near to white that a dot, which is a pale pixel or two, is not lost.
        steep, level = rng.uniform(2.5, 6), light - rng.uniform(40, 75)
        grey = (grey - np.float32(level)) * np.float32(steep) + 128
    image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    _marks(ImageDraw.Draw(image), image.size, down, rng)
    page = np.array(image)
    if rng.random() < 0.2:
        _fold(page, rng)
    if rng.random() < 0.3:  # the dark edge of a page that does not lie flat
        side = np.rot90(page, int(rng.integers(4)))
        wide = max(2, int(side.shape[1] * rng.uniform(0.008, 0.05)))
        keep = 1 - rng.uniform(0.2, 0.75) * np.linspace(1, 0, wide, dtype=np.float32) ** 2
        side[:, :wide] = (side[:, :wide] * keep).astype(np.uint8)
    return saved(page, int(rng.integers(55, 93)))


_noise = cache(lambda: np.random.default_rng(10).standard_normal((1024, 1024), np.float32))


def _grain(rng: Rng, shape: tuple[int, int]) -> np.ndarray:
    """The grain of paper and sensor, float32 (H, W), mean 0 and deviation 1: a piece from a chance place."""
    y, x = rng.integers(0, 1024, 2)
    rows, columns = (np.arange(shape[0]) + y) % 1024, (np.arange(shape[1]) + x) % 1024
    return _noise()[rows][:, columns]


def _marks(draw: ImageDraw.ImageDraw, size: Size, down: float, rng: Rng) -> None:
    """Specks of dust, and the holes of a punch, in place."""
    width, height = size
    for _ in range(rng.poisson(10) if rng.random() < 0.6 else 0):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.3, 1.6) * down
        draw.ellipse((x - r, y - r, x + r, y + r), int(rng.integers(30, 170)))
    if rng.random() < 0.2:  # two holes, 80 mm apart, 12 mm from an edge
        x = (46 if rng.random() < 0.5 else WIDE - 46) * down + rng.uniform(-8, 8) * down
        middle, tone = height / 2 + rng.uniform(-30, 30) * down, int(rng.integers(0, 235))
        for y in (middle - 157 * down, middle + 157 * down):
            r = rng.uniform(9, 11.5) * down
            draw.ellipse((x - r, y - r, x + r, y + r), tone, tone * 3 // 4)


def _fold(page: np.ndarray, rng: Rng) -> None:
    """The line of a fold across the page, in place: a light edge beside a dark one."""
    height = len(page)
    row = int(height * (0.5 if rng.random() < 0.5 else (1 / 3, 2 / 3)[rng.integers(2)]) + rng.normal(0, 0.01 * height))
    reach = max(2, round(0.006 * height))
    for k in range(-reach, reach):
        change = rng.uniform(6, 9) * (1 - abs(k) / reach) * (1 if k < 0 else -2.5)
        line = page[min(max(row + k, 0), height - 1)]
        line[:] = np.clip(line + change, 0, 255).astype(np.uint8)
