"""The atlas of rendered names: the letters of handwriting fonts as pen strokes, and of two printing fonts as pictures.

No design of a font stands in two splits.
"""

from __future__ import annotations

import string

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrkit.synth.hands import CHARACTERS, PRINT_BASE, PRINTED, Strokes
from tools.atlases.fonts import check_letters, family, fontsource, open_font, stack
from tools.atlases.pupil import pupil_letters
from tools.atlases.skeleton import strokes

_TRAIN = (
    "annie-use-your-telescope architects-daughter balsamiq-sans caveat cedarville-cursive covered-by-your-grace "
    "crafty-girls delius edu-sa-beginner gaegu gloria-hallelujah grape-nuts hi-melody itim just-another-hand "
    "just-me-again-down-here klee-one la-belle-aurore loved-by-the-king mali mansalva nanum-pen-script neucha "
    "nothing-you-could-do pangolin playpen-sans sedgwick-ave shadows-into-light shadows-into-light-two short-stack "
    "sriracha sue-ellen-francisco swanky-and-moo-moo waiting-for-the-sunrise walter-turncoat zeyada"
)
_TEST = "coming-soon gochi-hand handlee indie-flower kalam patrick-hand schoolbell the-girl-next-door"
HAND_FACES = [
    *fontsource("train", _TRAIN, 400, script="latin"),
    *family("train", "fonts-breip", "truetype/breip/{}.ttf", "Breip"),
    *family("train", "fonts-humor-sans", "truetype/humor-sans/{}.ttf", "Humor-Sans"),
    *family("train", "fonts-kiloji", "truetype/kiloji/{}.ttf", "kiloji"),
    *family("train", "fonts-georgewilliams", "truetype/fonts-georgewilliams/{}.ttf", "Caliban"),
    *family("train", "fonts-comic-neue", "opentype/comic-neue/{}.otf", "ComicNeue-Light"),
    *family("train", "fonts-tomsontalks", "truetype/tomsontalks/{}.ttf", "TomsonTalks"),
    *fontsource("test", _TEST, 400, script="latin"),
    *family("test", "fonts-seto", "truetype/seto/{}.ttf", "setofont"),
]
#: Fonts of printed forms, by weight.
PRINT_FACES = dict(zip(("regular", "bold"), fontsource("both", "arimo", 400, 700, script="latin")))
PRINT_EM = 52  # pixels of a printing font's em in the atlas: capitals are 36 high
PRINT_CELL = 60  # height of its row


def build_names() -> tuple[np.ndarray, dict]:
    """Draw all faces: the sheet with printed characters, uint8 (H, W), and the JSON index with the hands' strokes.

    Raises:
        FileNotFoundError: a font is missing; the message names its package.
        ValueError: a font lacks a character.
    """
    hands = []
    for face in HAND_FACES:
        letters = _letters(open_font(face, 200))
        hands.append({"name": face.path.stem.split("-latin")[0], "split": face.split, "letters": letters})
    rows, widths = [], {}
    for weight, face in PRINT_FACES.items():
        font = open_font(face, PRINT_EM)
        widths[weight] = [round(font.getlength(c)) for c in PRINTED]
        image = Image.new("L", (sum(widths[weight]), PRINT_CELL))
        for c, x in zip(PRINTED, np.cumsum([0, *widths[weight]])):
            ImageDraw.Draw(image).text((int(x), PRINT_BASE), c, 255, font, anchor="ls")
        rows.append(np.asarray(image))
    return stack(rows), {"print": widths, "hands": hands, "pupil": pupil_letters()}


def _letters(font: ImageFont.FreeTypeFont) -> list[str]:
    """The strokes of all `CHARACTERS`, parted by commas: x y x y ... in hundredths of a capital's height."""
    check_letters(font, CHARACTERS)
    drawn = [_lines(font, c) for c in CHARACTERS]
    rows = [np.concatenate(paths)[:, 1] for paths in drawn[: len(string.ascii_uppercase)]]
    top, foot = np.median([r.min() for r in rows]), np.median([r.max() for r in rows])
    letters = []
    for paths in drawn:
        corner = np.array([min(p[:, 0].min() for p in paths), foot])
        scaled = [np.round((p - corner) / (foot - top) * 100).astype(int).ravel() for p in paths]
        letters.append(",".join(" ".join(map(str, p)) for p in scaled))
    return letters


def _lines(font: ImageFont.FreeTypeFont, c: str) -> Strokes:
    """The center lines of one character in the font's pixels; y is 0 on its baseline."""
    box = font.getbbox(c, anchor="ls")
    image = Image.new("L", (box[2] - box[0] + 4, box[3] - box[1] + 4))
    ImageDraw.Draw(image).text((2 - box[0], 2 - box[1]), c, 255, font, anchor="ls")
    return [p + [0, box[1] - 2] for p in strokes(np.asarray(image) > 127, tolerance=font.size / 95)]
