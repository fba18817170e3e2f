"""Reading what must have a form, such as a number plate: a beam search that grows only what the form allows.

A network reads each character for itself, so it may put a letter where only a digit can stand. Here the question is:
which of all texts of that form does the image show? Taught in notebook 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from torch import Tensor

from ocrkit.beams import CUT, beam_search
from ocrkit.choices import Choice, choose, rescored
from ocrkit.ctc import BLANK
from ocrkit.text import PLATE_SLOTS, Tokenizer

#: The search takes what is less probable for e^-80, so that eight such characters in a row are still no zero.
_LEAST = -80.0


class Pattern:
    """The texts of one form: one place after the other, each with the characters that may stand there.

    `Pattern(["AB", "12", "12"], shortest=2)` allows A1, B2 and A12 among others. `p | q` allows what p or q allows,
    and `text in p` tells whether the whole text is allowed. Places run from left to right, as the text stands on paper
    (`Tokenizer.on_paper`).

    Args:
        slots: for each place the characters that may stand there.
        shortest: how many places a text fills at least; those after it may stay empty from the end on. All by default.

    Attributes:
        forms: a pair (slots, shortest) for each alternative.

    Raises:
        TypeError: `slots` is one string.
        ValueError: there is no slot, one is empty, or `shortest` is not in 1..number of slots.

    Taught in notebook 11.
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

    def __or__(self, other: Pattern) -> Pattern:
        either = Pattern.__new__(Pattern)
        either.forms = self.forms + other.forms
        return either

    def __contains__(self, text: str) -> bool:
        return any(
            shortest <= len(text) <= len(slots) and all(c in slot for c, slot in zip(text, slots))
            for slots, shortest in self.forms
        )

    @classmethod
    def named(cls, name: str) -> Pattern:
        """The pattern of that name; `"plates"` allows what `text.PLATE_PATTERNS` does."""
        if name not in PATTERNS:
            raise ValueError(f"no pattern is named {name!r}; there are: {', '.join(PATTERNS)}")
        return PATTERNS[name]

    @property
    def characters(self) -> set[str]:
        """All characters that may stand somewhere."""
        return {c for slots, _ in self.forms for slot in slots for c in slot}

    def codes(self, tokenizer: Tokenizer) -> list[tuple[list[list[int]], int]]:
        """`forms` in class numbers, as far as the alphabet has the characters.

        Raises:
            ValueError: no text of the pattern can be written in the alphabet.
        """
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


def _plates() -> Pattern:
    first, *others = [Pattern(slots) for ways in PLATE_SLOTS.values() for slots in ways]
    for other in others:
        first = first | other
    return first


#: Name -> pattern.
PATTERNS = {"plates": _plates()}


def pattern_of(tokenizer: Tokenizer) -> str | None:
    """The name of the pattern that fits the alphabet, which has no other characters, or None."""
    for name, pattern in PATTERNS.items():
        if pattern.characters >= set(tokenizer.alphabet):
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
    """The most probable text that the pattern allows.

    A prefix beam search that keeps the beginnings with the best allowed ends before them: a beginning of which no
    allowed text can come any more is dropped, and one that needs an unlikely character later falls behind. So it ends
    with allowed texts alone; their exact P decides.

    Args:
        logits: `(T, N, K)` logits or log probabilities.
        pattern: a `Pattern` or the name of one.
        steps, widths: as in `lexicon_decode`.
        width: how many beginnings are kept after each step.

    Returns:
        N `Choice`s; their confidence is the winner's share among the allowed texts in the last beam. Where no allowed
        text fits in the steps: an empty text, confidence 0, and log_prob -inf.

    Raises:
        ValueError: no text of the pattern can be written in the alphabet, there is no such pattern, `steps` or
            `widths` has not N entries or a wrong one, K differs from the tokenizer's classes, or a number is NaN.

    Taught in notebook 11.
    """
    pattern = Pattern.named(pattern) if isinstance(pattern, str) else pattern
    road = _Road(pattern.codes(tokenizer), tokenizer.num_classes)

    def find(image: Tensor):
        possible = image.clamp_min(_LEAST).masked_fill(image.isneginf(), -math.inf)
        guide = _Guide(road, possible.numpy(), math.log(CUT))
        found = beam_search(possible, width, guide=guide)
        if len(found) < 2:  # the model is very sure; what nearly won is wanted all the same
            guide.cut, guide.tried = -math.inf, {}
            found = beam_search(possible, width, guide=guide)
        return rescored(image, tokenizer, [codes for codes, _ in found])

    return choose(logits, tokenizer, steps, widths, find)


