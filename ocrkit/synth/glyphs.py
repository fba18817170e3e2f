"""Draws one Persian letter, digit or word on a scrap of a scanned letter, in two sets of classes: the 18 that find the
date, number and title of a business letter, and the 43 of the alphabet. Taught in notebook 09."""

from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ocrkit.synth.bulk import Rendered, render_many
from ocrkit.synth.ink import BICUBIC, Rng, Seed, Size, lay, mapped, one_of, require_known, saved
from ocrkit.synth.ink import reweigh as ink_reweigh
from ocrkit.synth.persian_faces import ALEF, BASELINE, DIGITS, HEIGHT, LETTERS, OTHER, ROUND_FIVES, WORDS, load_persian

TEARDROP = "\u0665"  # stands for a five without a notch at its foot
SIZE = (50, 90)  # height and width in pixels of a picture by default

#: class -> what may stand on its picture. "-" and "_" are drawn as bars.
THESIS_CLASSES: dict[str, tuple[str, ...]] = {
    **{str(k): (digit,) for k, digit in enumerate(DIGITS)},
    **{name: (word,) for name, word in zip(("Date", "dated", "attachment", "number", "title"), WORDS)},
    "dash": ("-",),
    "underscore": ("_",),
    "Otherchar": (*LETTERS, *OTHER),
}
_NAMES = (
    "b p t se jim che h kh d zal r z zh sin shin sad zad t-long z-long ayin ghyin f ghe k g le m n v he ye "
    "zero one two three four five six seven eight nine"
)
#: The names of the folders of the data set DS-1 of github.com/ArtinABS/Persian-Alphabet-Recognition (MIT), in which
#: alef is written out, he has the form that begins a word, and a five with a round foot is a class of its own.
LETTER_CLASSES: dict[str, tuple[str, ...]] = {
    "1-alef": ("الف",),
    **{f"{k}-{name}": (text,) for k, (name, text) in enumerate(zip(_NAMES.split(), [*LETTERS, *DIGITS]), 2)},
    "43-anewfive": ("۵", TEARDROP, TEARDROP),
}
GLYPH_CLASSES = {"thesis": THESIS_CLASSES, "persian-letters": LETTER_CLASSES}


def render_glyph(
    klass: str, face: str | None = None, rng: Seed = None, size: Size = SIZE, degrade: bool = True, split: str = "train"
) -> np.ndarray:
    """Draw one picture of a class and return it as uint8 (H, W, 3); for notebook 09.

    Raises a ValueError where no class, face or split has that name.

    Args:
        klass: a key of `THESIS_CLASSES`, which fills the picture as a crop of a letter does, or of `LETTER_CLASSES`,
            which stands in the middle of a wide white ground.
        face: a name in the atlas; by default drawn from those of `split`, "train", "valid" or "test".
        degrade: False draws black on white, straight and in the middle.
    """
    rng = np.random.default_rng(rng)
    classes = THESIS_CLASSES | LETTER_CLASSES
    require_known("class", classes, klass)
    face = face or random_persian_face(rng, split, klass)
    require_known("face", load_persian().glyphs, face)
    tight, text = klass in THESIS_CLASSES, one_of(classes[klass], rng)
    if text == "۵" and klass == "43-anewfive" and not face.startswith(ROUND_FIVES):
        text = TEARDROP
    ink = _ink(text, face, rng)
    if not degrade:
        return np.repeat(255 - _place(ink, size, text, tight, None)[..., None], 3, axis=2)
    # In three of four, letters of an alphabet are as clean as a program draws them.
    scanned = tight or rng.random() < 0.25
    if rng.random() < 0.5:
        ink = reweigh(ink, rng)
    if not tight and rng.random() < 0.04:
        ink = _outline(ink)
    mask = _place(ink, size, text, tight, rng)
    if tight and rng.random() < 0.35:
        mask = np.maximum(mask, _neighbors(size, face, rng))
    if scanned:
        return scan(mask, rng)
    return np.repeat(saved(255 - mask, int(rng.integers(75, 96)))[..., None], 3, axis=2)


def random_persian_face(rng: Rng, split: str = "train", klass: str = "") -> str:
    """A face of `split`; for a class of fives one with such a five, where there is one."""
    names = load_persian().names
    require_known("split", names, split)
    fit = names[split]
    if klass in ("38-five", "43-anewfive"):
        fit = [n for n in fit if n.startswith(ROUND_FIVES) == (klass == "43-anewfive")] or fit
    return one_of(fit, rng)


