"""The atlas of plate characters. Chinese ones are drawn from open fonts, letters and digits from the stroke table here:
no open font has the condensed, even-stroked shapes that GA 36 prescribes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ocrkit.text.alphabets import ALPHABETS
from tools.atlases.fonts import Face, open_font, stack

CELL = (90, 45)  # height and width of a character in mm, and in pixels of the atlas
LATIN = "".join(c for c in ALPHABETS["plates"] if c.isascii())
CHINESE = "".join(c for c in ALPHABETS["plates"] if not c.isascii())
#: Width in mm of a letter's stroke in each Latin row of the atlas; the standard's is about 10.
LATIN_WEIGHTS = (8.5, 10.0, 11.5)
# Noto is under the SIL OFL 1.1, Micro Hei under Apache 2.0.
_NOTO = Face("opentype/noto/NotoSansCJK-Regular.ttc", "fonts-noto-cjk", index=2)
_MICRO_HEI = Face("truetype/wqy/wqy-microhei.ttc", "fonts-wqy-microhei")
#: Chinese rows of the atlas: font, mm that upright strokes may grow by, mm that level strokes grow by.
CHINESE_FACES = ((_NOTO, 1.8, 0.0), (_NOTO, 2.8, 0.0), (_NOTO, 3.6, 0.8), (_MICRO_HEI, 3.0, 0.3))
_SCALE = 8  # pixels a mm while a glyph is drawn

# Center lines of the strokes in mm, for a stroke of 10 mm in the 45 x 90 box (x to the right, y down).
# `x,y` is a corner, `x,y,r` a rounded one whose curve begins r mm before it. A trailing `z` closes the
# stroke. Lines that run out of the box are cut at its edge, which gives the flat ends of A, V and W.
_STADIUM = "5,5,17.5 40,5,17.5 40,85,17.5 5,85,17.5 z"
STROKES = {
    "0": _STADIUM,
    "1": "22.5,0 22.5,90",
    "2": "5,27 5,5,17.5 40,5,17.5 40,42,20 5,82; 0,85 45,85",
    "3": "2,5 38,5 18,40; 17,40 40,40,18 40,85,18 5,85,17.5 5,65",
    "4": "27,-4 4,71; 0,70 45,70; 33,42 33,90",
    "5": "42,5 7,5; 8,0 8,46; 7,47 9,35,12 40,35,17.5 40,85,17.5 5,85,17.5 5,65",
    "6": "32,-4 5,50,22 5,62; 5,37,17 40,37,17 40,85,17.5 5,85,17.5 z",
    "7": "0,5 40,5; 40,2 21,48,30 17,94",
    "8": "6.5,5,16 38.5,5,16 38.5,42,16 6.5,42,16 z; 5,42,17.5 40,42,17.5 40,85,17.5 5,85,17.5 z",
    "9": "13,94 40,40,22 40,28; 5,5,17.5 40,5,17.5 40,53,17 5,53,17 z",
    "A": "2,95 20,-6; 43,95 25,-6; 8,66 37,66",
    "B": "5,0 5,90; 0,5 38,5,16 38,42,16 5,42; 5,42 40,42,17 40,85,17 0,85",
    "C": "40,29 40,5,17.5 5,5,17.5 5,85,17.5 40,85,17.5 40,61",
    "D": "5,0 5,90; 0,5 40,5,17.5 40,85,17.5 0,85",
    "E": "5,0 5,90; 0,5 44,5; 5,43 39,43; 0,85 45,85",
    "F": "5,0 5,90; 0,5 45,5; 5,44 39,44",
    "G": "40,28 40,5,17.5 5,5,17.5 5,85,17.5 40,85,17.5 40,48; 23,52 45,52",
    "H": "5,0 5,90; 40,0 40,90; 5,44 40,44",
    "J": "39,0 39,85,17 5,85,17 5,63",
    "K": "5,0 5,90; 44,-6 6,56; 17,36 43,96",
    "L": "5,0 5,90; 0,85 45,85",
    "M": "5,0 5,90; 40,0 40,90; 4,-4 22.5,59 41,-4",
    "N": "5,0 5,90; 40,0 40,90; 4,-4 41,94",
    "O": _STADIUM,
    "P": "5,0 5,90; 0,5 40,5,17 40,49,17 5,49",
    "Q": _STADIUM + "; 24,62 42,93",
    "R": "5,0 5,90; 0,5 40,5,17 40,48,17 5,48; 22,46 43,96",
    "S": "40,26 40,5,17.5 5,5,17.5 5,39,15 40,49,15 40,85,17.5 5,85,17.5 5,64",
    "T": "0,5 45,5; 22.5,0 22.5,90",
    "U": "5,0 5,85,17.5 40,85,17.5 40,0",
    "V": "3,-6 20.5,96; 42,-6 24.5,96",
    "W": "4,-6 12.5,88 22.5,28 32.5,88 41,-6",
    "X": "3,-8 42,98; 42,-8 3,98",
    "Y": "2,-8 22.5,50 43,-8; 22.5,48 22.5,90",
    "Z": "2,5 41,5; 41,3 5,86; 3,85 45,85",
}


def build_plates() -> tuple[np.ndarray, dict]:
    """Draw all characters of the alphabet `plates`: the sheet, uint8 (H, W), and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its Debian package.
    """
    rows = [_row([_latin(c, weight) for c in LATIN]) for weight in LATIN_WEIGHTS]
    rows += [_row([_chinese(c, *face) for c in CHINESE]) for face in CHINESE_FACES]
    parts = [
        {"characters": LATIN, "faces": [f"stroke {w} mm" for w in LATIN_WEIGHTS]},
        {"characters": CHINESE, "faces": [f"{f.path.stem} +{x} +{y} mm" for f, x, y in CHINESE_FACES]},
    ]
    return stack(rows), {"cell": CELL, "parts": parts}


def _row(glyphs: list[Image.Image]) -> np.ndarray:
    small = [g.resize(CELL[::-1], Image.Resampling.BOX) for g in glyphs]
    return np.concatenate([np.asarray(g) for g in small], axis=1)


def _latin(c: str, weight: float) -> Image.Image:
    """Draw a letter or digit from `STROKES`, its strokes `weight` mm wide."""
    image = Image.new("L", (CELL[1] * _SCALE, CELL[0] * _SCALE))
    draw = ImageDraw.Draw(image)
    size = np.array([CELL[1], CELL[0]], float)
    for stroke in STROKES[c].split(";"):
        line = _flatten(stroke)
        # Move the center lines so that a thinner or thicker stroke still fills the box.
        line = weight / 2 + (line - 5) * (size - weight) / (size - 10)
        draw.line([tuple(p) for p in line * _SCALE], fill=255, width=round(weight * _SCALE), joint="curve")
    return image


def _flatten(stroke: str) -> np.ndarray:
    """Turn a stroke of `STROKES` into points (n, 2) in mm; rounded corners become cubic curves."""
    words = stroke.split()
    closed = words[-1] == "z"
    corners = [[float(v) for v in w.split(",")] for w in words[: len(words) - closed]]
    points, t = [], np.linspace(0, 1, 17)[:, None]
    for k, (x, y, *r) in enumerate(corners):
        p = np.array([x, y])
        if not r:
            points.append(p[None])
            continue
        a, b = (np.array(corners[(k + d) % len(corners)][:2]) - p for d in (-1, 1))
        a, b = (p + v * min(r[0] / np.hypot(*v), 1) for v in (a, b))
        c, d = a + (p - a) * 0.5523, b + (p - b) * 0.5523  # the cubic closest to a quarter circle
        points.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * c + 3 * (1 - t) * t**2 * d + t**3 * b)
    line = np.concatenate(points)
    # A closed stroke overlaps its own start, so that no notch is left at the seam.
    return np.concatenate([line, line[:2]]) if closed else line


def _chinese(c: str, face: Face, grow_x: float, grow_y: float) -> Image.Image:
    """Draw a Chinese character squeezed to 45 x 90 mm, with upright strokes as wide as level ones."""
    font = open_font(face, 800)
    wide = Image.new("L", (1200, 1200))
    ImageDraw.Draw(wide).text((200, 100), c, fill=255, font=font)
    wide = wide.crop(wide.getbbox())
    # The squeeze leaves upright strokes thinner than level ones, so they grow sideways, but in crowded
    # characters (藏, 赣) only as far as the gaps between the strokes allow.
    for grow in np.arange(grow_x, 0.3, -0.4):
        size = round((43 - grow) * _SCALE), round((87 - grow_y) * _SCALE)
        ink = np.asarray(wide.resize(size, Image.Resampling.LANCZOS))
        ink = _grow(_grow(ink, round(grow * _SCALE), axis=1), round(grow_y * _SCALE), axis=0)
        if ink.mean() < 255 * 0.5:
            break
    full = Image.new("L", (CELL[1] * _SCALE, CELL[0] * _SCALE))
    full.paste(Image.fromarray(ink), ((full.width - ink.shape[1]) // 2, (full.height - ink.shape[0]) // 2))
    return full


def _grow(ink: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Make the ink, and the picture, `n` pixels longer along `axis`."""
    pad = [(n, n) if a == axis else (0, 0) for a in (0, 1)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(ink, pad), n + 1, axis=axis)
    return windows.max(axis=-1)
