"""CTC prefix beam search: the most probable texts, each summed over all paths that write it. Taught in notebook 11."""

import math
from collections.abc import Sequence

from torch import Tensor

from ocrkit.ctc.candidates import Choice, checked_log_probs, choose, rescored
from ocrkit.ctc.lattice import BLANK
from ocrkit.text.tokenizer import Tokenizer

#: A character less probable than this share of the best of its step is not tried there. Of P(any text) that takes
#: away at most T * K * CUT altogether, and a beam of real logits gets several times faster.
CUT = 1e-6


def beam_candidates(
    log_probs: Tensor, tokenizer: Tokenizer, width: int = 25, symbols: int = 12, cut: float = CUT
) -> list[tuple[str, float]]:
    """CTC prefix beam search: the most probable texts of one image, whatever they spell.

    Of `(T, K)` natural-log probabilities it keeps `width` beginnings after each step, and tries at each the `symbols`
    most probable characters, without those that have less than `cut` times the probability of the best class.

    Returns at most `width` pairs (text, log P), best first. P is the sum over the paths that stayed in the beam: never
    more than the true one, and equal to it where nothing was dropped.

    Raises ValueError: K differs from the tokenizer's classes, a number is NaN, or `width` or `symbols` is below 1.

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

    Arguments and errors are those of `candidates.choose` and `beam_candidates`. Taught in notebook 11.
    """

    def find(image: Tensor):
        return rescored(image, tokenizer, [codes for codes, _ in beam_search(image, width, symbols)])

    return choose(logits, tokenizer, steps, widths, find)


def beam_search(
    log_probs: Tensor, width: int = 25, symbols: int = 12, cut: float = CUT
) -> list[tuple[tuple[int, ...], float]]:
    """`beam_candidates` in class numbers: `(T, K)` log probabilities to pairs (class numbers, log P)."""
    if width < 1 or symbols < 1:
        raise ValueError(f"width={width} and symbols={symbols}: keep at least one of each")
    # Of each step the best class that writes something, or the blank, counts as 1: what is left to OOV and PAD may be
    # less than a float can hold.
    ones = log_probs[:, [BLANK, *range(Tokenizer.SPECIAL, log_probs.shape[1])]].amax(1)
    if ones.isneginf().any():
        return []  # every path has probability 0
    probs = (log_probs - ones[:, None]).exp()
    top, codes = probs[:, Tokenizer.SPECIAL :].topk(min(symbols, probs.shape[1] - Tokenizer.SPECIAL))
    steps = zip(probs.tolist(), top.tolist(), (codes + Tokenizer.SPECIAL).tolist())
    # Beginning -> (P of its paths that end in blank, P of those that end in its last letter).
    beams, log_scale = {(): (1.0, 0.0)}, float(ones.sum())
    for row, chances, classes in steps:
        tried = [(c, p) for c, p in zip(classes, chances) if p >= cut]
        after_blank = {text: sum(pair) * row[BLANK] for text, pair in beams.items()}
        after_letter = {text: in_letter * row[text[-1]] if text else 0.0 for text, (_, in_letter) in beams.items()}
        # Where `width` beginnings stand already, a new one below all of them would be dropped at once.
        floor = min(after_blank.values()) if len(beams) == width else 0.0
        for text, (in_blank, in_letter) in beams.items():
            either, last = in_blank + in_letter, text[-1] if text else BLANK
            for c, p in tried:
                grown, mass = (*text, c), (in_blank if c == last else either) * p
                if mass > floor or grown in after_letter:
                    after_letter[grown] = after_letter.get(grown, 0.0) + mass
        found = {text: (after_blank.get(text, 0.0), p) for text, p in after_letter.items()}
        ranks = sorted(((sum(pair), text) for text, pair in found.items()), reverse=True)
        best = [text for mass, text in ranks[:width] if mass > 0]
        if not best:
            return []  # every path has probability 0
        # Beginnings are kept relative to the most probable one, so that none gets too small.
        scale = max(sum(found[text]) for text in best)
        log_scale += math.log(scale)
        beams = {text: (found[text][0] / scale, found[text][1] / scale) for text in best}
    ranked = sorted(((math.log(sum(pair)) + log_scale, text) for text, pair in beams.items()), reverse=True)
    return [(text, log_p) for log_p, text in ranked]
