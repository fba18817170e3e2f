"""The faces of rendered Persian: letters, digits and words in many fonts, no family of which is in two splits."""

from functools import cache
from typing import NamedTuple

import numpy as np

from ocrkit.synth.atlas import load_sheet, trim
from ocrkit.text.alphabets import PERSIAN_DIGITS as DIGITS

HEIGHT = 64  # pixels of a row of the atlas
BASELINE = 38  # its row of the baseline
ALEF = 22  # height in pixels of the letter alef in each face, so that all faces are of one size
SPLITS = ("train", "valid", "test")

#: The joiner gives the letter the form that begins a word, as it stands alone in lists of the alphabet.
LETTERS = [*"بپتثجچحخدذرزژسشصضطظعغفقکگلمنو", "ه\u200d", "ی"]
WORDS = ["تاریخ", "مورخ", "پیوست", "شماره", "عنوان"]
OTHER = ["نام", "امضا", "مدیر", "شرکت", "با", "سلام", "احترام", "نشانی", "تلفن", "کد", "دارد", "ندارد"]
TEXTS = ["الف", *LETTERS, *DIGITS, *WORDS, *OTHER]
#: How the names of the faces begin that draw the digit five without a notch at its foot.
ROUND_FIVES = ("beiruti", "reem-kufi")


class PersianFaces(NamedTuple):
    """`glyphs[face][text]` is uint8 (64, W), 255 is ink; `names[split]` has its faces."""

    glyphs: dict[str, dict[str, np.ndarray]]
    names: dict[str, list[str]]


@cache
def load_persian() -> PersianFaces:
    """Read the atlas. Used in notebook 09."""
    sheet, index = load_sheet("persian")
    glyphs, names = {}, {split: [] for split in SPLITS}
    for face, row in zip(index["faces"], np.split(sheet, len(index["faces"]))):
        columns = np.split(row, np.cumsum(index["widths"])[:-1], axis=1)
        glyphs[face["name"]] = {text: trim(ink) for text, ink in zip(index["texts"], columns)}
        names[face["split"]].append(face["name"])
    return PersianFaces(glyphs, names)