def render_glyphs(
    n: int,
    seed: int = 0,
    size: Size = SIZE,
    workers: int = 0,
    first: int = 0,
    split: str = "train",
    classes: str = "thesis",
) -> Rendered:
    """Draw `n` pictures of classes, all equally likely, in the fonts of `split`; for notebook 09.

    Takes and returns as `render_plates`, with a table of `text` (the class), `face` and `split`. Raises a ValueError
    where `classes` is neither "thesis" nor "persian-letters", or there is no such split.
    """
    require_known("set of classes", GLYPH_CLASSES, classes)
    draw = partial(_random_glyph, size=tuple(size), split=split, classes=classes)
    return render_many(draw, ("text", "face"), n, seed, size, workers, first, split)


def _random_glyph(i: int, rng: Rng, size: Size, split: str, classes: str) -> tuple:
    klass = one_of([*GLYPH_CLASSES[classes]], rng)
    face = random_persian_face(rng, split, klass)
    return klass, face, render_glyph(klass, face, rng, size)


def _ink(text: str, face: str, rng: Rng) -> np.ndarray:
    """What stands on the picture as ink, uint8 (64, W), on the baseline of the atlas."""
    glyphs = load_persian().glyphs[face]
    if text in "-_":
        return _bar(text, (glyphs["۱"] > 127).sum() / ALEF, rng)
    if text == TEARDROP or text == "۰" and rng.random() < 0.35:
        return _hollow(text, rng)
    return glyphs[text]


def _bar(text: str, weight: float, rng: Rng) -> np.ndarray:
    """A dash "-" or an underscore "_", uint8 (64, W), in strokes about `weight` pixels thick: many fonts lack both."""
    dash = text == "-"
    thick = float(np.clip(weight * rng.uniform(0.5, 1.0), 1.2, 5))
    long = rng.uniform(5, 12) if dash else rng.uniform(13, 20)
    top = BASELINE - ALEF * rng.uniform(0.25, 0.45) if dash else BASELINE + rng.uniform(2, 7)
    return _fine([[(0, top), (long, top), (long, top + thick), (0, top + thick)]], round(long) + 1)


def _hollow(text: str, rng: Rng) -> np.ndarray:
    """A five with a round foot, which is a hollow drop whose tip leans to the left, or a zero as a small ring."""
    five = text == TEARDROP
    high = ALEF * (rng.uniform(0.8, 1.15) if five else rng.uniform(0.3, 0.5))
    wide = high * (rng.uniform(0.62, 0.82) if five else rng.uniform(0.75, 1.0))
    thick, lean = min(ALEF * rng.uniform(0.07, 0.2), 0.3 * high), rng.uniform(0, 0.2) * wide * five
    low = 0 if five else ALEF * rng.uniform(0.05, 0.3)
    t, sharp = np.linspace(0, 2 * np.pi, 48), rng.uniform(0.7, 1.3) if five else 0.0
    x, y = np.sin(t) * np.abs(np.sin(t / 2)) ** sharp, (1 - np.cos(t)) / 2
    if not five and rng.random() < 0.5:  # a diamond, as a broad pen leaves it
        x, y = np.arcsin(np.sin(t)), np.arccos(np.cos(t)) / np.pi
    x = x / np.abs(x).max() / 2

    def drop(w: float, h: float, up: float) -> list[tuple[float, float]]:
        return list(zip(w * x + wide / 2 + 2 - lean * (1 - y), BASELINE - low - up - h * (1 - y)))

    inner = max(wide - 2 * thick, 1.5), max(high - (2.4 if five else 2) * thick, 1.5), thick
    return _fine([drop(wide, high, 0), drop(*inner)], round(wide) + 4)


def _fine(polygons: list[list[tuple[float, float]]], width: int) -> np.ndarray:
    """Fill polygons of x and y with ink, and every second one with paper: uint8 (64, width)."""
    image = Image.new("L", (width * 4, HEIGHT * 4))
    for k, polygon in enumerate(polygons):
        ImageDraw.Draw(image).polygon([(4 * x, 4 * y) for x, y in polygon], fill=255 * (k % 2 == 0))
    return np.asarray(image.reduce(4))


def _outline(ink: np.ndarray) -> np.ndarray:
    """Only the edge of the strokes, as decorative faces have it."""
    image = Image.fromarray(np.pad(ink, 1))
    wide, narrow = image.filter(ImageFilter.MaxFilter(3)), image.filter(ImageFilter.BoxBlur(0.3))
    return (np.asarray(wide).astype(np.int16) - np.asarray(narrow)).clip(0, 255).astype(np.uint8)[1:-1]


