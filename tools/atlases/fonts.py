"""Fonts: where their files lie, whether they have the characters, and the sheet that their glyphs are written to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFont

#: Where Debian's packages put fonts, and where `npm install` put its packages.
FONTS = Path("/usr/share/fonts")
NODE = Path(os.environ.get("OCRKIT_NODE_MODULES", "node_modules"))


class Face(NamedTuple):
    """One font: its file in `FONTS` or `NODE`, its package, for which split, and which font of the file it is."""

    file: str
    package: str
    split: str = "both"
    index: int = 0

    @property
    def path(self) -> Path:
        return (FONTS if self.package.startswith("fonts-") else NODE) / self.file


def family(split: str, package: str, pattern: str, names: str, index: int = 0) -> list[Face]:
    """The fonts of a package whose files are `pattern` with each of `names`."""
    return [Face(pattern.format(name), package, split, index) for name in names.split()]


def fontsource(split: str, names: str, *weights: int, script: str) -> list[Face]:
    """The fonts of packages of fontsource.org in some weights."""
    return [
        Face(f"@fontsource/{n}/files/{n}-{script}-{w}-normal.woff", f"@fontsource/{n}", split)
        for n in names.split()
        for w in weights
    ]


def open_font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """Open a face; raises a FileNotFoundError that says how to install its package where it is missing."""
    if face.path.exists():
        return ImageFont.truetype(str(face.path), size, index=face.index)
    if face.package.startswith("fonts-"):
        raise FileNotFoundError(f"{face.path} is missing: install it with `apt-get install {face.package}`")
    raise FileNotFoundError(
        f"{face.path} is missing: install it with `npm install --no-save {face.package}`, and name the folder "
        "`node_modules` in the environment variable OCRKIT_NODE_MODULES if it is not here"
    )


def check_letters(font: ImageFont.FreeTypeFont, letters: Iterable[str]) -> None:
    """Raise a ValueError that names the first letter that the font lacks, or draws as a box."""
    lacking = _bits(font, "\U0010fffd")  # what it draws for all that it lacks
    for c in dict.fromkeys(letters):
        if not font.getmask(c).getbbox() or _bits(font, c) == lacking:
            raise ValueError(f"the font {font.path} lacks {c!r}: take it off the list")


def _bits(font: ImageFont.FreeTypeFont, c: str) -> tuple:
    mask = font.getmask(c)
    return mask.size, bytes(mask)


def stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows one below the other, as wide as the widest."""
    wide = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, wide - row.shape[1]))) for row in rows])


def save_sheet(file: Path, sheet: np.ndarray, index: dict) -> None:
    """Write a sheet of glyphs as PNG, and beside it the JSON that says what stands where."""
    # 16 grey levels are plenty for anti-aliased edges and halve the file.
    Image.fromarray((sheet.astype(np.uint16) * 15 // 255 * 17).astype(np.uint8)).save(file, optimize=True)
    text = json.dumps(index, ensure_ascii=False, indent=1)
    file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
