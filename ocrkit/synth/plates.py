"""Draws Chinese number plates as GA 36 prescribes them, with their labels. Taught in notebook 01."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ocrkit.data.images import resize
from ocrkit.synth.atlas import load_atlas
from ocrkit.synth.bulk import Rendered, render_many
from ocrkit.synth.degrade import DEGRADATIONS, photograph
from ocrkit.synth.degrade import degrade as spoil
from ocrkit.synth.ink import Rng, Seed, Size, one_of, require_known, reweigh, weighted
from ocrkit.text.alphabets import DIGITS, PLATE_LETTERS, PROVINCES, plate_kind
from ocrkit.text.strings import normalize, quote

RGB = tuple[int, int, int]
SIZE = (32, 128)  # height and width in pixels of a picture by default


@dataclass(frozen=True)
class PlateColor:
    """One color of GA 36: its paints, what share of random plates has it, and which texts it may carry."""

    ground: RGB
    ink: RGB
    share: float
    kinds: tuple[str, ...]  # keys of ocrkit.text.alphabets.PLATE_PATTERNS
    marks: str = ""  # last characters that a "marked" plate of this color may have
    red: str = ""  # characters painted red


#: What makes a drawn plate look like a photographed one; `without` of the render functions takes these names.
INGREDIENTS = ("letterforms", "paint", "mount", "bend", "view", "crop", *DEGRADATIONS)

WHITE, BLACK, RED = (240, 242, 245), (22, 22, 24), (200, 30, 35)
PLATE_COLORS = {
    "blue": PlateColor((22, 62, 168), WHITE, 0.60, ("standard",)),
    "yellow": PlateColor((186, 140, 40), BLACK, 0.16, ("standard", "marked"), "挂学"),
    "green": PlateColor((96, 190, 120), BLACK, 0.14, ("new energy",)),
    "white": PlateColor(WHITE, BLACK, 0.05, ("marked",), "警", red="警"),
    "black": PlateColor(BLACK, WHITE, 0.05, ("marked", "embassy"), "港澳领", red="使领"),
}


class Box(NamedTuple):
    """A character and its box in mm, from the top left corner of the plate."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def plate_size(text: str) -> tuple[int, int]:
    """Height and width in mm of the plate that carries `text`: eight characters need 480 mm, not 440."""
    return 140, 480 if len(text) == 8 else 440


def plate_layout(text: str) -> list[Box]:
    """Return the `Box` of each character of `text`. Source: GA 36.

    Characters are 45 x 90 mm and 12 mm apart, with 34 mm after the second for the dot; on new energy
    plates all but the first are 43 mm wide and 9 mm apart, with 49 mm after the second.
    """
    width, gap, wide_gap = (43, 9, 49) if len(text) == 8 else (45, 12, 34)
    boxes, x = [], 15.5
    for k, c in enumerate(text):
        right = x + (45 if k == 0 else width)
        boxes.append(Box(c, x, 25, right, 115))
        x = right + (wide_gap if k == _dot_after(text) else gap)
    return boxes


def _dot_after(text: str) -> int:
    """Index of the character before the dot: embassy plates have it after the country's three digits."""
    return 3 if text.startswith("使") else 1


def random_plate_text(rng: Rng, color: str | None = None, province: str | None = None) -> tuple[str, str]:
    """Return `(text, color)` of a made-up plate; colors come by their `share`, provinces all alike.

    Embassy plates have no province, and Hong Kong and Macau cars always are 粤Z, as in life. Taught in notebook 01.
    """
    if color is None:
        color = weighted({name: paint.share for name, paint in PLATE_COLORS.items()}, rng)
    require_known("plate color", PLATE_COLORS, color)
    head = (province or one_of(PROVINCES, rng)) + one_of(PLATE_LETTERS, rng)
    roll = rng.random()
    if color == "blue":  # O in second place stands on old official cars only
        text = (head[0] + "O" if roll < 0.02 else head) + _serial(rng, 5)
    elif color == "yellow":
        text = head + (_serial(rng, 5) if roll < 0.7 else _serial(rng, 4) + ("挂" if roll < 0.85 else "学"))
    elif color == "white":
        text = head + _serial(rng, 4) + "警"
    elif color == "green":
        numbers = "".join(one_of(DIGITS, rng) for _ in range(5))
        if roll < 0.2:  # buses and lorries
            text = head + numbers + one_of("DF", rng)
        else:
            second = one_of(PLATE_LETTERS, rng) if rng.random() < 0.3 else numbers[0]
            text = head + one_of("DDDDFFABCEGHJK", rng) + second + numbers[1:]
    elif roll < 0.4:
        text = "使" + "".join(one_of(DIGITS, rng) for _ in range(6))
    elif roll < 0.6:
        text = head + _serial(rng, 4) + "领"
    else:
        text = "粤Z" + _serial(rng, 4) + ("港" if roll < 0.8 else "澳")
    return text, color


