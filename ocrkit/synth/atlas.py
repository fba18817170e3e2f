"""The glyph atlases: characters as small pictures, so that rendering needs no fonts; `tools/atlases` draws them."""

import json
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image


def atlas_file(name: str) -> Path:
    """Where the sheet of an atlas lies; beside it a JSON file says what stands where."""
    return Path(__file__).with_name(f"{name}_atlas.png")


@cache
def load_sheet(name: str) -> tuple[np.ndarray, dict]:
    """Return `(sheet, index)` of an atlas: uint8 (H, W), 255 is ink, and its JSON."""
    file = atlas_file(name)
    with Image.open(file) as image:
        return np.asarray(image.convert("L")), json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))


def load_cells(name: str) -> list[tuple[dict, dict[str, np.ndarray]]]:
    """The parts of an atlas of even cells: what its JSON says of one, and character -> uint8 (faces, H, W)."""
    sheet, index = load_sheet(name)
    (h, w), top, parts = index["cell"], 0, []
    for part in index["parts"]:
        rows = sheet[top : top + h * len(part["faces"])]
        top += len(rows)
        cells = {c: rows[:, k * w : (k + 1) * w].reshape(-1, h, w) for k, c in enumerate(part["characters"])}
        parts.append((part, cells))
    return parts


@cache
def load_atlas() -> tuple[dict[str, np.ndarray], int, int]:
    """The characters of plates, `(glyphs, latin_rows, chinese_rows)`: `glyphs[c]` is uint8 (rows, 90, 45), 255 is ink,
    a pixel a mm and a row a weight of its strokes. Used in notebook 12a.
    """
    (latin, latin_glyphs), (chinese, chinese_glyphs) = load_cells("plates")
    return latin_glyphs | chinese_glyphs, len(latin["faces"]), len(chinese["faces"])


def trim(ink: np.ndarray) -> np.ndarray:
    """Cut empty columns off both sides of (H, W)."""
    columns = np.flatnonzero(ink.any(axis=0))
    return ink[:, columns[0] : columns[-1] + 1]
