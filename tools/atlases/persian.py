"""The two atlases of rendered Persian: whole letters, digits and words, and the forms of letters in joined script.

No family of fonts stands in two splits, and fonts of one maker whose digits are the same stand in one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.atlas import trim
from ocrkit.synth.joined import DRAWN, MARKS, Drawing
from ocrkit.synth.persian_faces import ALEF, BASELINE, DIGITS, HEIGHT, TEXTS
from ocrkit.text.alphabets import ARABIC_DIGITS
from tools.atlases.fonts import Face, check_letters, family, fontsource, open_font

_FINE = 4  # pixels to one of the atlas while a text is drawn
# Other faces of this package draw a final fe with the deep bowl of a qaf, as Uyghur does.
_UKIJ = "Bom DiT EsN Me Nsq Nsqb Qara-b Qara Qol_Tez Qol_Tuz Qol_Yantu SlsTom"


def _web(split: str, name: str, *weights: int) -> list[Face]:
    return fontsource(split, name, *weights, script="arabic")


PERSIAN_FACES = [
    *family("train", "vazirmatn", "vazirmatn/fonts/ttf/Vazirmatn-{}.ttf", "Thin Light Regular Medium Bold Black"),
    # Vazirmatn grew out of DejaVu Sans, so both are in one split.
    *family("train", "fonts-dejavu-core", "truetype/dejavu/DejaVu{}.ttf", "Sans Sans-Bold SansMono SansMono-Bold"),
    *family("train", "fonts-dejavu-extra", "truetype/dejavu/DejaVuSansCondensed{}.ttf", "-Bold"),
    *family("train", "fonts-hosny-amiri", "opentype/fonts-hosny-amiri/{}.ttf", "Amiri-Regular Amiri-Bold"),
    *family("train", "fonts-hosny-amiri", "opentype/fonts-hosny-amiri/{}.ttf", "Amiri-Slanted Amiri-BoldSlanted"),
    *family("train", "fonts-hosny-thabit", "opentype/fonts-hosny-thabit/Thabit-{}.ttf", "Bold Oblique Bold-Oblique"),
    *family("train", "fonts-sil-lateef", "opentype/lateef/Lateef-{}.ttf", "ExtraLight Regular Bold ExtraBold"),
    *family("train", "fonts-sil-harmattan", "truetype/harmattan/Harmattan-{}.ttf", "Regular Bold"),
    *family("train", "fonts-ukij-uyghur", "truetype/fonts-ukij-uyghur/UKIJ{}.ttf", _UKIJ),
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
    return face.path.stem.replace("-normal", "").removesuffix("-arabic").replace("-arabic-", "-")


#: How the names of faces begin whose letters do not fit together by their forms alone, or are outlines, or too high.
UNFIT = ("rakkas", "aref-ruqaa", "UKIJEsN", "UKIJMe")
JOINED_FACES = [face for face in PERSIAN_FACES if not face_name(face).startswith(UNFIT)]


def build_persian() -> tuple[np.ndarray, dict]:
    """Draw all texts of `TEXTS` in every face: the sheet, uint8 (H, W), and its JSON index.

    Raises:
        FileNotFoundError: a font is missing; the message names its package.
        ValueError: a font lacks a letter, or a drawing does not fit into a row.
    """
    rows = [[draw_form(font, text, snug=True).ink for text in TEXTS] for font in map(open_face, PERSIAN_FACES)]
    widths = [max(ink.shape[1] for ink in column) for column in zip(*rows)]
    padded = [[np.pad(g, ((0, 0), (0, w - g.shape[1]))) for g, w in zip(row, widths)] for row in rows]
    faces = [{"name": face_name(face), "split": face.split} for face in PERSIAN_FACES]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in padded])
    return sheet, {"texts": TEXTS, "widths": widths, "faces": faces}


def build_joined() -> tuple[np.ndarray, dict]:
    """Draw all forms of `joined.DRAWN` in every face but the unfit ones; returns and raises as `build_persian`."""
    rows = [[*draw_all(face)] for face in JOINED_FACES]
    pens = [max(max(0, -row[k].left) for row in rows) for k in range(len(DRAWN))]
    widths = [max(p + row[k].left + row[k].ink.shape[1] for row in rows) for k, p in enumerate(pens)]
    sheet = np.zeros((HEIGHT * len(rows), sum(widths)), np.uint8)
    faces = []
    for k, (face, row) in enumerate(zip(JOINED_FACES, rows)):
        for start, pen, drawing in zip(np.cumsum([0, *widths]), pens, row):
            left = start + pen + drawing.left
            sheet[k * HEIGHT : (k + 1) * HEIGHT, left : left + drawing.ink.shape[1]] = drawing.ink
        advances = " ".join(str(round(64 * drawing.advance)) for drawing in row)
        faces.append({"name": face_name(face), "split": face.split, "advances": advances})
    return sheet, {"widths": widths, "pens": pens, "faces": faces}


def open_face(face: Face) -> ImageFont.FreeTypeFont:
    """Open a face at the size at which its alef is `ALEF` pixels high in the atlas; raises as `build_persian`."""
    font = open_font(face, 400)
    top, bottom = font.getbbox("ا", anchor="ls")[1::2]
    font = font.font_variant(size=round(400 * ALEF * _FINE / max(bottom - top, 1)))
    check_letters(font, "".join(TEXTS).replace("\u200d", ""))
    return font


def draw_all(face: Face) -> Iterator[Drawing]:
    """A `Drawing` for each of `joined.DRAWN`, and last the blank, which has only an advance."""
    font = open_face(face)
    marks = font
    if face.package.startswith("@fontsource"):  # web fonts come in a file a script; `/ - .` and so on are Latin
        marks = open_font(face._replace(file="latin".join(face.file.rsplit("arabic", 1))), round(font.size))
    for text in DRAWN:
        yield draw_form(marks if text in MARKS and text != "،" else font, text)
    blank = font.getlength(" ", direction="rtl", language="fa") / _FINE
    yield Drawing(np.zeros((HEIGHT, 0), np.uint8), 0, blank)


def draw_form(font: ImageFont.FreeTypeFont, text: str, snug: bool = False) -> Drawing:
    """Draw a text at the pen, which stands between two pixels of the atlas; or `snug`, so that its ink begins there."""
    # Marks and digits are drawn as they are; in right-to-left text, brackets would be mirrored.
    how = {"direction": "ltr" if text in DIGITS + ARABIC_DIGITS + MARKS else "rtl", "language": "fa"}
    left, top, right, bottom = font.getbbox(text, anchor="ls", **how)
    if top < -BASELINE * _FINE or bottom > (HEIGHT - BASELINE) * _FINE:
        raise ValueError(f"{text!r} in {font.path} is too high for its row: take it off the list")
    pen = _FINE - left if snug else (1 - min(left, 0) // _FINE) * _FINE
    wide = (pen + max(right, 0)) // _FINE + 2
    image = Image.new("L", (wide * _FINE, HEIGHT * _FINE))
    ImageDraw.Draw(image).text((pen, BASELINE * _FINE), text, 255, font, anchor="ls", **how)
    ink = np.asarray(image.reduce(_FINE))
    before = int(ink.any(axis=0).argmax())
    return Drawing(trim(ink), before - pen // _FINE, font.getlength(text, **how) / _FINE)
