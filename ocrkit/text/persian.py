"""Persian text: what a comparison may forgive. Taught in notebook 10."""

from collections.abc import Callable, Collection

from ocrkit.text.alphabets import ARABIC_DIGITS, DIGITS, PERSIAN_DIGITS
from ocrkit.text.strings import normalize

ZWNJ = "\u200c"
_LETTERS = str.maketrans("يىك", "ییک")
#: For `str.translate`: digits of the other kinds as Persian ones, and as Latin ones.
TO_PERSIAN = str.maketrans(ARABIC_DIGITS + DIGITS, 2 * PERSIAN_DIGITS)
TO_LATIN = str.maketrans(PERSIAN_DIGITS + ARABIC_DIGITS, 2 * DIGITS)

#: Step -> what it does to a text, in the order in which steps are taken. Letters that are read in another way, as ۀ
#: and ة are, stay what they are.
STEPS: dict[str, Callable[[str], str]] = {
    "nfc": normalize,
    "letters": lambda text: text.translate(_LETTERS),
    "digits": lambda text: text.translate(TO_PERSIAN),
    "zwnj": lambda text: text.replace(ZWNJ, ""),
}


def fold(text: str, steps: Collection[str] = tuple(STEPS)) -> str:
    """Write a Persian text in one of its ways. Taught in notebook 10.

    Args:
        steps: which of `STEPS`, in any order: `"nfc"` composes letters and marks, `"letters"` writes Arabic ye and kaf
            as Persian ones, `"digits"` Arabic and Latin digits as Persian ones, `"zwnj"` leaves out the non-joiner.

    Raises ValueError: there is no such step.
    """
    if unknown := [step for step in steps if step not in STEPS]:
        raise ValueError(f"there is no step {unknown[0]!r}; there are: {', '.join(STEPS)}")
    for step, change in STEPS.items():
        if step in steps:
            text = change(text)
    return text