def _serial(rng: Rng, n: int) -> str:
    """Return `n` digits of which up to two are letters, about as often as on the road."""
    out = [one_of(DIGITS, rng) for _ in range(n)]
    letters = int(np.searchsorted((0.1, 0.5), rng.random(), side="right"))
    for k in rng.permutation(n)[:letters]:
        out[k] = one_of(PLATE_LETTERS, rng)
    return "".join(out)


def render_plate(
    text: str,
    color: str = "blue",
    rng: Seed = None,
    degrade: bool = True,
    size: Size | None = None,
    without: Collection[str] = (),
) -> np.ndarray:
    """Draw one plate, such as `皖A25V59`, and return it as uint8 (H, W, 3). Taught in notebook 01.

    Raises a ValueError for an unknown color or ingredient, and a text that the atlas or the color does not have.

    Args:
        color: a key of `PLATE_COLORS`; `text` must be of a kind that this color carries.
        degrade: False draws the plate flat and clean, as it left the factory.
        size: of the result. By default 1 pixel a mm when clean, and when degraded as few as the camera saw.
        without: names of `INGREDIENTS` to leave out, to see what each is worth.
    """
    text = normalize(text)
    _check(text, color)
    require_known("ingredient", INGREDIENTS, *without)
    rng = np.random.default_rng(rng)
    if degrade:
        image = spoil(photograph(_flat(text, color, rng, 2, without), rng, without), rng, without=without)
    else:
        image = np.asarray(_flat(text, color, None, 1))
    return image if size is None else resize(image, size)


def render_plates(
    n: int, seed: int = 0, size: Size | None = SIZE, workers: int = 0, first: int = 0, without: Collection[str] = ()
) -> Rendered:
    """Draw `n` random plates, the fast way to a training set that never touches the disk. Taught in notebook 01.

    Plate i depends on `seed` and i alone, so neither `n` nor the number of `workers` (processes; 0 or 1 draws here)
    changes its pixels. `size` is that of all images, None leaves each in its own; `first` is the number of the first.

    Returns `(images, table)`: images uint8 (n, H, W, 3), or a list of them without `size`, and a table with the
    columns `text`, `color` and `split` ("train"), one row an image.
    """
    return render_many(
        partial(_random_plate, without=without), ("text", "color"), n, seed, size, workers, first, "train"
    )


def _random_plate(i: int, rng: Rng, without: Collection[str]) -> tuple:
    # The province is fixed by i, so that any 31 in a row have all of them.
    text, color = random_plate_text(rng, province=PROVINCES[i % len(PROVINCES)])
    return text, color, render_plate(text, color, rng, without=without)


def _check(text: str, color: str) -> None:
    require_known("plate color", PLATE_COLORS, color)
    paint, kind = PLATE_COLORS[color], plate_kind(text)
    if lacking := [c for c in dict.fromkeys(text) if c not in load_atlas()[0]]:
        raise ValueError(f"label {text!r} has {quote(lacking)}, which the atlas lacks; leave it out")
    if kind not in paint.kinds or (kind == "marked" and text[-1] not in paint.marks):
        wanted = " or ".join(paint.kinds) + (f" with {'/'.join(paint.marks)}" if paint.marks else "")
        raise ValueError(
            f"label {text!r} does not fit a {color} plate, which carries a text of the kind {wanted} "
            f"(ocrkit.text.alphabets.PLATE_PATTERNS); this one is {kind or 'of no known kind'}"
        )


