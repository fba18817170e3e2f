"""CTC prefix beam search: the most probable texts, each summed over its paths.

Greedy decoding finds the best path; many paths can write one text, so the best text may be another.
Taught in notebook 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ocrkit.choices import Choice, checked_log_probs, choose, rescored
from ocrkit.ctc import BLANK
from ocrkit.text import Tokenizer

#: A character less probable than this share of its step's best class is not tried there. Of P(any text) that takes
#: away at most T * K * CUT altogether, and a beam of real logits gets several times faster.
CUT = 1e-6

#: A beginning -> class that may follow it -> in how many further steps the whole text can then be done; under `BLANK`,
#: in how many where no new character follows at once.
Follow = Callable[[tuple[int, ...]], Mapping[int, float]]


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
    log_probs: Tensor, width: int = 25, symbols: int = 12, cut: float = CUT, follow: Follow | None = None
) -> list[tuple[tuple[int, ...], float]]:
    """`beam_candidates` in class numbers: `(T, K)` log probabilities to pairs (class numbers, log P).

    With `follow`, a beginning grows only as it says, and only while the steps that are left suffice to finish a text.
    """
    if width < 1 or symbols < 1:
        raise ValueError(f"width={width} and symbols={symbols}: keep at least one of each")
    probs = log_probs.exp()
    top, codes = probs[:, Tokenizer.SPECIAL :].topk(min(symbols, probs.shape[1] - Tokenizer.SPECIAL))
    least = (cut * probs.amax(1)).tolist()
    steps = zip(probs[:, BLANK].tolist(), top.tolist(), (codes + Tokenizer.SPECIAL).tolist(), least)
    # Beginning -> (P of its paths that end in blank, P of those that end in its last letter).
    beams, log_scale = {(): (1.0, 0.0)}, 0.0
    for left, (blank, chances, classes, low) in zip(reversed(range(len(probs))), steps):
        tried = [(c, p) for c, p in zip(classes, chances) if p >= low]
        may = {text: follow(text) for text in beams} if follow else {}
        stay = [text for text in beams if not may or may[text][BLANK] <= left]
        after_blank = {text: sum(beams[text]) * blank for text in stay}
        after_letter = dict.fromkeys(stay, 0.0)
        # `width` beginnings that stay are sure of this much: a new one below it would be dropped at once.
        floor = min(after_blank.values()) if len(stay) == width else 0.0
        for text, (in_blank, in_letter) in beams.items():
            either, last = in_blank + in_letter, text[-1] if text else BLANK
            for c, p in tried:
                if c == last and text in after_letter:
                    after_letter[text] += in_letter * p
                if may and may[text].get(c, math.inf) > left:
                    continue
                grown, mass = (*text, c), (in_blank if c == last else either) * p
                if mass > floor or grown in after_letter:
                    after_letter[grown] = after_letter.get(grown, 0.0) + mass
        sums = [(p + after_blank.get(text, 0.0), text) for text, p in after_letter.items()]
        best = sorted(sums, reverse=True)[:width]
        if not best or not best[0][0] > 0:
            return []  # every path has probability 0, or none is allowed
        scale = best[0][0]
        log_scale += math.log(scale)  # beginnings are kept relative to the best, so that none gets too small
        beams = {text: (after_blank.get(text, 0.0) / scale, after_letter[text] / scale) for p, text in best if p > 0}
    ranked = sorted(((math.log(sum(pair)) + log_scale, text) for text, pair in beams.items()), reverse=True)
    return [(text, log_p) for log_p, text in ranked]
