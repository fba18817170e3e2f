"""Forced alignment: where each character of a known text was written. Taught in notebook 06."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ocrkit.ctc.lattice import BLANK, check_target, feasible
from ocrkit.text.tokenizer import min_steps


class Alignment(NamedTuple):
    """The best path of a text: which frames belong to which character.

    `frames` has a pair a character, `start <= t < end` in time steps; `path` the T class numbers, blanks included;
    `log_prob` the natural log of the path's probability.
    """

    frames: list[tuple[int, int]]
    path: list[int]
    log_prob: float


@torch.no_grad()
def forced_alignment(
    log_probs: Tensor, targets: Tensor | Sequence[Sequence[int]], lengths: Tensor | Sequence[int] | None = None
) -> list[Alignment]:
    """Where each character of a known text was written: the most probable of all paths that give the text.

    The Viterbi algorithm on the lattice of `forward_lattice`, with the largest instead of the sum, for all images.

    Args:
        log_probs: `(T, N, K)` natural-log probabilities.
        targets: N texts as class numbers without blanks; or a tensor `(N, L)`, of which the first `lengths` count.

    Raises ValueError: not N targets; a target has a blank or a class that `log_probs` lacks; or no path writes it, as
    it needs more time steps (`feasible` tells before) or all its paths have probability 0.

    Source: Viterbi (1967); for CTC, Kürzinger et al. (2020), https://arxiv.org/abs/2007.09127. Taught in notebook 06.
    """
    steps, n, classes = log_probs.shape
    rows = targets.tolist() if isinstance(targets, Tensor) else [list(map(int, target)) for target in targets]
    if lengths is not None:
        rows = [row[: int(length)] for row, length in zip(rows, lengths, strict=True)]
    if len(rows) != n:
        raise ValueError(f"{len(rows)} targets for {n} images: give one target an image")
    for i, row in enumerate(rows):
        check_target(row, classes)
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
    found = []
    for row, place, path, score in zip(rows, places, paths, scores):
        starts = [place.index(2 * k + 1) for k in range(len(row))]
        frames = [(start, start + place.count(place[start])) for start in starts]
        found.append(Alignment(frames, path, score))
    return found