def _flat(text: str, color: str, rng: Rng | None, shrink: int, without: Collection[str] = ()) -> Image.Image:
    """Draw the plate alone, straight from the front, `shrink` mm a pixel; with `rng`, letterforms and paints vary."""
    paint, (glyphs, latin_rows, chinese_rows) = PLATE_COLORS[color], load_atlas()
    height, width = plate_size(text)
    forms = None if "letterforms" in without else rng
    paints = None if "paint" in without else rng
    latin, chinese = (1, 1) if forms is None else (forms.integers(latin_rows), forms.integers(chinese_rows))
    ink = _line_and_dot(height, width, plate_layout(text)[_dot_after(text)].right).copy()
    red = np.zeros_like(ink) if any(c in paint.red for c in text) else None
    for box in plate_layout(text):
        glyph = glyphs[box.text][latin if box.text.isascii() else chinese]
        if forms is not None and not box.text.isascii() and forms.random() < 0.7:
            glyph = _redraw(glyph, forms)
        left, top, inset = int(box.left), int(box.top), (45 - int(box.right - box.left)) // 2
        layer = red if box.text in paint.red else ink
        layer[top : top + 90, left : left + 45 - 2 * inset] = glyph[:, inset : 45 - inset]
    image = _ground(color, color == "green" and text[-1] not in DIGITS, width, shrink).copy()
    if paints is not None and color == "blue":  # sun and cheap sensors turn the blue toward cyan
        image.paste(_vary((22, 62 + int(60 * rng.random() ** 2), 168), rng), (0, 0, *image.size))
    mask = Image.fromarray(ink).reduce(shrink)
    if forms is not None and forms.random() < 0.5:
        mask = reweigh(mask, forms, 1, (68, 203), 2.2)
    image.paste(_vary(paint.ink, paints), None, mask)
    if red is not None:
        image.paste(_vary(RED, paints), None, Image.fromarray(red).reduce(shrink))
    return image


def _redraw(glyph: np.ndarray, rng: Rng) -> np.ndarray:
    """Move the middle cross of a glyph, uint8 (90, 45): the provinces were drawn by hand, in many workshops."""
    h, w = glyph.shape
    top, bottom, middle = w * (0.5 + rng.uniform(-0.09, 0.09, 3))
    left, right, center = h * (0.5 + rng.uniform(-0.06, 0.06, 3))
    quarters = [  # of the result, and the crooked quarter of the source that fills each: NW, SW, SE, NE corner
        ((0, 0, w // 2, h // 2), (0, 0, 0, left, middle, center, top, 0)),
        ((w // 2, 0, w, h // 2), (top, 0, middle, center, w, right, w, 0)),
        ((0, h // 2, w // 2, h), (0, left, 0, h, bottom, h, middle, center)),
        ((w // 2, h // 2, w, h), (middle, center, bottom, h, w, h, w, right)),
    ]
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(glyph).transform((w, h), Image.Transform.MESH, quarters, bilinear))


@cache
def _line_and_dot(height: int, width: int, before_dot: float) -> np.ndarray:
    """The frame line and the dot, as ink (height, width)."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((4, 4, width - 5, height - 5), radius=9, outline=255, width=3)
    gap = 49 if width == 480 else 34
    x, y = before_dot + gap / 2, height / 2
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=255)
    return np.asarray(image)


@cache
def _ground(color: str, large: bool, width: int, shrink: int) -> Image.Image:
    """The painted ground, 140 mm high. Green fades in from white; large vehicles have a yellow third."""
    ground = np.tile(np.array(PLATE_COLORS[color].ground, float), (140, width, 1))
    if large:
        ground[:, :148] = PLATE_COLORS["yellow"].ground
    elif color == "green":
        down = np.linspace(0, 1, 140)[:, None, None] ** 1.3
        ground = np.array([225, 238, 228.0]) * (1 - down) + ground * down
    return Image.fromarray(np.round(ground).astype(np.uint8)).reduce(shrink)


def _vary(paint: RGB, rng: Rng | None) -> RGB:
    return paint if rng is None else tuple(np.clip(np.array(paint) + rng.normal(0, 6, 3), 0, 255).astype(int).tolist())
