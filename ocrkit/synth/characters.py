"""Draws single Chinese characters, letters and digits: another script, on which the body of a glyph model can begin."""

from functools import partial

import numpy as np
import pandas as pd

from ocrkit.synth.bulk import render_many
from ocrkit.synth.lines import random_face, render_line
from ocrkit.text.alphabets import ALPHABETS


def render_characters(
    n: int, seed: int = 0, size: tuple[int, int] = (64, 64), workers: int = 0, first: int = 0, split: str = "train"
) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw `n` pictures of one character each, as `render_plates` draws plates; for notebook 09.

    The characters are those of `ALPHABETS["look-alikes"]`, all equally likely, as `render_line` prints and spoils them.

    Args:
        split: "train" or "test": no family of fonts is in both.

    Returns:
        `(images, table)`: images uint8 (n, H, W, 3), and a table with `text` (the character), `face` and `split`.
    """
    draw = partial(_random_character, size=tuple(size), split=split)
    return render_many(draw, ("text", "face"), n, seed, size, workers, first, split)


def _random_character(
    i: int, rng: np.random.Generator, size: tuple[int, int], split: str
) -> tuple[str, str, np.ndarray]:
    characters = ALPHABETS["look-alikes"]
    character, face = characters[rng.integers(len(characters))], random_face(rng, split)
    return character, face[0], render_line(character, face, rng, size=size)
