"""CTC (Graves et al., 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf) in the open: paths and their sum.

The loss itself is `torch.nn.CTCLoss`, which computes the same number. Taught in notebooks 02, 03 and 06.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from ocrkit.text.tokenizer import Tokenizer, min_steps
from ocrkit.text.tokenizer import ctc_collapse as collapse

BLANK = Tokenizer.BLANK


def feasible(target: Sequence, time_steps: int) -> bool:
    """Whether `time_steps` suffice for `target`. Where they do not, the CTC loss is infinite."""
    return min_steps(target) <= time_steps


def all_paths(target: Sequence[int], time_steps: int) -> Iterator[tuple[int, ...]]:
    """Every path of `time_steps` class numbers that collapses to `target`, found by trying all.

    Raises ValueError: more than a million, `(distinct classes + 1) ** time_steps`, would have to be tried.
    """
    classes = sorted({BLANK, *target})
    if (tried := len(classes) ** time_steps) > 1_000_000:
        raise ValueError(
            f"{len(classes)} classes over {time_steps} steps are {tried:,} paths; "
            "take a shorter word or fewer steps, or forward_lattice, which needs no list of paths"
        )
    return (path for path in product(classes, repeat=time_steps) if collapse(path) == tuple(target))


def check_target(target: Sequence[int], classes: int) -> None:
    if wrong := [c for c in target if not 0 < c < classes]:
        raise ValueError(f"target has class {wrong[0]}; classes of characters are 1..{classes - 1}, and 0 is the blank")


def forward_lattice(log_probs: Tensor, target: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The CTC forward algorithm: the probability of `target`, summed over all its paths.

    `log_probs` are `(T, K)` natural-log probabilities of one image, `target` L class numbers without blanks.

    Returns `(alpha, log_prob)`. `alpha` is `(T, 2L + 1)`: alpha[t, s] is the log probability of all beginnings that
    stand at symbol s of `blank c1 blank c2 ... blank` after step t. `log_prob` is that of the whole target (minus
    `torch.nn.CTCLoss`). Raises ValueError: the target has a blank or a class that `log_probs` lacks.
    """
    steps, classes = log_probs.shape
    check_target(target, classes)
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
