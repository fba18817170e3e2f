"""What a street camera does to a plate: the view, the light, the lens, the sensor, the file.

Each function in `DEGRADATIONS` takes and returns uint8 (H, W, 3) and draws its own strength. Taught in notebook 01.
"""

from collections.abc import Callable, Collection
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ocrkit.data.images import homography
from ocrkit.synth.ink import BICUBIC, BILINEAR, Rng, require_known, saved

MARGIN = 24  # car body around the plate in the drawing, in pixels of 2 mm


@cache
def _silhouette(size: tuple[int, int], radius: float) -> Image.Image:
    """Mask of a sheet of metal with round corners."""
    mask = Image.new("L", (size[0] * 4, size[1] * 4))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 4, fill=255)
    return mask.reduce(4)


def mount(plate: Image.Image, rng: Rng) -> Image.Image:
    """Screw a plate, drawn at 2 mm a pixel, on a car body `MARGIN` pixels larger; at times in a holder."""
    w, h = plate.size
    bands = rng.uniform(0, 1, (4, 1, 1)) ** 2 * 240 + rng.normal(0, 12, (4, 1, 3))  # paint, bumper, shade
    low = float(rng.uniform(0, 2))  # which part of the bands is in sight, so that their edges move
    full = w + 2 * MARGIN, h + 2 * MARGIN
    canvas = Image.fromarray(_uint8(bands)).resize(full, BILINEAR, box=(0, low, 1, low + 2))
    if rng.random() < 0.4:  # a holder of black or chromed plastic
        edge = int(rng.integers(2, 7))
        tone = (25, 25, 27) if rng.random() < 0.7 else (190, 190, 190)
        canvas.paste(tone, (MARGIN - edge, MARGIN - edge), _silhouette((w + 2 * edge, h + 2 * edge), 7))
    canvas.paste(plate, (MARGIN, MARGIN), _silhouette((w, h), 5))
    draw = ImageDraw.Draw(canvas)
    for x in (w / 2 - 52, w / 2 + 52):  # the holes are 210 mm apart
        for y in (6, h - 6):
            if rng.random() < 0.7:
                r, tone = rng.uniform(1.5, 4.5), int(rng.integers(15, 215))
                x0, y0 = rng.normal((MARGIN + x, MARGIN + y), 1.5)
                draw.ellipse((x0 - r, y0 - r, x0 + r, y0 + r), fill=(tone, tone, tone))
    return canvas


def bend(canvas: Image.Image, rng: Rng) -> Image.Image:
    """Bow the picture up or down along its width, as dented plates and wide lenses do."""
    w, h = canvas.size
    middle, depth = rng.uniform(0.2, 0.8), rng.uniform(-0.12, 0.12) * h
    shift = depth * ((np.arange(w) / w - middle) ** 2 / max(middle, 1 - middle) ** 2 - 0.3)
    rows = np.clip(np.arange(h)[:, None] + np.round(shift).astype(int), 0, h - 1)
    return Image.fromarray(np.asarray(canvas)[rows, np.arange(w)])


