"""What a decoder chose and what nearly won: beam, lexicon and pattern decoding find candidates, each in its own way.

How the best one is taken, how sure it is, and where its characters stand is the same for all. Taught in notebook 11.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from ocrkit.ctc.alignment import forced_alignment
from ocrkit.ctc.greedy import Span, check_classes
from ocrkit.ctc.lattice import BLANK
from ocrkit.text.tokenizer import Tokenizer

#: Texts, log P(text | image) of each, and the scores (higher is better) by which the best one is taken; perhaps also
#: the log of the sum of exp(score) over all candidates there are, where these are only the best of them.
Candidates = tuple[list[str], np.ndarray, np.ndarray] | tuple[list[str], np.ndarray, np.ndarray, float]


class Choice(NamedTuple):
    """What was read in one image, and what nearly was.

    `confidence` is the winner's share (0..1) among all candidates, `log_prob` its log P(text | image); `runner_up` the
    second best text, and `margin` by how much its score is lower, in nats; None and inf where there is none.
    """

    text: str
    confidence: float
    spans: list[Span]
    log_prob: float
    runner_up: str | None
    margin: float


def checked_log_probs(logits: Tensor, tokenizer: Tokenizer) -> Tensor:
    """`(..., K)` logits to natural-log probabilities, float64 on the CPU; ValueError: another K, or a NaN."""
    check_classes(logits, tokenizer)
    lp = logits.detach().cpu().double().log_softmax(-1)  # which leaves log probabilities as they are
    if lp.isnan().any():
        raise ValueError("the logits have NaN: the model has diverged, or its input was not finite")
    return lp


def checked_steps(steps: Sequence[int] | None, logits: Tensor) -> list[int]:
    """How many steps of each image of `(T, N, K)` logits count, T by default; ValueError where one is not 1..T."""
    total, n, _ = logits.shape
    steps = [total] * n if steps is None else [int(s) for s in steps]
    if len(steps) != n:
        raise ValueError(f"{len(steps)} steps for {n} images: give one an image")
    if wrong := [s for s in steps if not 1 <= s <= total]:
        raise ValueError(f"steps has {wrong[0]}, and an image has between 1 and {total} time steps")
    return steps


@torch.no_grad()
def choose(
    logits: Tensor,
    tokenizer: Tokenizer,
    steps: Sequence[int] | None,
    widths: Sequence[float] | None,
    find: Callable[[Tensor], Candidates],
) -> list[Choice]:
    """The best of the candidates that `find` has for each image.

    Args:
        logits: `(T, N, K)` logits or log probabilities.
        steps: N, how many time steps of each image count, where images of different widths are padded to T.
        widths: N, how many pixels wide the counted steps are together; the spans are given in them. By default `steps`.
        find: `(steps, K)` log probabilities of one image to its `Candidates`.

    Returns N `Choice`s. Where there is no candidate that can be: an empty text, confidence 0, log_prob -inf, margin 0.

    Raises ValueError: `steps` or `widths` has not N entries or a wrong one, or as `checked_log_probs`.
    """
    lp = checked_log_probs(logits, tokenizer)
    steps = checked_steps(steps, lp)
    widths = steps if widths is None else list(widths)
    if len(widths) != len(steps):
        raise ValueError(f"{len(widths)} widths for {len(steps)} images: give one an image")
    choices = [_best(*find(lp[:s, i])) for i, s in enumerate(steps)]
    found = [i for i, choice in enumerate(choices) if choice.log_prob > -math.inf]
    # All winners are aligned at once; the steps that do not count are certainly blank.
    padded = lp[:, found]
    for column, i in enumerate(found):
        padded[steps[i] :, column] = -math.inf
        padded[steps[i] :, column, BLANK] = 0.0
    codes = [tokenizer.encode(choices[i].text) for i in found]
    for i, text, alignment in zip(found, codes, forced_alignment(padded, codes)):
        pixels = widths[i] / steps[i]
        spans = [
            Span(tokenizer.decode([code]), start * pixels, end * pixels, float(lp[start:end, i, code].max().exp()))
            for code, (start, end) in zip(text, alignment.frames)
        ]
        choices[i] = choices[i]._replace(spans=spans)
    return choices


def _best(texts: list[str], log_probs: np.ndarray, scores: np.ndarray, total: float | None = None) -> Choice:
    best = int(scores.argmax()) if len(scores) else None
    if best is None or scores[best] == -math.inf:
        return Choice("", 0.0, [], -math.inf, None, 0.0)
    margins = scores[best] - scores
    margins[best] = math.inf
    second = int(margins.argmin())
    margin = float(margins[second])
    runner_up = texts[second] if margin < math.inf else None
    share = 1 / (1 + float(np.exp(-margins).sum())) if total is None else min(1.0, math.exp(scores[best] - total))
    return Choice(texts[best], share, [], float(log_probs[best]), runner_up, margin)


def rescored(image: Tensor, tokenizer: Tokenizer, spelled: Iterable[tuple[int, ...]]) -> Candidates:
    """Texts in class numbers, as a beam search finds them, to candidates scored by their exact log P(text | image).

    A text has one spelling in class numbers, that of `tokenizer.encode`; another one (out of NFC) is no candidate.
    """
    found = {tokenizer.decode(codes): codes for codes in spelled}
    found = {text: codes for text, codes in found.items() if tuple(tokenizer.encode(text)) == codes}
    log_probs = exact_log_probs(image, list(found.values()))
    return list(found), log_probs, log_probs


def exact_log_probs(image: Tensor, texts: Sequence[Sequence[int]]) -> np.ndarray:
    """`(T, K)` log probabilities and M texts in class numbers to `(M,)` log P, by the forward algorithm in torch."""
    if not texts:
        return np.empty(0)
    return -ctc_losses(image[:, None].expand(-1, len(texts), -1), texts, [len(image)] * len(texts)).numpy()


def ctc_losses(log_probs: Tensor, codes: Sequence[Sequence[int]], steps: Sequence[int]) -> Tensor:
    """`(T, N, K)` log probabilities, and N labels in class numbers and steps that count, to `(N,)` CTC losses."""
    targets = torch.tensor([c for label in codes for c in label], dtype=torch.long)
    sizes = torch.tensor(steps), torch.tensor([len(label) for label in codes])
    return ctc_loss(log_probs, targets, *sizes, reduction="none")
