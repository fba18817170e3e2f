"""Measures of images that may explain errors: size, contrast, sharpness, tilt. Taught in notebook 05."""

import numpy as np
import pandas as pd

from ocrkit.data.images import ImageError, read_sample, resize
from ocrkit.text.alphabets import PROVINCE_NAMES
from ocrkit.text.strings import normalize

_ANGLES = np.arange(-20, 21)  # degrees; a line of 100 pixels leans by one pixel to the next in about one degree


def image_facts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the table with what can be measured of each image; a column that is there already is kept.

    Columns: `brightness` (mean, 0..255), `blur` (spread of the grey values over the spread of their steps from pixel
    to pixel, in pixels of an image 32 pixels high; low is sharp), `tilt` (angle of the line in degrees, -20 to 20,
    positive where it falls to the right), `length` (of the label, in code points) and `province` (the character, of
    labels that begin with one, else ""). All of an unreadable image but the last two is NaN. Taught in notebook 05.
    """
    measured = [_measure(row) for row in samples.itertuples()]
    facts = pd.DataFrame(measured, columns=["brightness", "blur", "tilt"], index=samples.index)
    if "text" in samples:
        facts["length"] = samples["text"].map(normalize).str.len()
        facts["province"] = [text[:1] * (text[:1] in PROVINCE_NAMES) for text in samples["text"]]
    return samples.assign(**{name: values for name, values in facts.items() if name not in samples})


def _measure(row) -> tuple[float, float, float]:
    try:
        image = read_sample(row, "L")
    except ImageError:
        return np.nan, np.nan, np.nan
    width = min(512, max(8, round(image.shape[1] * 32 / image.shape[0])))
    grey = resize(image, (32, width)).astype(np.float32)
    steps = np.diff(grey, axis=0).var() + np.diff(grey, axis=1).var()
    blur = float(np.sqrt(2 * grey.var() / steps)) if steps > 0 else np.nan
    return float(image.mean()), blur, _tilt(grey)


def _tilt(grey: np.ndarray) -> float:
    """The angle at which the rows differ most: shear, sum each row, and compare it with the next."""
    height, width = grey.shape
    shift = np.tan(np.radians(_ANGLES))[:, None, None] * (np.arange(width) - width / 2)
    rows = np.arange(height)[None, :, None] + np.round(shift).astype(int)
    inside = (rows >= 0) & (rows < height)
    sheared = np.where(inside, grey[rows.clip(0, height - 1), np.arange(width)], grey.mean())
    return float(_ANGLES[np.diff(sheared.mean(axis=2), axis=1).var(axis=1).argmax()])
