"""CTC: from a distribution over classes at each time step to a text, and back.

Graves et al. (2006), "Connectionist temporal classification",
https://www.cs.toronto.edu/~graves/icml_2006.pdf. The loss itself is `torch.nn.CTCLoss`; the
lattice below computes the same number in the open. Taught in notebooks 02, 03 and 06.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ocrkit.text import Tokenizer, min_steps
from ocrkit.text import ctc_collapse as collapse

BLANK = Tokenizer.BLANK


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


class Alignment(NamedTuple):
    """The best path of a text: which frames belong to which character.

    `frames` has a pair a character, `start <= t < end` in time steps; `path` the T class numbers, blanks included;
    `log_prob` the natural log of the path's probability.
    """

    frames: list[tuple[int, int]]
    path: list[int]
    log_prob: float


def feasible(target: Sequence, time_steps: int) -> bool:
    """Whether `time_steps` suffice for `target`. Where they do not, the CTC loss is infinite."""
    return min_steps(target) <= time_steps


def all_paths(target: Sequence[int], time_steps: int) -> Iterator[tuple[int, ...]]:
    """Every path of `time_steps` class numbers that collapses to `target`, found by trying all.

    For small cases only: it tries `(distinct classes + 1) ** time_steps` paths.

    Raises:
        ValueError: more than a million paths would have to be tried.
    """
    classes = sorted({BLANK, *target})
    if len(classes) ** time_steps > 1_000_000:
        raise ValueError(
            f"{len(classes)} classes over {time_steps} steps are {len(classes) ** time_steps:,} paths; "
            "take a shorter word or fewer steps, or forward_lattice, which needs no list of paths"
        )
    return (path for path in product(classes, repeat=time_steps) if collapse(path) == tuple(target))


def _check_classes(target: Sequence[int], classes: int) -> None:
    wrong = [c for c in target if not 0 < c < classes]
    if wrong:
        raise ValueError(f"target has class {wrong[0]}; classes of characters are 1..{classes - 1}, and 0 is the blank")


def forward_lattice(log_probs: Tensor, target: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The CTC forward algorithm: the probability of `target`, summed over all its paths.

    Args:
        log_probs: `(T, K)` natural-log probabilities of one image.
        target: L class numbers without blanks.

    Returns:
        `(alpha, log_prob)`. `alpha` is `(T, 2L + 1)`: alpha[t, s] is the log probability of all
        beginnings that stand at symbol s of `blank c1 blank c2 ... blank` after step t.
        `log_prob` is the log probability of the whole target (minus `torch.nn.CTCLoss`).

    Raises:
        ValueError: the target has a blank or a class that `log_probs` lacks.
    """
    steps, classes = log_probs.shape
    _check_classes(target, classes)
    symbols = [BLANK]
    for c in target:
        symbols += [c, BLANK]
    alpha = log_probs.new_full((steps, len(symbols)), float("-inf"))
    alpha[0, :2] = log_probs[0, symbols[:2]]
    for t in range(1, steps):
        for s, c in enumerate(symbols):
            before = [alpha[t - 1, s]]
            if s >= 1:
                before.append(alpha[t - 1, s - 1])
            # The blank between two characters may be skipped, unless the two are equal.
            if s >= 2 and c != BLANK and c != symbols[s - 2]:
                before.append(alpha[t - 1, s - 2])
            alpha[t, s] = torch.logsumexp(torch.stack(before), 0) + log_probs[t, c]
    return alpha, torch.logsumexp(alpha[-1, -2:], 0)


