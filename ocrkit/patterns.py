"""Reading what must have a form, such as a number plate: a beam search that grows only what the form allows.

A network reads each character for itself, so it may put a letter where only a digit can stand. Here the question is:
which of all texts of that form does the image show? Taught in notebook 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache

from torch import Tensor

from ocrkit.beams import CUT, Follow, beam_search
from ocrkit.choices import Choice, choose, rescored
from ocrkit.ctc import BLANK
from ocrkit.text import PLATE_SLOTS, Tokenizer

#: Less than e^-690 is no float64 any more. A character that is less probable than that may be the only one allowed.
_LEAST = -690.0


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

    A prefix beam search in which each beginning grows only by what the pattern allows next, and only while the steps
    that are left suffice to finish a text. So it ends with allowed texts alone; their exact P decides.

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
    follow = _follow(pattern.codes(tokenizer))

    def find(image: Tensor):
        found = beam_search(image, width, cut=CUT, follow=follow)
        if len(found) < 2:  # what is allowed is not what the model thinks of: look at every character
            possible = image.clamp_min(_LEAST).masked_fill(image.isneginf(), -math.inf)
            found = beam_search(possible, width, image.shape[1], cut=0.0, follow=follow)
        return rescored(image, tokenizer, [codes for codes, _ in found])

    return choose(logits, tokenizer, steps, widths, find)


def _follow(forms: list[tuple[list[list[int]], int]]) -> Follow:
    """What may follow a beginning; see `beams.Follow`."""

    @cache
    def steps_left(place: int, fitting: tuple[int, ...], last: int) -> float:
        """Fewest steps that finish a text of which `place` characters stand there, where the path is at `last`."""
        if any(place >= forms[i][1] for i in fitting):
            return 0
        # Between equal characters stands a blank.
        return min(1 + (c == last) + steps for c, steps in grown(place, fitting).items())

    @cache
    def grown(place: int, fitting: tuple[int, ...]) -> dict[int, float]:
        """Class that may come next -> fewest steps after it."""
        longer = [i for i in fitting if place < len(forms[i][0])]
        after = {}
        for c in {c for i in longer for c in forms[i][0][place]}:
            left = tuple(i for i in longer if c in forms[i][0][place])
            after[c] = steps_left(place + 1, left, c)
        return after

    @cache
    def options(place: int, fitting: tuple[int, ...]) -> dict[int, float]:
        return {**grown(place, fitting), BLANK: steps_left(place, fitting, BLANK)}

    @lru_cache(maxsize=100_000)
    def still_fitting(text: tuple[int, ...]) -> tuple[int, ...]:
        place = len(text) - 1
        if place < 0:
            return tuple(range(len(forms)))
        before = still_fitting(text[:-1])
        return tuple(i for i in before if place < len(forms[i][0]) and text[-1] in forms[i][0][place])

    return lambda text: options(len(text), still_fitting(text))
