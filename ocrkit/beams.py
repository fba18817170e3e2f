"""CTC prefix beam search: the most probable texts, each summed over its paths.

Greedy decoding finds the best path; many paths can write one text, so the best text may be another.
Taught in notebook 11.
"""

from __future__ import annotations

import math
from collections import defaultdict

from torch import Tensor

from ocrkit.ctc import BLANK
from ocrkit.text import Tokenizer


def beam_candidates(
    log_probs: Tensor, tokenizer: Tokenizer, width: int = 25, symbols: int = 12
) -> list[tuple[str, float]]:
    """CTC prefix beam search: the most probable texts of one image, whatever they spell.

    Args:
        log_probs: `(T, K)` natural-log probabilities.
        width: how many beginnings are kept after each step.
        symbols: how many of the most probable characters are tried at each step.

    Returns:
        At most `width` pairs (text, log P), best first. P is the sum over the paths that stayed in the beam: never
        more than the true one, and equal to it where nothing was dropped.

    Raises:
        ValueError: K differs from the tokenizer's classes, a number is NaN, or `width` or `symbols` is below 1.

    Source: Hannun et al. (2014), https://arxiv.org/abs/1408.2873. Taught in notebook 11.
    """
    lp = checked_log_probs(log_probs, tokenizer)
    return [(tokenizer.decode(codes), log_p) for codes, log_p in beam_search(lp, width, symbols)]


def beam_search(log_probs: Tensor, width: int = 25, symbols: int = 12) -> list[tuple[tuple[int, ...], float]]:
    """`beam_candidates` in class numbers: `(T, K)` log probabilities to pairs (class numbers, log P)."""
    if width < 1 or symbols < 1:
        raise ValueError(f"width={width} and symbols={symbols}: keep at least one of each")
    probs = log_probs.exp()
    top, codes = probs[:, Tokenizer.SPECIAL :].topk(min(symbols, probs.shape[1] - Tokenizer.SPECIAL))
    # Beginning -> [P of its paths that end in blank, P of those that end in its last letter].
    beams, log_scale = {(): [1.0, 0.0]}, 0.0
    for blank, chances, classes in zip(probs[:, BLANK].tolist(), top.tolist(), (codes + Tokenizer.SPECIAL).tolist()):
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for text, (after_blank, after_letter) in beams.items():
            either, last = after_blank + after_letter, text[-1] if text else BLANK
            grown[text][0] += either * blank
            for c, p in zip(classes, chances):
                if c == last:
                    grown[text][1] += after_letter * p
                grown[(*text, c)][1] += (after_blank if c == last else either) * p
        best = sorted(((sum(pair), text) for text, pair in grown.items()), reverse=True)[:width]
        scale = best[0][0]
        if not scale > 0:
            return []  # every path has probability 0
        log_scale += math.log(scale)  # beginnings are kept relative to the best, so that none gets too small
        beams = {text: [p / scale for p in grown[text]] for total, text in best if total > 0}
    ranked = sorted(((math.log(sum(pair)) + log_scale, text) for text, pair in beams.items()), reverse=True)
    return [(text, log_p) for log_p, text in ranked]


def checked_log_probs(logits: Tensor, tokenizer: Tokenizer) -> Tensor:
    """`(..., K)` logits or log probabilities to natural-log probabilities in float64 on the CPU.

    Raises:
        ValueError: K differs from the tokenizer's classes, or a number is NaN.
    """
    if logits.shape[-1] != tokenizer.num_classes:
        raise ValueError(
            f"the logits have {logits.shape[-1]} classes and the tokenizer {tokenizer.num_classes}: "
            "they do not belong together; take the lexicon's tokenizer from the recognizer"
        )
    # log_softmax leaves log probabilities as they are.
    lp = logits.detach().cpu().double().log_softmax(-1)
    if lp.isnan().any():
        raise ValueError("the logits have NaN: the model has diverged, or its input was not finite")
    return lp
