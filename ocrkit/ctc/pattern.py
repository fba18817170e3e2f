"""Reading what must have a form, such as a number plate: which of all texts of that form does the image show?

Taught in notebook 11.
"""

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np
from torch import Tensor

from ocrkit.ctc.candidates import Choice, choose, rescored
from ocrkit.ctc.lattice import BLANK
from ocrkit.text.alphabets import PLATE_SLOTS
from ocrkit.text.tokenizer import Tokenizer


class Pattern:
    """The texts of one form: one place after the other, each with the characters that may stand there.

    `Pattern(["AB", "12", "12"], shortest=2)` allows A1, B2 and A12 among others: `shortest` says how many places a text
    fills at least, all by default. `p | q` allows what p or q allows, and `text in p` tells whether the whole text is
    allowed. Places run from left to right, as the text stands on paper (`Tokenizer.on_paper`). `forms` are pairs
    (slots, shortest), one an alternative. Taught in notebook 11.

    Raises TypeError: `slots` is one string; ValueError: there is no slot, one is empty, or no such `shortest`.
    """

    def __init__(self, slots: Sequence[str], shortest: int | None = None):
        if isinstance(slots, str):
            raise TypeError(f"slots is one string, {slots!r}: give a list, for each place the characters of it")
        shortest = len(slots) if shortest is None else shortest
        if not slots or not all(slots):
            raise ValueError(f"slots={list(slots)!r}: each place needs at least one character, and there must be one")
        if not 1 <= shortest <= len(slots):
            raise ValueError(f"shortest={shortest}: a text fills between 1 and {len(slots)} of these places")
        self.forms = [(tuple(slots), shortest)]

    def __or__(self, other: "Pattern") -> "Pattern":
        either = Pattern.__new__(Pattern)
        either.forms = self.forms + other.forms
        return either

    def __contains__(self, text: str) -> bool:
        return any(
            shortest <= len(text) <= len(slots) and all(c in slot for c, slot in zip(text, slots))
            for slots, shortest in self.forms
        )

    @classmethod
    def named(cls, name: str) -> "Pattern":
        """The pattern of that name; `"plates"` allows what `alphabets.PLATE_PATTERNS` does."""
        if name not in PATTERNS:
            raise ValueError(f"no pattern is named {name!r}; there are: {', '.join(PATTERNS)}")
        return PATTERNS[name]

    def codes(self, tokenizer: Tokenizer) -> list[tuple[list[list[int]], int]]:
        """`forms` in class numbers, as far as the alphabet has the characters; ValueError where it can write none."""
        forms = []
        for slots, shortest in self.forms:
            places = [[tokenizer.encode(c)[0] for c in slot if not tokenizer.missing(c)] for slot in slots]
            places = places[: next((i for i, place in enumerate(places) if not place), len(places))]
            if len(places) >= shortest:
                forms.append((places, shortest))
        if not forms:
            raise ValueError(
                f"no text of the pattern can be written with the alphabet {tokenizer.alphabet!r}: "
                "each way to write one has a place of which the alphabet lacks all characters"
            )
        return forms

    def __repr__(self) -> str:
        return " | ".join(f"Pattern({list(slots)!r}, shortest={shortest})" for slots, shortest in self.forms)


#: Name -> pattern.
PATTERNS = {"plates": reduce(or_, (Pattern(slots) for ways in PLATE_SLOTS.values() for slots in ways))}


def pattern_of(tokenizer: Tokenizer) -> str | None:
    """The name of the pattern that fits the alphabet, which has no other characters, or None."""
    for name, pattern in PATTERNS.items():
        if {c for slots, _ in pattern.forms for slot in slots for c in slot} >= set(tokenizer.alphabet):
            try:
                pattern.codes(tokenizer)
            except ValueError:  # digits alone make no plate
                continue
            return name
    return None


def pattern_decode(
    logits: Tensor,
    pattern: Pattern | str,
    tokenizer: Tokenizer,
    steps: Sequence[int] | None = None,
    widths: Sequence[float] | None = None,
    width: int = 25,
) -> list[Choice]:
    """The most probable text that the pattern allows, by prefix search decoding.

    For each beginning it is known how probable all allowed texts that begin so are together (`_ends`). The most
    probable one grows, a character at a time, until whole texts are more probable than all beginnings that are left. So
    winner and runner-up are exact, unless more than `width` beginnings of one length are needed, as on an empty image.

    `logits`, `steps` and `widths` are those of `candidates.choose`; `pattern` may be the name of one. Returns N
    `Choice`s; their confidence is the winner's share among all allowed texts.

    Raises ValueError: as `candidates.choose`; no text of the pattern can be written in the alphabet, there is no such
    pattern, or `width` is below 1.

    Source: prefix search decoding, Graves et al. (2006), section 3.2. Taught in notebook 11.
    """
    if width < 1:
        raise ValueError(f"width={width}: go on with at least one beginning of each length")
    pattern = Pattern.named(pattern) if isinstance(pattern, str) else pattern
    road = _road(pattern.codes(tokenizer), tokenizer.num_classes)

    def find(image: Tensor):
        codes, total = _best_two(*road, image.numpy(), width)
        return *rescored(image, tokenizer, codes), total

    return choose(logits, tokenizer, steps, widths, find)