def reweigh(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Make all strokes a little bolder or finer, unless nothing would be left of them."""
    changed = np.asarray(ink_reweigh(Image.fromarray(np.pad(ink, 2)), rng, 0.6, (70, 150), 2.5))[2:-2]
    return changed if changed.max() > 127 else np.pad(ink, ((0, 0), (2, 2)))


def _place(ink: np.ndarray, size: Size, text: str, tight: bool, rng: Rng | None) -> np.ndarray:
    """Put ink on an empty ground of `size`, uint8 (H, W); with `rng` of varied size, place, slant and turn."""
    height, width = size
    rows = np.flatnonzero(ink.max(axis=1) > 60)
    middle = (rows[0] + rows[-1]) / 2
    if text in "-_":
        middle = BASELINE - ALEF * 0.4  # a bar tells by its height on the line what it is
    w, h = ink.shape[1], max(rows[-1] - rows[0] + 1, 4)
    usual = (0.52 if tight else 0.22) * height / ALEF
    scale, across, slant, turn, shift = usual, 1.0, 0.0, 0.0, np.zeros(2)
    if rng is not None:
        scale *= rng.uniform(0.7, 1.35)
        across = rng.uniform(0.85, 1.15)
        slant = rng.normal(0, 0.12) if rng.random() < (0.3 if tight else 0.5) else 0.0
        turn = np.radians(rng.normal(0, 1.5))
        shift = rng.normal(0, 0.02 * height, 2)
    scale = min(scale, 0.92 * width / (w * across), 0.92 * height / h)
    if rng is not None and tight:
        # Crops are not centered: the glyph may stand anywhere across, and a little up or down.
        room = np.maximum([width - w * scale * across, height - h * scale], 0) / 2
        shift = rng.uniform(-0.8, 0.8, 2) * room * ([1, 0.12] if text in "-_" else [1, 0.7])
    forward = scale * np.array([[across, -slant], [0, 1]])
    forward = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ forward
    return mapped(ink, forward, np.array([w / 2, middle + 0.5]), size, np.array([width, height]) / 2 + shift)


def _neighbors(size: Size, face: str, rng: Rng) -> np.ndarray:
    """Pieces of other letters that the crop cuts off at its left or right edge, uint8 (H, W)."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    glyph = Image.fromarray(load_persian().glyphs[face][one_of(LETTERS, rng)])
    scale = height / HEIGHT * rng.uniform(0.8, 1.2)
    glyph = np.asarray(glyph.resize((max(3, round(glyph.width * scale)), round(HEIGHT * scale))))
    part = min(int(rng.integers(2, max(3, round(0.07 * width)) + 1)), glyph.shape[1])
    lay(mask, glyph, part - glyph.shape[1] if rng.random() < 0.5 else width - part, 0)
    return mask


def scan(mask: np.ndarray, rng: Rng) -> np.ndarray:
    """What scanner, threshold and file make of ink: uint8 (H, W, 3)."""
    height, width = mask.shape
    ink = mask.astype(np.float32)
    rough = rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32) * np.float32(rng.uniform(2, 26))
    grain = np.asarray(Image.fromarray(rough).resize((width, height), BICUBIC))
    ink = ink + grain * (ink > 25)
    steep = rng.uniform(2.5, 8) if rng.random() < 0.6 else 1.0  # black and white, or grey
    # Thin strokes never get full; whoever scans them turns the threshold down, or nothing would be left.
    full = np.percentile(mask[mask > 25], 80) / 255 if (mask > 25).any() else 1.0
    ink = np.clip((ink - rng.uniform(90, 135) * min(1.0, full + 0.1)) * steep + 128 if steep > 1 else ink, 0, 255)
    for _ in range(rng.poisson(0.8) if rng.random() < 0.5 else 0):  # specks of dust
        y, x = rng.integers(height), rng.integers(width)
        ink[y : y + rng.integers(1, 3), x : x + rng.integers(1, 3)] = rng.uniform(90, 255)
    if rng.random() < 0.15:
        ink[rng.random(mask.shape) < rng.uniform(0.002, 0.02)] = 220  # pepper of a cheap copy
    light, dark = rng.uniform(200, 256), rng.uniform(0, 80)
    grey = light + (dark - light) * ink / 255
    if rng.random() < 0.4:
        grey += rng.standard_normal(mask.shape, np.float32) * np.float32(rng.uniform(1, 8))
    image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    return np.repeat(saved(np.asarray(image), int(rng.integers(40, 95)))[..., None], 3, axis=2)
