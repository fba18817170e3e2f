"""Strings: Unicode normal form, what a reader sees as one character, and how a message names characters.

Taught in notebook 02.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def normalize(text: str) -> str:
    """Return `text` in Unicode NFC, the only form that `ocrkit` stores.

    `é` can be one code point or two (`e` and a combining accent). NFC always picks the one.
    """
    return unicodedata.normalize("NFC", text)


#: What Unicode does not take apart: letters, apostrophes and hyphens -> how `names_text` writes them.
_PLAIN = str.maketrans(
    {"Œ": "OE", "œ": "oe", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d"}
    | dict.fromkeys("‘’´`", "'")
    | dict.fromkeys("‐‑–—", "-")
)


def names_text(label: str) -> str:
    """Return `label` as the handwritten-names set spells: upper case, no accents, no spaces but single ones inside.

    `" Zoé  Le Bœuf"` gives `"ZOE LE BOEUF"`. The label only: who wrote the name may well have written small letters
    and accents, so a reader of such labels learns to leave the accents out. What still lies outside
    `ALPHABETS["names"]` stays, for `lint` to report.
    """
    text = label.translate(_PLAIN)
    if not text.isascii():  # nearly all labels are, and the set has 400,000
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return normalize(" ".join(text.upper().split()))


def graphemes(text: str) -> list[str]:
    """Split `text` into what a reader calls characters: a base with the marks that stand on it.

    `"e" + accent`, a Persian letter with its vowel sign, an emoji with skin tone or joined by ZWJ, and a flag are
    one item each; joined again, the items give `text`. A small part of Unicode's rules (UAX 29) that suits the
    scripts of this course; Hangul written in single jamo, Indic conjuncts and prefixed signs are not joined.

    Taught in notebook 05.
    """
    clusters: list[str] = []
    for c in text:
        last = clusters[-1] if clusters else ""
        mark = unicodedata.category(c) in ("Mn", "Mc", "Me") or c in "\u200c\u200d" or "\U0001f3fb" <= c <= "\U0001f3ff"
        # ZWJ between Persian letters only shapes them; between pictures it makes one of two.
        joined = last.endswith("\u200d") and unicodedata.category(c) == "So"
        flag = len(last) == 1 and all("\U0001f1e6" <= x <= "\U0001f1ff" for x in last + c)
        if last and last not in "\r\n" and (mark or joined or flag) or last + c == "\r\n":
            clusters[-1] += c
        else:
            clusters.append(c)
    return clusters


def quote(characters: Iterable[str]) -> str:
    """Characters as a person can read them in a message: `'·' (U+00B7)`."""
    return ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters)