def _road(forms: list[tuple[list[list[int]], int]], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The allowed texts as a graph: a node for each set of `forms` that a beginning of some length still fits.

    Returns `to`, `(nodes, K)`: the node to which a class leads, of which the last is where no allowed text comes from;
    and `ends`, `(nodes,)`: whether an allowed text may end there.
    """
    start = (0, tuple(range(len(forms))))
    numbers, waiting, edges = {start: 0}, [start], []
    while waiting:
        place, fitting = node = waiting.pop()
        longer = [i for i in fitting if place < len(forms[i][0])]
        for c in {c for i in longer for c in forms[i][0][place]}:
            after = place + 1, tuple(i for i in longer if c in forms[i][0][place])
            if after not in numbers:
                numbers[after] = len(numbers)
                waiting.append(after)
            edges.append((numbers[node], c, numbers[after]))
    nowhere = len(numbers)
    to = np.full((nowhere + 1, classes), nowhere)
    for node, c, after in edges:
        to[node, c] = after
    ends = [any(place >= forms[i][1] for i in fitting) for place, fitting in numbers]  # in the order of their numbers
    return to, np.array([*ends, False])


def _ends(to: np.ndarray, ends: np.ndarray, log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How probable all ways to an allowed end are together, after each step: the backward algorithm on the road.

    Returns log P of the steps that are left, `(T + 1, nodes)` for paths that stand at a blank, and `(T + 1, nodes, K)`
    for those that stand at the letter by which the node was entered.
    """
    steps, classes = log_probs.shape
    blank = np.empty((steps + 1, len(ends)))
    letter = np.empty((steps + 1, len(ends), classes))
    blank[-1] = np.where(ends, 0.0, -np.inf)
    letter[-1] = blank[-1][:, None]
    others = np.empty_like(letter[0])
    for t in reversed(range(steps)):
        row, wait = log_probs[t], log_probs[t, BLANK] + blank[t + 1]
        onward = row + letter[t + 1, to, np.arange(classes)]
        # From a letter to the same letter there is no way but over a blank: of each class, all moves but that one.
        up, down = (np.logaddexp.accumulate(moves, 1) for moves in (onward, onward[:, ::-1]))
        others[:, 0], others[:, -1] = down[:, -2], up[:, -2]
        others[:, 1:-1] = np.logaddexp(up[:, :-2], down[:, -3::-1])
        blank[t] = np.logaddexp(wait, up[:, -1])
        letter[t] = np.logaddexp(np.logaddexp(wait[:, None], row + letter[t + 1]), others)
    return blank, letter


def _best_two(
    to: np.ndarray, ends: np.ndarray, log_probs: np.ndarray, width: int
) -> tuple[list[tuple[int, ...]], float]:
    """The two most probable allowed texts in class numbers, best first, and log P of all allowed texts together."""
    at_blank, at_letter = _ends(to, ends, log_probs)
    blanks = np.concatenate([[0.0], log_probs[:, BLANK].cumsum()])
    total = float(at_blank[0, 0])
    # The best first: minus log P, class numbers, and what is needed to go on; nothing for a whole text.
    waiting = [(-total, (), 0, (blanks, np.full_like(blanks, -np.inf)))] if total > -np.inf else []
    found, taken = [], Counter()
    while waiting and len(found) < 2:
        _, text, node, paths = heapq.heappop(waiting)
        if paths is None:
            found.append(text)
            continue
        if taken[len(text)] == width:
            continue
        taken[len(text)] += 1
        in_blank, in_letter = paths if not text else _grown(log_probs, text, *paths)
        either = np.logaddexp(in_blank, in_letter)
        if ends[node] and either[-1] > -np.inf:
            heapq.heappush(waiting, (-float(either[-1]), text, node, None))
        (letters,) = np.nonzero(to[node] < len(ends) - 1)
        nodes = to[node, letters]
        # All ways on: the next letter begins at some step, and from there any way to an allowed end.
        enter = np.where(letters == (text[-1] if text else BLANK), in_blank[:-1, None], either[:-1, None])
        ways = enter + log_probs[:, letters] + at_letter[1:, nodes, letters]
        for c, after, log_p in zip(letters.tolist(), nodes.tolist(), np.logaddexp.reduce(ways, 0).tolist()):
            if log_p > -np.inf:
                heapq.heappush(waiting, (-log_p, (*text, c), after, (in_blank, in_letter)))
    return found, total


def _grown(
    log_probs: np.ndarray, text: tuple[int, ...], in_blank: np.ndarray, in_letter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """log P, `(T + 1,)` each, of the paths that write `text` in the first t steps and end in blank, or in its last
    letter; `in_blank` and `in_letter` are the same of `text` without that letter.
    """
    before = in_blank if text[-2:-1] == text[-1:] else np.logaddexp(in_blank, in_letter)
    blank, letter, rows = [-math.inf], [-math.inf], log_probs[:, [BLANK, text[-1]]].tolist()
    for (of_blank, of_letter), enter in zip(rows, before.tolist()):
        blank.append(of_blank + np.logaddexp(blank[-1], letter[-1]))
        letter.append(of_letter + np.logaddexp(letter[-1], enter))
    return np.array(blank), np.array(letter)
