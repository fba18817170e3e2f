"""The atlas of rendered lines: look-alike characters in many fonts.

No design of a font stands in two splits: weights and relatives of one design are all for training or all for testing.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.faces import CELL
from ocrkit.text.alphabets import ALPHABETS
from tools.atlases.fonts import check_letters, family, open_font, stack

EM = 37  # pixels of a font's em in a cell
BASELINE = 33  # row of the baseline in it
ALL = ALPHABETS["look-alikes"]
LATIN = "".join(c for c in ALL if c.isascii())
_FINE = 4  # pixels to one of the atlas while a character is drawn

#: Fonts with Chinese and Latin characters.
CHINESE_FACES = [
    *family("train", "fonts-noto-cjk", "opentype/noto/NotoSansCJK-{}.ttc", "Regular Bold", index=2),
    *family("train", "fonts-noto-cjk-extra", "opentype/noto/NotoSansCJK-{}.ttc", "Light Black", index=2),
    *family("train", "fonts-noto-cjk", "opentype/noto/NotoSerifCJK-{}.ttc", "Regular Bold", index=2),
    *family("train", "fonts-noto-cjk-extra", "opentype/noto/NotoSerifCJK-{}.ttc", "Light Black", index=2),
    *family("train", "fonts-lxgw-wenkai", "truetype/lxgw-wenkai/LXGWWenKai-{}.ttf", "Light Regular Bold"),
    *family("train", "fonts-hanazono", "truetype/hanazono/{}.ttf", "HanaMinA"),
    *family("train", "fonts-cns11643-kai", "truetype/cns11643/{}.ttf", "TW-Kai-98_1"),
    *family("train", "fonts-cns11643-sung", "truetype/cns11643/{}.ttf", "TW-Sung-98_1"),
    *family("test", "fonts-wqy-microhei", "truetype/wqy/{}.ttc", "wqy-microhei"),
    *family("test", "fonts-smiley-sans", "truetype/smiley-sans/SmileySans-{}.ttf", "Oblique"),
    *family("test", "fonts-arphic-uming", "truetype/arphic/{}.ttc", "uming"),
    *family("test", "fonts-arphic-gbsn00lp", "truetype/arphic-gbsn00lp/{}.ttf", "gbsn00lp"),
    *family("test", "fonts-arphic-ukai", "truetype/arphic/{}.ttc", "ukai"),
    *family("test", "fonts-arphic-gkai00mp", "truetype/arphic-gkai00mp/{}.ttf", "gkai00mp"),
]
#: Fonts whose letters and digits may stand among the Chinese characters of another.
LATIN_FACES = [
    *family("train", "fonts-dejavu-core", "truetype/dejavu/DejaVu{}.ttf", "Sans Sans-Bold Serif"),
    *family("train", "fonts-lato", "truetype/lato/Lato-{}.ttf", "Regular Bold"),
    *family("test", "fonts-roboto-unhinted", "truetype/roboto/unhinted/RobotoTTF/Roboto-{}.ttf", "Regular Bold"),
    *family("test", "fonts-linuxlibertine", "opentype/linux-libertine/Lin{}.otf", "Libertine_R Biolinum_R"),
]


def build_lines() -> tuple[np.ndarray, dict]:
    """Draw the characters of the alphabet `look-alikes` in every face: the sheet, uint8 (H, W), and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its Debian package.
        ValueError: a font lacks a character.
    """
    rows, parts = [], []
    for kind, faces, characters in (("chinese", CHINESE_FACES, ALL), ("latin", LATIN_FACES, LATIN)):
        for face in faces:
            font = open_font(face, EM * _FINE)
            check_letters(font, characters)
            rows.append(np.concatenate([_cell(font, c) for c in characters], axis=1))
        listed = [{"name": face.path.stem, "split": face.split} for face in faces]
        parts.append({"kind": kind, "characters": characters, "faces": listed})
    return stack(rows), {"cell": (CELL, CELL), "parts": parts}


def _cell(font: ImageFont.FreeTypeFont, c: str) -> np.ndarray:
    """One character on the baseline, in the middle of its cell."""
    image = Image.new("L", (CELL * _FINE, CELL * _FINE))
    ImageDraw.Draw(image).text((CELL * _FINE / 2, BASELINE * _FINE), c, 255, font, anchor="ms")
    return np.asarray(image.reduce(_FINE))