@torch.no_grad()
def forced_alignment(
    log_probs: Tensor, targets: Tensor | Sequence[Sequence[int]], lengths: Tensor | Sequence[int] | None = None
) -> list[Alignment]:
    """Where each character of a known text was written: the most probable of all paths that give the text.

    The Viterbi algorithm on the lattice of `forward_lattice`, with the largest instead of the sum; all images go
    through it at once.

    Args:
        log_probs: `(T, N, K)` natural-log probabilities.
        targets: N texts as class numbers without blanks, of any lengths, or one tensor `(N, L)`.
        lengths: N, how many entries of each target count, where the rest fills up the rectangle.

    Returns:
        N `Alignment`s.

    Raises:
        ValueError: not N targets; a target has a blank or a class that `log_probs` lacks; or no path writes it, as it
            needs more time steps (`feasible` tells before) or all its paths have probability 0.

    Source: Viterbi (1967); for CTC, Kürzinger et al. (2020), https://arxiv.org/abs/2007.09127. Taught in notebook 06.
    """
    steps, n, classes = log_probs.shape
    rows = targets.tolist() if isinstance(targets, Tensor) else [list(map(int, target)) for target in targets]
    if lengths is not None:
        rows = [row[: int(length)] for row, length in zip(rows, lengths, strict=True)]
    if len(rows) != n:
        raise ValueError(f"{len(rows)} targets for {n} images: give one target an image")
    for i, row in enumerate(rows):
        _check_classes(row, classes)
        if not feasible(row, steps):
            raise ValueError(
                f"target {i} needs {min_steps(row)} time steps (one a character, one more between equal neighbors) "
                f"and there are {steps}: leave it out, or widen the image"
            )
    if not n:
        return []
    symbols = torch.zeros(n, 2 * max(map(len, rows)) + 1, dtype=torch.long)
    for i, row in enumerate(rows):
        symbols[i, 1 : 2 * len(row) : 2] = torch.tensor(row, dtype=torch.long)
    ends = torch.tensor([2 * len(row) for row in rows])
    skips = torch.zeros_like(symbols, dtype=torch.bool)  # a blank may be skipped between two that differ
    skips[:, 2:] = (symbols[:, 2:] != BLANK) & (symbols[:, 2:] != symbols[:, :-2])

    lp = log_probs.detach().cpu()
    lp = lp.float() if lp.dtype in (torch.float16, torch.bfloat16) else lp
    heard = lp.gather(2, symbols.expand(steps, -1, -1))  # (T, N, S)
    best = torch.full_like(heard[0], float("-inf"))
    best[:, :2] = heard[0, :, :2]
    moves = []
    for t in range(1, steps):
        stay, step, skip = best, best.roll(1, 1), best.roll(2, 1).masked_fill(~skips, float("-inf"))
        step[:, 0] = float("-inf")
        best, move = torch.stack([stay, step, skip]).max(0)
        best = best + heard[t]
        moves.append(move)

    images = torch.arange(n)
    last = torch.where(best[images, ends] >= best[images, (ends - 1).clamp_min(0)], ends, (ends - 1).clamp_min(0))
    scores, places = best[images, last].tolist(), [last]
    for move in reversed(moves):
        places.append(places[-1] - move[images, places[-1]])
    places = torch.stack(places[::-1], 1)  # (N, T)
    paths, places = symbols.gather(1, places).tolist(), places.tolist()
    for i, score in enumerate(scores):
        if not score > float("-inf"):
            raise ValueError(f"target {i} cannot be aligned: every path that writes it has probability 0, or NaN")
    return [
        Alignment([_run(place, 2 * k + 1) for k in range(len(row))], path, score)
        for row, place, path, score in zip(rows, places, paths, scores)
    ]


def _run(places: list[int], wanted: int) -> tuple[int, int]:
    start = places.index(wanted)
    return start, start + places.count(wanted)


@torch.no_grad()
def greedy_decode(logits: Tensor, tokenizer: Tokenizer, widths: Sequence[float] | None = None) -> list[Reading]:
    """Take the best class of each time step and collapse.

    Args:
        logits: `(T, N, K)` logits or log probabilities.
        tokenizer: with K classes. Blank, OOV and PAD give no text.
        widths: N image widths in pixels, in which the spans are given; T where it is left out, so
            that spans count time steps.

    Returns:
        N `Reading`s. A character's confidence is its highest probability among the steps merged
        into it; the reading's is the lowest of its characters. An empty reading has the lowest
        probability of the blank over all steps: how sure the model is that there is nothing.

    Raises:
        ValueError: K differs from the tokenizer's classes, or `widths` has not N entries.

    Greedy decoding finds the best path, which is not always the best text. Taught in notebook 03.
    """
    steps, n, classes = logits.shape
    if classes != tokenizer.num_classes:
        raise ValueError(
            f"the logits have {classes} classes and the tokenizer {tokenizer.num_classes}: "
            "they do not belong together; load both with Recognizer.load"
        )
    widths = [steps] * n if widths is None else list(widths)
    if len(widths) != n:
        raise ValueError(f"{len(widths)} widths for {n} images: give one width an image")
    best, codes = logits.float().softmax(-1).max(-1)
    best, codes = best.T.tolist(), codes.T.tolist()
    return [_reading(c, p, tokenizer, width / steps) for c, p, width in zip(codes, best, widths)]


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