class _Road:
    """The allowed texts as a graph: a node for each set of forms that a beginning of some length still fits.

    Args:
        forms: as `Pattern.codes` gives them.
        classes: K.

    Attributes:
        to: `(nodes, K)` the node to which a class leads; the last one is where no allowed text comes from.
        ends: `(nodes,)` whether an allowed text may end there.
    """

    def __init__(self, forms: list[tuple[list[list[int]], int]], classes: int):
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
        self.to = np.full((nowhere + 1, classes), nowhere)
        for node, c, after in edges:
            self.to[node, c] = after
        self.ends = np.zeros(nowhere + 1, dtype=bool)
        for (place, fitting), number in numbers.items():
            self.ends[number] = any(place >= forms[i][1] for i in fitting)
        self.node = lru_cache(maxsize=100_000)(self._node)

    def _node(self, text: tuple[int, ...]) -> int:
        return int(self.to[self.node(text[:-1]), text[-1]]) if text else 0


class _Guide:
    """The `beams.Guide` of an image: the best end of each beginning, found by the Viterbi algorithm from the last step.

    Args:
        road: the allowed texts.
        log_probs: `(T, K)` of the image.
        cut: a move is not tried where its best end is so much less probable (in nats) than that of the best move.
    """

    def __init__(self, road: _Road, log_probs: np.ndarray, cut: float):
        self.road, self.log_probs, self.cut, self.tried = road, log_probs, cut, {}
        classes = np.arange(log_probs.shape[1])
        blank = np.where(road.ends, 0.0, -np.inf)  # the best end where a path of that node stands at a blank
        letter = np.repeat(blank[:, None], len(classes), axis=1)  # and where it stands at a letter
        #: For each number of steps that are left: `(nodes,)`, `(nodes, K)`, and `(nodes, K)` with the next letter.
        self.table = []
        for row in log_probs[::-1]:
            onward = row + letter[road.to, classes]
            self.table.append((blank, letter, onward))
            second, first = np.partition(onward, -2, axis=1)[:, -2:].T
            # From a letter to the same letter there is no way but over a blank.
            other = np.where(onward == first[:, None], second[:, None], first[:, None])
            wait = row[BLANK] + blank
            blank, letter = np.maximum(wait, first), np.maximum(np.maximum(wait[:, None], row + letter), other)

    def moves(self, left: int, text: tuple[int, ...]) -> list[tuple[int, float]]:
        node = self.road.node(text)
        if (left, node) not in self.tried:
            row, (blank, _, onward) = self.log_probs[-1 - left], self.table[left]
            best = max(row[BLANK] + blank[node], onward[node].max())
            classes = np.flatnonzero((onward[node] >= best + self.cut) & (onward[node] > -np.inf))
            self.tried[left, node] = list(zip(classes.tolist(), np.exp(row[classes]).tolist()))
        return self.tried[left, node]

    def rank(self, left: int, text: tuple[int, ...], in_blank: float, in_letter: float) -> float:
        node, (blank, letter, _) = self.road.node(text), self.table[left]
        after_blank = math.log(in_blank) + blank[node] if in_blank > 0 else -math.inf
        return max(after_blank, math.log(in_letter) + letter[node, text[-1]]) if in_letter > 0 else after_blank
