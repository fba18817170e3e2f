"""Can a confidence be trusted? Reliability, temperature scaling, and the threshold of a gate. See notebook 11."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from ocrkit.ctc.candidates import checked_log_probs, checked_steps, ctc_losses
from ocrkit.ctc.confidence import tempered
from ocrkit.data.batches import label_problem
from ocrkit.errors.intervals import wilson_interval
from ocrkit.text.strings import require_columns
from ocrkit.text.tokenizer import Tokenizer


def reliability(
    confidence: Sequence[float], right: Sequence[bool], bins: int = 10, equal: str = "mass"
) -> pd.DataFrame:
    """How many of N readings are right among those of about the same confidence, 0..1.

    At most `bins`, without empty ones, are `equal` in `"mass"`, about as many readings each, or in `"width"`. Returns a
    row a bin `low < confidence <= high` (the first one has its `low` too) with the columns `low`, `high`, `n`,
    `confidence` (the mean), `accuracy`, `accuracy_low`, `accuracy_high` (95%, Wilson). Raises a ValueError where the
    lists are empty or not of one length, a confidence is not in 0..1, `right` holds something else than True and False,
    `bins` is below 1, or `equal` is another word. Taught in notebook 11.
    """
    confidence, right = _checked(confidence, right, proportion=True)
    edges, where = _binned(confidence, bins, equal)
    rows = []
    for b in np.unique(where):
        inside = where == b
        n, hits = int(inside.sum()), int(right[inside].sum())
        rows.append((edges[b], edges[b + 1], n, confidence[inside].mean(), hits / n, *wilson_interval(hits, n)))
    names = ["low", "high", "n", "confidence", "accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(rows, columns=names)


def expected_calibration_error(
    confidence: Sequence[float], right: Sequence[bool], bins: int = 10, equal: str = "mass"
) -> float:
    """Mean distance between confidence and accuracy over the bins of `reliability`, weighted by their readings.

    Even a perfectly calibrated confidence gets more than 0, as chance alone moves the accuracy of a bin: about `0.4 *
    sqrt(bins / N)` or less. `calibration_error_interval` allows for it. Raises as `reliability`. Source: Guo et al.
    (2017), https://arxiv.org/abs/1706.04599. Taught in notebook 11.
    """
    confidence, right = _checked(confidence, right, proportion=True)
    return _calibration_error(right - confidence, _binned(confidence, bins, equal)[1])


def calibration_error_interval(
    confidence: Sequence[float], right: Sequence[bool], n_boot: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """A 95% interval for the true value of `expected_calibration_error`, in the bins that all readings make.

    Bootstrap over readings. The error of a drawn sample lies above the measured one, as that lies above the true one:
    this bias is taken off the upper end once and the lower end twice. The lower end is 0 where a perfectly calibrated
    confidence often gets as much by chance. In simulations of 100 to 1,500 readings, 91% to 99% held the true error.

    Raises as `reliability`. Taught in notebook 11.
    """
    confidence, right = _checked(confidence, right, proportion=True)
    gaps, where = right - confidence, _binned(confidence)[1]
    rng, n, measured = np.random.default_rng(seed), len(gaps), _calibration_error(gaps, where)
    drawn = [_calibration_error(gaps[i], where[i]) for i in (rng.integers(n, size=n) for _ in range(n_boot))]
    chance = [_calibration_error((rng.random(n) < confidence) - confidence, where) for _ in range(n_boot)]
    highest = np.quantile(drawn, 0.975)
    low = 0.0 if measured <= np.quantile(chance, 0.95) else max(0.0, 2 * measured - highest)
    return float(low), float(highest - np.mean(drawn) + measured)


def _calibration_error(gaps: np.ndarray, where: np.ndarray) -> float:
    # A bin's weight is its share of the readings, so its mean gap times its weight is the sum of its gaps over N.
    return float(np.abs(np.bincount(where, gaps)).sum() / len(gaps))


def accept_reject(confidence: Sequence[float], right: Sequence[bool]) -> pd.DataFrame:
    """What a gate gets that accepts the readings whose confidence is at least `threshold`.

    A confidence is any finite number, the higher the surer. Returns a row a threshold, the strictest first, with the
    columns `threshold`, `n` (readings accepted), `accepted` (their share), `errors` (wrong ones among them), `error`
    (their share) and `error_high`, its upper limit: that of Wilson's 95% interval, which the true error exceeds in 2.5%
    of all samples. The first row accepts nothing: threshold inf, error NaN and limit 1. Equal confidences are accepted
    together. Raises as `reliability`, but for confidences that are not finite. Taught in notebook 11.
    """
    confidence, right = _checked(confidence, right)
    values, place = np.unique(-confidence, return_inverse=True)
    n = np.array([0, *np.cumsum(np.bincount(place))])
    errors = np.array([0, *np.cumsum(np.bincount(place, ~right)).astype(int)])
    curve = pd.DataFrame({"threshold": [math.inf, *(-values)], "n": n, "accepted": n / len(right), "errors": errors})
    high = [wilson_interval(e, k)[1] for e, k in zip(errors, n)]
    return curve.assign(error=curve["errors"] / curve["n"], error_high=high)


def threshold_for(curve: pd.DataFrame, max_error: float) -> float:
    """The lowest threshold of an `accept_reject` curve whose error is at most `max_error`, as far as the sample tells.

    It is the upper limit of the error that has to keep below `max_error`: 0 wrong of 20 is no proof of 1%, which takes
    381 without an error. Where no threshold holds, the answer is inf: accept nothing. As the threshold is chosen by its
    luck in this sample, measure its error on other images. Raises a ValueError where `max_error` is not between 0 and 1
    or `curve` is no such table. Taught in notebook 11.
    """
    if not 0 < max_error < 1:
        raise ValueError(f"max_error={max_error}: it must lie between 0 and 1, such as 0.01")
    require_columns(curve, "threshold", "error_high", what="the curve", cure="make it with accept_reject")
    return float(min(curve["threshold"][curve["error_high"] <= max_error], default=math.inf))


def aurc(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """Area under the risk-coverage curve: the error among the k surest readings, averaged over k = 1..N.

    0 where all are right; the share of errors where the confidence says nothing. It asks for the order of the
    confidences alone, so calibration does not change it. Of equal ones, k cuts off a random part. Source: Geifman and
    El-Yaniv (2017), https://arxiv.org/abs/1705.08500. Taught in notebook 11.
    """
    curve = accept_reject(confidence, right)
    k = np.arange(1, curve["n"].iloc[-1] + 1)
    return float(np.mean(np.interp(k, curve["n"], curve["errors"]) / k))


def fit_temperature(
    logits: Tensor, texts: Sequence[str], tokenizer: Tokenizer, steps: Sequence[int] | None = None
) -> float:
    """The number to divide logits by, so that the labels become as probable as they can: temperature scaling.

    Above 1: the model was too sure. It minimizes the CTC loss summed over the labels, by a search over 0.05 to 20; at
    an end of that range, the images tell no better (a model that reads all of them right can never be too sure).

    The logits or log probabilities `(T, N, K)` are of validation images: neither seen in training, where models are
    surer, nor those that calibration is measured on; `steps` are the time steps of each that count, T by default. Of N
    labels, those that the model cannot write are left out with a warning that says why. Raises a ValueError where no
    label is left, or labels, `steps`, tokenizer and logits do not fit together. Source: Guo et al. (2017),
    https://arxiv.org/abs/1706.04599, with the CTC loss. Taught in notebook 11.
    """
    lp = checked_log_probs(logits, tokenizer)
    if len(texts) != lp.shape[1]:
        raise ValueError(f"{len(texts)} labels for {lp.shape[1]} images: give one an image")
    steps = checked_steps(steps, lp)
    if not len(texts):
        raise ValueError("no label is left to fit a temperature to: there are no images")
    problems = [
        label_problem(tokenizer, text, s) if isinstance(text, str) else f"{text!r} is not text"
        for text, s in zip(texts, steps)
    ]
    codes = [[] if problem else tokenizer.encode(text) for text, problem in zip(texts, problems)]
    for i, loss in enumerate(ctc_losses(lp, codes, steps).tolist()):
        problems[i] = problems[i] or (f"{texts[i]!r} has probability 0" if loss == math.inf else "")
    kept, found = [i for i, problem in enumerate(problems) if not problem], list(filter(None, problems))
    left_out = f"{len(found)} of {len(codes)} labels cannot be written by the model: {'; '.join(found[:3])}"
    if not kept:
        raise ValueError(f"no label is left to fit a temperature to: {left_out}")
    if found:
        warnings.warn(f"the temperature is fitted without {left_out}", stacklevel=2)
    lp, codes, steps = lp[:, kept], [codes[i] for i in kept], [steps[i] for i in kept]

    def loss(log_t: float) -> float:
        return ctc_losses(tempered(lp, tokenizer, math.exp(log_t)), codes, steps).sum().item()

    # Around the best of 13 points, a third of the range is cut off again and again.
    points = np.linspace(math.log(0.05), math.log(20), 13).tolist()
    best = min(range(13), key=[loss(x) for x in points].__getitem__)
    a, b = points[max(best - 1, 0)], points[min(best + 1, 12)]
    while b - a > 1e-3:
        third = (b - a) / 3
        a, b = (a, b - third) if loss(a + third) <= loss(b - third) else (a + third, b)
    return math.exp((a + b) / 2)


def _binned(confidence: np.ndarray, bins: int = 10, equal: str = "mass") -> tuple[np.ndarray, np.ndarray]:
    """The `bins + 1` edges, and in which bin each confidence lies: above its lower edge, up to its upper one."""
    if bins < 1:
        raise ValueError(f"bins={bins}: there must be at least one")
    if equal not in ("mass", "width"):
        raise ValueError(f'equal={equal!r}: it must be "mass" or "width"')
    shares = np.linspace(0, 1, bins + 1)
    edges = np.quantile(confidence, shares) if equal == "mass" else shares
    return edges, np.searchsorted(edges[1:-1], confidence)


def _checked(confidence: Sequence[float], right: Sequence[bool], proportion: bool = False) -> tuple[np.ndarray, ...]:
    confidence, found = np.asarray(confidence, dtype=float), np.asarray(right)
    if confidence.shape != found.shape or confidence.ndim != 1:
        raise ValueError(f"{len(confidence)} confidences and {len(found)} answers: give one True or False a confidence")
    if not len(found):
        raise ValueError("there are no readings: give at least one confidence and whether its reading is right")
    if odd := [r for r in found.tolist() if r not in (False, True)]:
        raise ValueError(f"right has {odd[0]!r}: it must be True or False for each reading")
    fits = np.isfinite(confidence) & ((confidence >= 0) & (confidence <= 1) | (not proportion))
    if not fits.all():
        where = int(np.flatnonzero(~fits)[0])
        wanted = "a number from 0 to 1" if proportion else "a finite number; instead of a margin, take its share"
        raise ValueError(f"confidence {where} is {confidence[where]}: it must be {wanted}")
    return confidence, found.astype(bool)
