"""Shapes of Persian print that hardly a font has: bars, zeros that are small rings, and fives with a round foot."""

import numpy as np
from PIL import Image, ImageDraw

from ocrkit.synth.persian_faces import ALEF, BASELINE, HEIGHT

TEARDROP = "\u0665"  # stands for a five without a notch at its foot


def draw_bar(text: str, weight: float, rng: np.random.Generator) -> np.ndarray:
    """A dash "-" or an underscore "_", uint8 (64, W), in strokes about `weight` pixels thick: many fonts lack both."""
    dash = text == "-"
    thick = float(np.clip(weight * rng.uniform(0.5, 1.0), 1.2, 5))
    long = rng.uniform(5, 12) if dash else rng.uniform(13, 20)
    top = BASELINE - ALEF * rng.uniform(0.25, 0.45) if dash else BASELINE + rng.uniform(2, 7)
    return _fine([[(0, top), (long, top), (long, top + thick), (0, top + thick)]], round(long) + 1)


def draw_hollow(text: str, rng: np.random.Generator) -> np.ndarray:
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
