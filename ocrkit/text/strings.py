"""Strings: Unicode normal form, what a reader sees as one character, and how a message names characters.

Taught in notebook 02.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable


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
    one item each; joined again, the items give `text`.

    Raises:
        ImportError: the package regex is not installed.

    Unicode's extended grapheme clusters (UAX 29), by the library regex. Taught in notebook 05.
    """
    try:  # imported here: who compares code points needs no clusters
        import regex
    except ImportError as error:
        raise ImportError("grapheme clusters need the package regex: pip install regex") from error
    return regex.findall(r"\X", text)


#: What makes the columns of a results table, for messages.
_READS = "Recognizer.read adds it"
_CURES = {
    "prediction": _READS,
    "confidence": _READS,
    "loss": "add it: results.assign(loss=label_losses(reader, results))",
}


def require_columns(table: Collection[str], *names: str, what: str = "the table", cure: str = "") -> None:
    """Raise a ValueError where `table` (a DataFrame, or names of columns) lacks one of the columns `names`.

    It says which, what `table` has instead, and the `cure`: what to do, known for the columns of results.
    """
    if missing := [name for name in names if name not in table]:
        cure = cure or _CURES.get(missing[0], "")
        raise ValueError(
            f"{what} has no column {' and no column '.join(map(repr, missing))}; it has: {', '.join(map(str, table))}"
            f"{cure and '; ' + cure}"
        )


def quote(characters: Iterable[str]) -> str:
    """Characters as a person can read them in a message: `'·' (U+00B7)`."""
    return ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters)
