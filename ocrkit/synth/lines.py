"""Draws lines of look-alikes that the shape alone tells apart: 未 and 末, 0 and O. Taught in notebook 07."""

from functools import cache, partial

import numpy as np
from PIL import Image

from ocrkit.data.images import resize
from ocrkit.synth.bulk import Rendered, render_many
from ocrkit.synth.degrade import degrade as spoil
from ocrkit.synth.faces import CELL, load_faces
from ocrkit.synth.ink import Rng, Seed, Size, mapped, one_of, require_known, reweigh
from ocrkit.text.alphabets import ALPHABETS, LOOK_ALIKES, UNLIKE
from ocrkit.text.strings import normalize, quote

Face = tuple[str, str]  # the names of the faces for Chinese characters, and for letters and digits
SIZE = (32, 160)  # height and width in pixels of a line by default
#: Of `degrade.DEGRADATIONS`, what happens on the road only, or wipes thin strokes off white paper.
UNFIT = ("dirt", "occlusion", "night", "motion_blur", "overexposure", "glare")


def random_line_text(rng: Rng) -> str:
    """Three to six characters, of which three in five look like another one; all groups are equally likely."""
    text = ""
    for _ in range(rng.integers(3, 7)):
        text += one_of(one_of(LOOK_ALIKES, rng) if rng.random() < 0.6 else UNLIKE, rng)
    return text


def random_face(rng: Rng, split: str = "train") -> Face:
    """A face for the Chinese characters of a line and one for its letters and digits, which often is the same."""
    names = load_faces()[1]
    require_known("split", names, split)
    chinese, other = (one_of(names[split][part], rng) for part in ("chinese", "latin"))
    return chinese, other if rng.random() < 0.5 else chinese


def render_line(
    text: str, face: Face | None = None, rng: Seed = None, degrade: bool = True, size: Size = SIZE, split: str = "train"
) -> np.ndarray:
    """Draw one line and return it as uint8 (H, W, 3). Taught in notebook 07.

    Raises a ValueError where the text is empty, or a face or one of its characters is not in the atlas.

    Args:
        text: characters of the alphabet `look-alikes`.
        face: what `random_face` gives; drawn from the fonts of `split` by default.
        degrade: False draws black on white, straight, as it left the press.
        size: of the result. The line keeps its proportions and stands on the ground around it.
    """
    rng = np.random.default_rng(rng)
    ink = _ink(normalize(text), face or random_face(rng, split))
    if not degrade:
        mask = _place(ink, size, None)
        return np.repeat(255 - mask[..., None], 3, axis=2)
    if rng.random() < 0.5:
        ink = np.asarray(reweigh(Image.fromarray(np.pad(ink, 2)), rng, 0.8, (85, 165), 2))[2:-2, 2:-2]
    # As the camera saw it, a little smaller or larger than asked for.
    height = int(rng.integers(24, 41))
    mask = _place(ink, (height, round(height * size[1] / size[0])), rng)
    return resize(spoil(_print(mask, rng), rng, without=UNFIT), size)


def render_lines(
    n: int, seed: int = 0, size: Size = SIZE, workers: int = 0, first: int = 0, split: str = "train"
) -> Rendered:
    """Draw `n` random lines in the fonts of `split`, "train" or "test"; for notebook 07.

    Takes and returns as `render_plates`, with a table of the columns `text`, `face` and `split`.
    """
    draw = partial(_random_line, size=size, split=split)
    return render_many(draw, ("text", "face"), n, seed, size, workers, first, split)


def render_characters(
    n: int, seed: int = 0, size: Size = (64, 64), workers: int = 0, first: int = 0, split: str = "train"
) -> Rendered:
    """`render_lines` with one character each, of `ALPHABETS["look-alikes"]`, all equally likely; for notebook 09."""
    draw = partial(_random_line, size=size, split=split, single=True)
    return render_many(draw, ("text", "face"), n, seed, size, workers, first, split)


def _random_line(i: int, rng: Rng, size: Size, split: str, single: bool = False) -> tuple:
    text = one_of(ALPHABETS["look-alikes"], rng) if single else random_line_text(rng)
    face = random_face(rng, split)
    return text, face[0], render_line(text, face, rng, size=size)


def _ink(text: str, face: Face) -> np.ndarray:
    """The line as ink, uint8 (40, W): Chinese characters of one width, letters and digits as wide as they are."""
    glyphs = load_faces()[0]
    require_known("face", glyphs, *face)
    if not text:
        raise ValueError("there is no text to draw: give at least one character")
    parts = []
    for c in text:
        glyph = glyphs[face[1] if c.isascii() else face[0]].get(c)
        if glyph is None:
            raise ValueError(f"label {text!r} has {quote(c)}, which the face {face[0]!r} lacks; leave it out")
        columns = np.flatnonzero(glyph.max(axis=0)) if c.isascii() else _columns(face[0])
        parts.append(np.pad(glyph[:, columns[0] : columns[-1] + 1], ((0, 0), (2, 2) if c.isascii() else (1, 1))))
    return np.concatenate(parts, axis=1)


@cache
def _columns(face: str) -> np.ndarray:
    """Columns of a cell in which some Chinese character of the face has ink: narrow faces are set closer."""
    return np.flatnonzero(np.max([g for c, g in load_faces()[0][face].items() if not c.isascii()], axis=(0, 1)))


def _place(ink: np.ndarray, size: Size, rng: Rng | None) -> np.ndarray:
    """Put the line on an empty ground of `size`; with `rng` of varied size, place, width, slant and turn."""
    (h, w), (height, width) = ink.shape, size
    scale = min(0.84 * height / CELL, 0.96 * width / w)
    across, slant, turn, free = 1.0, 0.0, 0.0, np.array([0.5, 0.5])
    if rng is not None:
        scale *= rng.uniform(0.78, 1.08)
        across = rng.uniform(0.88, 1.08)
        slant = rng.normal(0, 0.1) if rng.random() < 0.4 else 0.0
        turn, free = np.radians(rng.normal(0, 0.8)), rng.uniform(0, 1, 2)
    across = min(across, 0.98 * width / (w * scale))
    forward = scale * np.array([[across, -slant], [0, 1]])
    forward = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ forward
    room = np.array([width, height]) - np.array([w * scale * across, h * scale])
    center = np.array([width, height]) / 2 + (free - 0.5) * np.maximum(room, 0)
    return mapped(ink, forward, np.array([w, h]) / 2, size, center)


def _print(mask: np.ndarray, rng: Rng) -> np.ndarray:
    """Ink of some color on a ground of some other, which shades from one side to the other: uint8 (H, W, 3)."""
    height, width = mask.shape
    light, dark = rng.uniform(165, 250) + rng.normal(0, 5, 3), rng.uniform(5, 90) + rng.normal(0, 8, 3)
    if rng.random() < 0.15:  # a sign or a screen: colored ground, light letters
        light, dark = rng.uniform(10, 110, 3), rng.uniform(200, 250) + rng.normal(0, 6, 3)
    slope = rng.normal(0, 14, 2)
    shade = slope[0] * np.linspace(-1, 1, width)[None, :] + slope[1] * np.linspace(-1, 1, height)[:, None]
    ground = light + shade[..., None] + rng.normal(0, rng.uniform(0, 5), (height, width, 1))
    ink = mask[..., None] / 255.0
    return np.clip(ground * (1 - ink) + dark * ink, 0, 255).astype(np.uint8)
