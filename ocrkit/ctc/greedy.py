"""Greedy decoding: the best class of each time step, collapsed. Taught in notebooks 02 and 03."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ocrkit.text.tokenizer import Tokenizer


class Span(NamedTuple):
    """One character that was read: its text, its pixel columns `start <= x < end`, and its probability."""

    text: str
    start: float
    end: float
    confidence: float


class Reading(NamedTuple):
    """What was read in one image: text, confidence (that of its weakest character, 0..1) and a `Span` a character.

    The spans go from left to right, which is not the order of the text in right-to-left script.
    """

    text: str
    confidence: float
    spans: list[Span]


@torch.no_grad()
def greedy_decode(logits: Tensor, tokenizer: Tokenizer, widths: Sequence[float] | None = None) -> list[Reading]:
    """Take the best class of each time step and collapse: the best path, which is not always the best text.

    `logits` are `(T, N, K)` logits or log probabilities; blank, OOV and PAD give no text. `widths` are N image widths
    in pixels, in which the spans are given; T where it is left out, so that spans count time steps.

    Returns N `Reading`s. A character's confidence is its highest probability among the steps merged into it; the
    reading's is the lowest of its characters, or, where it is empty, the lowest probability of the blank over all
    steps: how sure the model is that there is nothing.

    Raises ValueError: K differs from the tokenizer's classes, or `widths` has not N entries. Taught in notebook 03.
    """
    check_classes(logits, tokenizer)
    steps, n, _ = logits.shape
    widths = [steps] * n if widths is None else list(widths)
    if len(widths) != n:
        raise ValueError(f"{len(widths)} widths for {n} images: give one width an image")
    best, codes = logits.float().softmax(-1).max(-1)
    best, codes = best.T.tolist(), codes.T.tolist()
    return [_reading(c, p, tokenizer, width / steps) for c, p, width in zip(codes, best, widths)]


def check_classes(logits: Tensor, tokenizer: Tokenizer) -> None:
    """Raise a ValueError where the logits `(..., K)` are not those of the tokenizer's classes."""
    if logits.shape[-1] != tokenizer.num_classes:
        raise ValueError(
            f"the logits have {logits.shape[-1]} classes and the tokenizer {tokenizer.num_classes}: "
            "they do not belong together; take the tokenizer of the recognizer that made the logits"
        )


def _reading(codes: list[int], probs: list[float], tokenizer: Tokenizer, pixels_per_step: float) -> Reading:
    read, spans, first = [], [], 0
    for t in range(1, len(codes) + 1):
        if t < len(codes) and codes[t] == codes[first]:
            continue
        if codes[first] >= Tokenizer.SPECIAL:
            read.append(codes[first])
            text = tokenizer.decode(read[-1:])
            spans.append(Span(text, first * pixels_per_step, t * pixels_per_step, max(probs[first:t])))
        first = t
    confidence = min((s.confidence for s in spans), default=min(probs, default=0.0))
    return Reading(tokenizer.decode(read), confidence, spans)
