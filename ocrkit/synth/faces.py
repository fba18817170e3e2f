"""Faces: the characters of rendered lines in many fonts, as small pictures, so that rendering needs no fonts.

`load_faces` is what the renderer uses; `build_faces` is for maintainers (`make sample` runs it). No design of a font
stands in two splits: weights and relatives of one design are all for training or all for testing.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.atlas import open_font, save_sheet
from ocrkit.text.alphabets import ALPHABETS

CELL = 40  # pixels of a cell, which holds one character
EM = 37  # pixels of a font's em in it
BASELINE = 33  # row of the baseline
FILE = Path(__file__).with_name("lines_atlas.png")
ALL = ALPHABETS["look-alikes"]
LATIN = "".join(c for c in ALL if c.isascii())
FONTS = Path("/usr/share/fonts")


class Face(NamedTuple):
    """One font: where Debian puts its file, which font of the file it is, in which package, for which split."""

    file: str
    index: int
    package: str
    split: str


def _family(split: str, package: str, pattern: str, *weights: str, index: int = 0) -> list[Face]:
    return [Face(pattern.format(w), index, package, split) for w in weights]


#: Fonts with Chinese and Latin characters.
CHINESE_FACES = [
    *_family("train", "fonts-noto-cjk", "opentype/noto/NotoSansCJK-{}.ttc", "Regular", "Bold", index=2),
    *_family("train", "fonts-noto-cjk-extra", "opentype/noto/NotoSansCJK-{}.ttc", "Light", "Black", index=2),
    *_family("train", "fonts-noto-cjk", "opentype/noto/NotoSerifCJK-{}.ttc", "Regular", "Bold", index=2),
    *_family("train", "fonts-noto-cjk-extra", "opentype/noto/NotoSerifCJK-{}.ttc", "Light", "Black", index=2),
    *_family("train", "fonts-lxgw-wenkai", "truetype/lxgw-wenkai/LXGWWenKai-{}.ttf", "Light", "Regular", "Bold"),
    *_family("train", "fonts-hanazono", "truetype/hanazono/{}.ttf", "HanaMinA"),
    *_family("train", "fonts-cns11643-kai", "truetype/cns11643/{}.ttf", "TW-Kai-98_1"),
    *_family("train", "fonts-cns11643-sung", "truetype/cns11643/{}.ttf", "TW-Sung-98_1"),
    *_family("test", "fonts-wqy-microhei", "truetype/wqy/{}.ttc", "wqy-microhei"),
    *_family("test", "fonts-smiley-sans", "truetype/smiley-sans/SmileySans-{}.ttf", "Oblique"),
    *_family("test", "fonts-arphic-uming", "truetype/arphic/{}.ttc", "uming"),
    *_family("test", "fonts-arphic-gbsn00lp", "truetype/arphic-gbsn00lp/{}.ttf", "gbsn00lp"),
    *_family("test", "fonts-arphic-ukai", "truetype/arphic/{}.ttc", "ukai"),
    *_family("test", "fonts-arphic-gkai00mp", "truetype/arphic-gkai00mp/{}.ttf", "gkai00mp"),
]
#: Fonts whose letters and digits may stand among the Chinese characters of another.
LATIN_FACES = [
    *_family("train", "fonts-dejavu-core", "truetype/dejavu/DejaVu{}.ttf", "Sans", "Sans-Bold", "Serif"),
    *_family("train", "fonts-lato", "truetype/lato/Lato-{}.ttf", "Regular", "Bold"),
    *_family("test", "fonts-roboto-unhinted", "truetype/roboto/unhinted/RobotoTTF/Roboto-{}.ttf", "Regular", "Bold"),
    *_family("test", "fonts-linuxlibertine", "opentype/linux-libertine/Lin{}.otf", "Libertine_R", "Biolinum_R"),
]


@cache
def load_faces() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, list[str]]]]:
    """Return `(glyphs, names)`: `glyphs[face][character]` is uint8 (40, 40), 255 is ink; `names[split]` has the names
    of the faces with Chinese characters under `"chinese"`, and of those without under `"latin"`.
    """
    index = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    with Image.open(FILE) as image:
        sheet = np.asarray(image.convert("L"))
    cell, glyphs, names, top = index["cell"], {}, {"train": {}, "test": {}}, 0
    for part in index["parts"]:
        for face in part["faces"]:
            row = sheet[top : top + cell]
            glyphs[face["name"]] = {c: row[:, k * cell :][:, :cell] for k, c in enumerate(part["characters"])}
            names[face["split"]].setdefault(part["kind"], []).append(face["name"])
            top += cell
    return glyphs, names


def build_faces(file: Path = FILE) -> None:
    """Draw the characters of the alphabet `look-alikes` in every face and write the PNG and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its Debian package.
        ValueError: a font lacks a character.
    """
    rows, parts = [], []
    for kind, faces, characters in (("chinese", CHINESE_FACES, ALL), ("latin", LATIN_FACES, LATIN)):
        rows += [np.concatenate([_cell(font, c) for c in characters], axis=1) for font in map(_open, faces)]
        listed = [{"name": Path(face.file).stem, "split": face.split} for face in faces]
        parts.append({"kind": kind, "characters": characters, "faces": listed})
    wide = max(row.shape[1] for row in rows)
    sheet = np.concatenate([np.pad(row, ((0, 0), (0, wide - row.shape[1]))) for row in rows])
    save_sheet(file, sheet, {"cell": CELL, "parts": parts})


_FINE = 4  # pixels to one of the atlas while a character is drawn


def _open(face: Face) -> ImageFont.FreeTypeFont:
    return open_font(FONTS / face.file, EM * _FINE, face.index, face.package)


def _cell(font: ImageFont.FreeTypeFont, c: str) -> np.ndarray:
    """One character on the baseline, in the middle of its cell."""
    image = _draw(font, c)
    if not image.any() or np.array_equal(image, _draw(font, "\U0010fffd")):  # what it draws for all that it lacks
        raise ValueError(f"the font {font.path} lacks {c!r}: take it out of the alphabet, or the font off the list")
    return image


def _draw(font: ImageFont.FreeTypeFont, c: str) -> np.ndarray:
    image = Image.new("L", (CELL * _FINE, CELL * _FINE))
    ImageDraw.Draw(image).text((CELL * _FINE / 2, BASELINE * _FINE), c, 255, font, anchor="ms")
    return np.asarray(image.reduce(_FINE))