def photograph(plate: Image.Image, rng: Rng, without: Collection[str] = ()) -> np.ndarray:
    """Look at a mounted plate, drawn at 2 mm a pixel, from off its axis and crop it as a detector would.

    `without` leaves out what it names of "mount", "view", "bend" and "crop". Returns uint8 (h, w, 3), 16 to 42 high.
    """
    w, h = plate.size
    corners = MARGIN + np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
    steep = rng.random() < 0.4  # a camera held by hand, against one that looks along the lane
    x, y = ((corners - corners.mean(axis=0)) / (w, h)).T
    rise = rng.normal(0, 0.25 if steep else 0.06)  # of the baseline, in plate heights
    slant = rng.normal(0, 0.09 if steep else 0.02)  # of the uprights, in plate widths
    far_x, far_y = rng.normal(0, 0.06, 2)
    depth = 1 + far_x * x + far_y * y
    quad = np.stack([x, y] if "view" in without else [(x + slant * y) / depth, (y + rise * x) / depth], axis=1)
    low, high = quad.min(axis=0), quad.max(axis=0)
    # Margins in plate widths and heights: negative ones cut into the plate.
    mean, spread = ((0.005, 0.01), (0.015, 0.05)) if steep else ((0.0, -0.02), (0.035, 0.09))
    height = int(rng.integers(18, 36) if steep else rng.integers(24, 43))
    if not steep and rng.random() < 0.25:  # a far plate, of which the detector took too little
        mean, spread, height = (-0.025, -0.12), (0.012, 0.05), int(rng.integers(16, 28))
    if "crop" not in without:
        low, high = low - rng.normal(mean, spread), high + rng.normal(mean, spread)
    width = round(height * rng.uniform(3.2, 4.4))
    # Half as many pixels again as the camera has: less would let thin strokes fall between two samples.
    fine = round(1.5 * width), round(1.5 * height)
    numbers = homography((quad - low) / (high - low) * fine, corners)
    if "mount" in without:
        canvas = Image.new("RGB", (w + 2 * MARGIN, h + 2 * MARGIN), (60, 60, 62))
        canvas.paste(plate, (MARGIN, MARGIN))
    else:
        canvas = mount(plate, rng)
    if "bend" not in without and rng.random() < 0.2:
        canvas = bend(canvas, rng)
    view = canvas.transform(fine, Image.Transform.PERSPECTIVE, numbers, BILINEAR)
    return np.asarray(view.resize((width, height), Image.Resampling.HAMMING))


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


