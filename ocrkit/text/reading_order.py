"""Reading order: from the order in which right-to-left text is typed to that in which it stands on paper, and back.

Persian is stored in logical order, as it is typed: the first letter first. On paper that letter stands at the right
end of the line, yet the digits of a number run from left to right. A CRNN meets characters in the order on paper.

This is the part of Unicode's bidirectional algorithm (UAX 9, https://www.unicode.org/reports/tr9/) that one line of
right-to-left text with numbers needs: rules W1 to W5, L2 and L4. Taught in notebook 10.
"""

import re
import unicodedata

#: Brackets and quotes open towards the text that follows, so on a right-to-left line they are mirrored.
MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
_PIECE = re.compile("[na]+|[^na]+")
#: Class of a character in Unicode's table -> one letter: n number, a Arabic number, s and c separators, t sign as %.
_KINDS = {"EN": "n", "AN": "a", "ES": "s", "CS": "c", "ET": "t", "AL": "L", "R": "R"}


def to_visual(text: str) -> str:
    """One line from logical order to the order on paper, from left to right. Taught in notebook 10.

    `"مورخ ۱۴۰۲/۵/۷"` gives its digits first, then the blank, then the word with its last letter first. Raises
    ValueError: the line has a letter of a left-to-right script.
    """
    return "".join(text[i] if run else text[i].translate(MIRRORED) for i, run in visual_order(text))


def to_logical(visual: str) -> str:
    """Undo `to_visual`, for lines whose digits before the first letter are all Arabic or all of other kinds.

    Of two lines that look alike on paper, as some with a sign of per cent do, it gives one. Taught in notebook 10.
    Raises ValueError: the line has a letter of a left-to-right script.
    """
    # Turned around as a whole, the line has its letters in order and the digits of each number turned around.
    return "".join(piece[::-1] if kind in "na" else piece.translate(MIRRORED) for kind, piece in _pieces(visual[::-1]))


def visual_order(text: str) -> list[tuple[int, bool]]:
    """`(i, in_number)` for each place on paper, from left to right: which character of `text` stands there, and whether
    it belongs to a number, which runs from left to right. Raises as `to_visual`.
    """
    order, end = [], len(text)
    for kind, piece in reversed(_pieces(text)):
        numbers = range(end - len(piece), end)
        order += [(i, True) for i in numbers] if kind in "na" else [(i, False) for i in reversed(numbers)]
        end -= len(piece)
    return order


def _pieces(text: str) -> list[tuple[str, str]]:
    """Cut a line into numbers and what stands between: pairs of the kind ("n" or "a" for a number) and the piece."""
    kinds = number_kinds(text)
    return [(kinds[m.start()], text[m.start() : m.end()]) for m in _PIECE.finditer(kinds)]


def number_kinds(text: str) -> str:
    """One letter a character: "n" or "a" for what belongs to a number, others for the rest. Raises as `to_visual`."""
    kinds, last, strong = [], "o", "R"
    for c in text:
        bidi = unicodedata.bidirectional(c)
        if bidi == "L":
            raise ValueError(
                f"{c!r} (U+{ord(c):04X}) in {text!r} is a letter of a left-to-right script: "
                "only lines of right-to-left letters, digits and signs can be put in order here"
            )
        last = last if bidi == "NSM" else _KINDS.get(bidi, "o")  # W1: a mark is of the kind of its letter
        strong = last if last in "LR" else strong
        # W2: after a Persian or Arabic letter any digit counts as an Arabic one, so that "-" no longer joins it.
        kinds.append("a" if last == "n" and strong == "L" else last)
    line = "".join(kinds)
    line = re.sub("(?<=n)[sc](?=n)", "n", line)  # W4: one separator between two numbers joins them,
    line = re.sub("(?<=a)c(?=a)", "a", line)  # between Arabic ones only `/ . : ,`
    return re.sub("t+(?=n)|(?<=n)t+", lambda signs: "n" * len(signs[0]), line)  # W5: 20%
