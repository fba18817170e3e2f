"""Persian faces: letters, digits and words in many fonts, as small pictures, so that rendering needs no fonts.

`load_persian` is what the renderer uses; `build_persian` is for maintainers (`make sample` runs it). No family of
fonts stands in two splits, and fonts of one maker whose digits are the same stand in one.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.atlas import open_font, save_sheet
from ocrkit.synth.faces import FONTS, Face
from ocrkit.synth.hands import NODE
from ocrkit.text.alphabets import PERSIAN_DIGITS as DIGITS

FILE = Path(__file__).with_name("persian_atlas.png")
HEIGHT = 64  # pixels of a row of the atlas
BASELINE = 38  # its row of the baseline
ALEF = 22  # height in pixels of the letter alef in each face, so that all faces are of one size
SPLITS = ("train", "valid", "test")

#: The joiner gives the letter the form that begins a word, as it stands alone in lists of the alphabet.
LETTERS = [*"بپتثجچحخدذرزژسشصضطظعغفقکگلمنو", "ه\u200d", "ی"]
WORDS = ["تاریخ", "مورخ", "پیوست", "شماره", "عنوان"]
OTHER = ["نام", "امضا", "مدیر", "شرکت", "با", "سلام", "احترام", "نشانی", "تلفن", "کد", "دارد", "ندارد"]
#: How the names of the faces begin that draw the digit five without a notch at its foot.
ROUND_FIVES = ("beiruti", "reem-kufi")
TEXTS = ["الف", *LETTERS, *DIGITS, *WORDS, *OTHER]


class PersianFaces(NamedTuple):
    """`glyphs[face][text]` is uint8 (64, W), 255 is ink; `names[split]` has its faces; `round_five` those that draw
    the digit five without the notch at its foot."""

    glyphs: dict[str, dict[str, np.ndarray]]
    names: dict[str, list[str]]
    round_five: frozenset[str]


def _web(split: str, name: str, *weights: int, inner: str = "-arabic") -> list[Face]:
    pattern = f"@fontsource/{name}/files/{name}{inner}-{{}}-normal.woff"
    return [Face(pattern.format(w), 0, f"@fontsource/{name}", split) for w in weights]


def _debian(split: str, package: str, pattern: str, names: str) -> list[Face]:
    return [Face(pattern.format(name), 0, package, split) for name in names.split()]


# Other faces of this package draw a final fe with the deep bowl of a qaf, as Uyghur does.
_UKIJ = "Bom DiT EsN Me Nsq Nsqb Qara-b Qara Qol_Tez Qol_Tuz Qol_Yantu SlsTom"
PERSIAN_FACES = [
    *[
        Face(f"vazirmatn/fonts/ttf/Vazirmatn-{w}.ttf", 0, "vazirmatn", "train")
        for w in ("Thin", "Light", "Regular", "Medium", "Bold", "Black")
    ],
    # Vazirmatn grew out of DejaVu Sans, so both are in one split.
    *_debian("train", "fonts-dejavu-core", "truetype/dejavu/DejaVu{}.ttf", "Sans Sans-Bold SansMono SansMono-Bold"),
    *_debian("train", "fonts-dejavu-extra", "truetype/dejavu/DejaVuSansCondensed{}.ttf", "-Bold"),
    *_debian("train", "fonts-hosny-amiri", "opentype/fonts-hosny-amiri/{}.ttf", "Amiri-Regular Amiri-Bold"),
    *_debian("train", "fonts-hosny-amiri", "opentype/fonts-hosny-amiri/{}.ttf", "Amiri-Slanted Amiri-BoldSlanted"),
    *_debian("train", "fonts-hosny-thabit", "opentype/fonts-hosny-thabit/Thabit-{}.ttf", "Bold Oblique Bold-Oblique"),
    *_debian("train", "fonts-sil-lateef", "opentype/lateef/Lateef-{}.ttf", "ExtraLight Regular Bold ExtraBold"),
    *_debian("train", "fonts-sil-harmattan", "truetype/harmattan/Harmattan-{}.ttf", "Regular Bold"),
    *_debian("train", "fonts-ukij-uyghur", "truetype/fonts-ukij-uyghur/UKIJ{}.ttf", _UKIJ),
    *_web("train", "scheherazade-new", 400, 700),
    *_web("train", "alexandria", 200, 400, 600, 700, 900),
    *_web("train", "aref-ruqaa", 400, 700),
    *_web("train", "beiruti", 200, 400, 600, 700, 900),
    *_web("train", "changa", 200, 400, 500, 700),
    *_web("train", "jomhuria", 400),
    *_web("train", "kufam", 400, 700),
    *_web("train", "mada", 200, 400, 600, 700, 900),
    *_web("train", "marhey", 300, 400, 700),
    *_web("train", "noto-kufi-arabic", 200, 400, 600, 700, 900),
    *_web("train", "playpen-sans-arabic", 200, 400, 600, 700),
    *_web("train", "rakkas", 400),
    *_web("train", "reem-kufi", 400, 700),
    *_web("valid", "rubik", 300, 400, 700),
    *_web("valid", "baloo-bhaijaan-2", 400, 700),
    *_web("valid", "katibeh", 400),
    *_web("test", "noto-sans-arabic", 200, 400, 600, 700, 900),
    *_web("test", "ibm-plex-sans-arabic", 200, 400, 700),
    *_web("test", "cairo", 200, 400, 700),
    *_web("test", "markazi-text", 400, 700),
    *_web("test", "mirza", 400, 700),
    *_web("test", "lalezar", 400),
]


def face_name(face: Face) -> str:
    """The name of a face in the atlas, such as `cairo-400` or `Amiri-Bold`."""
    return Path(face.file).stem.replace("-normal", "").removesuffix("-arabic").replace("-arabic-", "-")


@cache
def load_persian() -> PersianFaces:
    """Read the atlas."""
    index = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    with Image.open(FILE) as image:
        sheet = np.asarray(image.convert("L"))
    starts = np.concatenate([[0], np.cumsum(index["widths"])])
    glyphs, names = {}, {split: [] for split in SPLITS}
    for row, face in enumerate(index["faces"]):
        strip = sheet[row * HEIGHT : (row + 1) * HEIGHT]
        glyphs[face["name"]] = {
            text: _trim(strip[:, a:b]) for text, a, b in zip(index["texts"], starts, starts[1:])
        }
        names[face["split"]].append(face["name"])
    return PersianFaces(glyphs, names, frozenset(n for n in glyphs if n.startswith(ROUND_FIVES)))


def build_persian(file: Path = FILE) -> None:
    """Draw all texts in every face and write the PNG and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its package.
        ValueError: a font lacks a letter, or a drawing does not fit into a row.
    """
    rows = [[draw_text(font, text) for text in TEXTS] for font in map(open_face, PERSIAN_FACES)]
    widths = [max(row[k].shape[1] for row in rows) for k in range(len(TEXTS))]
    padded = [[np.pad(g, ((0, 0), (0, w - g.shape[1]))) for g, w in zip(row, widths)] for row in rows]
    faces = [{"name": face_name(face), "split": face.split} for face in PERSIAN_FACES]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in padded])
    save_sheet(file, sheet, {"texts": TEXTS, "widths": widths, "faces": faces})


_FINE = 4  # pixels to one of the atlas while a text is drawn


def font_folder(face: Face) -> Path:
    """Where the files of a face's package lie: with the system's fonts, or in `node_modules`."""
    return FONTS if face.package.startswith("fonts-") else NODE


def open_face(face: Face) -> ImageFont.FreeTypeFont:
    """Open a face at the size at which its alef is `ALEF` pixels high in the atlas; raises as `build_persian`."""
    path = font_folder(face) / face.file
    if not path.exists() and not face.package.startswith("fonts-"):
        raise FileNotFoundError(f"{path} is missing: install it with `npm install --no-save {face.package}`")
    font = open_font(path, 400, face.index, face.package)
    top, bottom = font.getbbox("ا", anchor="ls")[1::2]
    font = font.font_variant(size=round(400 * ALEF * _FINE / max(bottom - top, 1)))
    check_letters(font)
    return font


def check_letters(font: ImageFont.FreeTypeFont) -> None:
    """Raise a ValueError that names the first letter of `TEXTS` that the font lacks, or draws as a box."""
    lacking = _bits(font, "\U0010fffd")
    for c in dict.fromkeys("".join(TEXTS).replace("\u200d", "")):
        if not font.getmask(c).getbbox() or _bits(font, c) == lacking:
            raise ValueError(f"the font {font.path} lacks {c!r}: take it off the list")


def draw_text(font: ImageFont.FreeTypeFont, text: str) -> np.ndarray:
    """Draw a shaped text on the baseline, uint8 (64, W), as wide as its ink."""
    left, top, right, bottom = font.getbbox(text, anchor="ls", direction="rtl", language="fa")
    if top < -BASELINE * _FINE or bottom > (HEIGHT - BASELINE) * _FINE:
        raise ValueError(f"{text!r} in {font.path} is too high for its row: take it off the list")
    wide = -(-(right - left + 2 * _FINE) // _FINE) * _FINE
    image = Image.new("L", (wide, HEIGHT * _FINE))
    place = _FINE - left, BASELINE * _FINE
    ImageDraw.Draw(image).text(place, text, 255, font, anchor="ls", direction="rtl", language="fa")
    return _trim(np.asarray(image.reduce(_FINE)))


def _bits(font: ImageFont.FreeTypeFont, c: str) -> tuple:
    mask = font.getmask(c)
    return mask.size, bytes(mask)


def _trim(ink: np.ndarray) -> np.ndarray:
    """Cut empty columns off both sides."""
    columns = np.flatnonzero(ink.any(axis=0))
    return ink[:, columns[0] : columns[-1] + 1]