def occlusion(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A rope, a bar or a leaf hides a little of the plate, never a whole character."""
    h, w = image.shape[:2]
    picture, tone = Image.fromarray(image), tuple(int(v) for v in rng.integers(0, 230, 3))
    draw, x, y = ImageDraw.Draw(picture), rng.uniform(0, w), rng.uniform(0, h)
    if rng.random() < 0.5:
        angle, thick = rng.uniform(0, np.pi), max(1, round(rng.uniform(0.02, 0.09) * h))
        dx, dy = w * np.cos(angle), w * np.sin(angle)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=tone, width=thick)
    else:
        rx, ry = rng.uniform(0.03, 0.14, 2) * h
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=tone)
    return np.asarray(picture)


def shadow(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The edge of a shadow falls across the plate."""
    h, w = image.shape[:2]
    slope, offset, soft = rng.normal(0, 1), rng.uniform(-0.5, 0.5), rng.uniform(0.02, 0.3)
    y, x = np.ogrid[-0.5 : 0.5 : h * 1j, -0.5 : 0.5 : w * 1j]
    inside = (y + slope * x - offset) * (1 if rng.random() < 0.5 else -1)
    return _uint8(image * (1 - rng.uniform(0.3, 0.7) * np.clip(inside / soft, 0, 1))[..., None])


def dirt(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Mud and dust in patches."""
    cells = int(rng.integers(6, 24))  # bumps along the width
    coarse = Image.fromarray(rng.random((max(2, cells // 3), cells), dtype=np.float32))
    cloud = np.asarray(coarse.resize(image.shape[1::-1], BICUBIC))
    cover = np.clip(cloud - rng.uniform(0.55, 0.8), 0, 1) * 2.2
    mud = rng.uniform(50, 150) * np.array([1.05, 1.0, 0.9])
    return _uint8(image + (mud - image) * np.minimum(cover, 0.75)[..., None])


def glare(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A lamp or the sun is mirrored in the plate."""
    h, w = image.shape[:2]
    cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(0.3, 1.2) * h
    y, x = np.ogrid[:h, :w]
    spot = np.exp(-((y - cy) ** 2 + (x - cx) ** 2 / 3) / (2 * r * r))
    return _uint8(image + rng.uniform(50, 190) * spot[..., None])


def night(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Little light: dark, grainy, tinted by the lamps."""
    tint = rng.uniform(0.4, 0.75) * np.exp(rng.normal(0, 0.1, 3))
    return noise(image * tint.astype(np.float32), rng, 4)


def overexposure(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Too much light: colors run up to white."""
    return _uint8(image * np.float32(rng.uniform(1.15, 1.7)) + np.float32(rng.uniform(0, 25)))


def low_contrast(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Haze or a worn plate: everything moves toward one grey."""
    keep = rng.uniform(0.4, 0.85)
    return _uint8(image * np.float32(keep) + np.float32((1 - keep) * rng.uniform(50, 130)))


def color_cast(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A wrong white balance, and more or less color."""
    vivid, gains = rng.uniform(0.3, 1.25), np.exp(rng.normal((-0.07, -0.02, 0.06), (0.1, 0.07, 0.11)))
    # One 3 x 3 matrix: mix each channel with grey, then scale it.
    mix = (np.eye(3) * vivid + (1 - vivid) / 3) * gains
    return _uint8(image @ mix.astype(np.float32))


def blur(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The lens is out of focus."""
    radius = rng.uniform(0.012, 0.036) * image.shape[0]
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def motion_blur(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The car moves while the shutter is open."""
    h, w = image.shape[:2]
    length, angle = rng.uniform(0.06, 0.16) * h, rng.uniform(0, np.pi)
    steps = np.linspace(-0.5, 0.5, 2 * int(length / 2) + 3) * length
    total = np.zeros(image.shape, np.float32)
    for dx, dy in np.round(np.stack([steps * np.cos(angle), steps * np.sin(angle)], 1)).astype(int):
        total += np.roll(image, (dy, dx), (0, 1))
    return _uint8(total / len(steps))


def low_resolution(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The plate was far away: made smaller and larger again."""
    h, w = image.shape[:2]
    part = rng.uniform(0.4, 0.8)
    small = Image.fromarray(image).resize((max(8, round(w * part)), max(8, round(h * part))), BILINEAR)
    way = (BICUBIC, BILINEAR, Image.Resampling.NEAREST)[rng.choice(3, p=(0.5, 0.3, 0.2))]
    return np.asarray(small.resize((w, h), way))


def sharpen(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Cameras sharpen by themselves, which leaves dark seams around bright strokes."""
    amount = np.float32(rng.uniform(0.4, 2.0))
    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.0)))
    return _uint8(image * (1 + amount) - soft * amount)


def noise(image: np.ndarray, rng: Rng, most: float = 9) -> np.ndarray:
    """Grain of the sensor, with a deviation of 1 to `most`."""
    return _uint8(image + np.float32(rng.uniform(1, most)) * rng.standard_normal(image.shape, np.float32))


def jpeg(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The blocks and rings of a small file."""
    return saved(image, int(rng.integers(35, 90)))


#: name -> (how often it happens, function), in the order of the real world: scene, light, lens, sensor, file.
DEGRADATIONS: dict[str, tuple[float, Callable[[np.ndarray, Rng], np.ndarray]]] = {
    "dirt": (0.15, dirt), "occlusion": (0.08, occlusion), "shadow": (0.15, shadow), "glare": (0.08, glare),
    "low_contrast": (0.35, low_contrast), "color_cast": (0.7, color_cast), "night": (0.12, night),
    "overexposure": (0.2, overexposure), "blur": (0.4, blur), "motion_blur": (0.15, motion_blur),
    "low_resolution": (0.2, low_resolution), "sharpen": (0.6, sharpen), "noise": (0.5, noise), "jpeg": (0.7, jpeg),
}  # fmt: skip


def degrade(
    image: np.ndarray, rng: Rng, names: Collection[str] | None = None, without: Collection[str] = ()
) -> np.ndarray:
    """Spoil `image`, uint8 (H, W, 3), by chance but never by those in `without`, or by exactly those in `names`.

    Raises a ValueError where `DEGRADATIONS` lacks one of `names`. Taught in notebook 01.
    """
    require_known("degradation", DEGRADATIONS, *(names or ()))
    for name, (chance, function) in DEGRADATIONS.items():
        if name in names if names is not None else rng.random() < chance and name not in without:
            image = function(image, rng)
    return image
