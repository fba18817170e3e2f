"""Intervals: how far a measured share or rate may be off. Taught in notebook 04."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ocrkit.text.edits import error_rate


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """The 95% interval of Wilson (1927) for a proportion of `n` independent trials; (0, 1) for none.

    It stays within 0..1 and has a width even where all or none succeed.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    p = successes / n
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # Rounding must not push the bound past the proportion that it encloses.
    return max(0.0, min(center - half, p)), min(1.0, max(center + half, p))


def bootstrap_interval(
    numerators: Sequence[float], denominators: Sequence[float], n_boot: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of sum(numerators) / sum(denominators), N counts each, an image a count.

    The images are drawn, because the characters of one image err together. Where all images have the same rate, the
    interval would have no width; Wilson's stands in for it. Raises a ValueError for no images, lists of different
    length, negative or not finite counts, or no draw. Source: Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993. Taught in notebook 04.
    """
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: at least one draw is needed")
    n = len(numerators)
    if n != len(denominators) or n == 0:
        raise ValueError(f"{n} numerators and {len(denominators)} denominators: give one of each an image")
    counts = np.stack([numerators, denominators], axis=1).astype(float)
    wrong = np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)).all(axis=1))
    if len(wrong):
        numerator, denominator = counts[wrong[0]]
        raise ValueError(f"image {wrong[0]}: {numerator:g} / {denominator:g}: both must be numbers from 0 up")

    total, length = counts.sum(axis=0)
    if np.allclose(counts[:, 0] * length, counts[:, 1] * total, rtol=1e-12, atol=0):
        rate = error_rate(total, length)
        low, high = wilson_interval(min(total, length), length)
        return low, max(high, rate)  # a rate over 1 is no proportion: the interval then reaches up to it

    # Images with equal counts are alike, so draw how often each kind occurs: a few kinds, not N images.
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    rates = []
    chunk = max(1, 4_000_000 // len(kinds))  # bounds the memory where all images differ
    for start in range(0, n_boot, chunk):
        drawn = rng.multinomial(n, times / n, size=min(chunk, n_boot - start))
        sums = drawn @ kinds
        rates.append(sums[:, 0] / np.maximum(sums[:, 1], 1.0))
    low, high = np.quantile(np.concatenate(rates), [0.025, 0.975])
    return float(low), float(high)
