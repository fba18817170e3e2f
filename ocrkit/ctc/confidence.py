"""How sure a reading is: three numbers for the text that greedy decoding reads. Taught in notebook 11."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from ocrkit.ctc.beam import beam_search
from ocrkit.ctc.candidates import checked_log_probs, checked_steps, exact_log_probs
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.text.tokenizer import ctc_collapse as collapse

#: Less than e^-690 is no float64 any more, and of a very sure model all runners-up are.
_LEAST = -690.0


def confidences(
    logits: Tensor, tokenizer: Tokenizer, steps: Sequence[int] | None = None, temperature: float = 1.0, width: int = 25
) -> pd.DataFrame:
    """Rate the greedy reading of each image in three ways. Taught in notebook 11.

    `logits` and `steps` are those of `candidates.choose`; the logits are divided by `temperature` first
    (`calibration.fit_temperature` finds one), and a beam of `width` looks for the runner-up.

    Returns:
        N rows with the columns

        * `text`: the greedy reading, and `runner_up`: the most probable other text ("" where there is none);
        * `weakest` (0..1): the confidence of `greedy_decode`, that of the least sure character;
        * `path` (0..1): the probability of the best path, the product over all steps that count; `log_path`, its
          natural log, and `path_per_character`, the geometric mean: `path ** (1 / characters)`;
        * `probability` (0..1): P(text), summed over all its paths, and `log_prob`, its natural log;
        * `margin`: by how much log P(runner_up) is lower, inf where there is none, and below 0 where the runner-up is
          the better text, which greedy decoding missed; `share` (0..1): P(text) / (P(text) + P(runner_up)).

        P is exact (CTC forward, float64) for both texts; the runner-up is the best of those in the beam.

    Raises ValueError: `temperature` is not above 0, `width` is below 2, or as `checked_log_probs` and `checked_steps`.
    """
    if width < 2:
        raise ValueError(f"width={width}: a runner-up needs a beam of 2 or more")
    lp = tempered(logits, tokenizer, temperature)
    names = ["text", "runner_up", "weakest", "path", "log_path", "path_per_character"]
    names += ["probability", "log_prob", "margin"]
    rows = []
    for i, s in enumerate(checked_steps(steps, lp)):
        image = lp[:s, i]
        reading = greedy_decode(image[:, None], tokenizer)[0]
        best, classes = image.max(-1)
        log_path = best.sum().item()
        codes = tuple(c for c in collapse(classes.tolist()) if c >= Tokenizer.SPECIAL)
        found = beam_search(image.clamp_min(_LEAST), width, cut=0.0)
        texts = [codes, *(other for other, _ in found if other != codes)]
        log_prob, *others = exact_log_probs(image, texts).tolist()
        second = max(others, default=-math.inf)
        runner_up = tokenizer.decode(texts[1 + others.index(second)]) if second > -math.inf else ""
        path, per_character = math.exp(log_path), math.exp(log_path / max(len(codes), 1))
        margin = log_prob - second if second > -math.inf else math.inf
        read = reading.text, runner_up, reading.confidence
        rows.append((*read, path, log_path, per_character, math.exp(log_prob), log_prob, margin))
    table = pd.DataFrame(rows, columns=names)
    return table.assign(share=torch.tensor(table["margin"].tolist(), dtype=torch.float64).sigmoid().numpy())


def tempered(logits: Tensor, tokenizer: Tokenizer, temperature: float) -> Tensor:
    """`checked_log_probs` of logits that are divided by `temperature`, which must be above 0 (else a ValueError)."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature}: it must be more than 0; 1 changes nothing")
    return checked_log_probs(logits.detach().cpu().double() / temperature, tokenizer)
