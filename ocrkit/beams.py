"""CTC prefix beam search: the most probable texts, each summed over its paths.

Greedy decoding finds the best path; many paths can write one text, so the best text may be another.
Taught in notebook 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ocrkit.choices import Choice, checked_log_probs, choose, rescored
from ocrkit.ctc import BLANK
from ocrkit.text import Tokenizer

#: A character less probable than this share of its step's best class is not tried there. Of P(any text) that takes
#: away at most T * K * CUT altogether, and a beam of real logits gets several times faster.
CUT = 1e-6


class Guide(Protocol):
    """Where a beam search may go and where it should; `left` is how many steps come after this one."""

    def moves(self, left: int, text: tuple[int, ...]) -> list[tuple[int, float]]:
        """Classes that may follow a beginning, with their probabilities at this step."""

    def rank(self, left: int, text: tuple[int, ...], in_blank: float, in_letter: float) -> float:
        """How good a beginning is, given P of its paths that end in blank and in its last letter; -inf drops it."""


def beam_candidates(
    log_probs: Tensor, tokenizer: Tokenizer, width: int = 25, symbols: int = 12, cut: float = CUT
) -> list[tuple[str, float]]:
    """CTC prefix beam search: the most probable texts of one image, whatever they spell.

    Args:
        log_probs: `(T, K)` natural-log probabilities.
        width: how many beginnings are kept after each step.
        symbols: how many of the most probable characters are tried at each step.
        cut: a character is not tried at a step where it has less than `cut` times the probability of the best class;
            0 tries all of them.

    Returns:
        At most `width` pairs (text, log P), best first. P is the sum over the paths that stayed in the beam: never
        more than the true one, and equal to it where nothing was dropped.

    Raises:
        ValueError: K differs from the tokenizer's classes, a number is NaN, or `width` or `symbols` is below 1.

    Source: Hannun et al. (2014), https://arxiv.org/abs/1408.2873. Taught in notebook 11.
    """
    lp = checked_log_probs(log_probs, tokenizer)
    return [(tokenizer.decode(codes), log_p) for codes, log_p in beam_search(lp, width, symbols, cut)]


def beam_decode(
    logits: Tensor,
    tokenizer: Tokenizer,
    steps: Sequence[int] | None = None,
    widths: Sequence[float] | None = None,
    width: int = 25,
    symbols: int = 12,
) -> list[Choice]:
    """The most probable text of each image, whatever it spells: the beam's texts, compared by their exact P.

    Args:
        logits: `(T, N, K)` logits or log probabilities.
        steps, widths: as in `lexicon_decode`.
        width, symbols: as in `beam_candidates`.

    Returns:
        N `Choice`s.

    Raises:
        ValueError: as `beam_candidates`; or `steps` or `widths` has not N entries or a wrong one.

    Taught in notebook 11.
    """

    def find(image: Tensor):
        return rescored(image, tokenizer, [codes for codes, _ in beam_search(image, width, symbols)])

    return choose(logits, tokenizer, steps, widths, find)


def beam_search(
    log_probs: Tensor, width: int = 25, symbols: int = 12, cut: float = CUT, guide: Guide | None = None
) -> list[tuple[tuple[int, ...], float]]:
    """`beam_candidates` in class numbers: `(T, K)` log probabilities to pairs (class numbers, log P).

    A `guide` replaces `symbols` and `cut`, and ranks the beginnings.
    """
    if width < 1 or symbols < 1:
        raise ValueError(f"width={width} and symbols={symbols}: keep at least one of each")
    probs = log_probs.exp()
    top, codes = probs[:, Tokenizer.SPECIAL :].topk(min(symbols, probs.shape[1] - Tokenizer.SPECIAL))
    least = (cut * probs.amax(1)).tolist()
    steps = zip(probs.tolist(), top.tolist(), (codes + Tokenizer.SPECIAL).tolist(), least)
    # Beginning -> (P of its paths that end in blank, P of those that end in its last letter).
    beams, log_scale = {(): (1.0, 0.0)}, 0.0
    for left, (row, chances, classes, low) in zip(reversed(range(len(probs))), steps):
        tried = [(c, p) for c, p in zip(classes, chances) if p >= low]
        after_blank = {text: sum(pair) * row[BLANK] for text, pair in beams.items()}
        after_letter = {text: in_letter * row[text[-1]] if text else 0.0 for text, (_, in_letter) in beams.items()}
        # Where `width` beginnings stand already, a new one below all of them would be dropped at once.
        floor = min(after_blank.values()) if len(beams) == width and not guide else 0.0
        for text, (in_blank, in_letter) in beams.items():
            either, last = in_blank + in_letter, text[-1] if text else BLANK
            for c, p in guide.moves(left, text) if guide else tried:
                grown, mass = (*text, c), (in_blank if c == last else either) * p
                if mass > floor or grown in after_letter:
                    after_letter[grown] = after_letter.get(grown, 0.0) + mass
        found = {text: (after_blank.get(text, 0.0), p) for text, p in after_letter.items()}
        if guide:
            ranks = [(guide.rank(left, text, *pair), text) for text, pair in found.items()]
            low = max(ranks)[0] + guide.cut
        else:
            ranks, low = [(sum(pair), text) for text, pair in found.items()], 0.0
        best = [text for rank, text in sorted(ranks, reverse=True)[:width] if rank > low]
        if not best:
            return []  # every path has probability 0, or none is allowed
        # Beginnings are kept relative to the most probable one, so that none gets too small.
        scale = max(sum(found[text]) for text in best)
        log_scale += math.log(scale)
        beams = {text: (found[text][0] / scale, found[text][1] / scale) for text in best}
    ranked = sorted(((math.log(sum(pair)) + log_scale, text) for text, pair in beams.items()), reverse=True)
    return [(text, log_p) for log_p, text in ranked]
