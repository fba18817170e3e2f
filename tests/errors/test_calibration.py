"""Calibration: what is counted is counted by hand and by other libraries; what is fitted is found again."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ocrkit as ok
from ocrkit.ctc.candidates import ctc_losses
from ocrkit.ctc.confidence import tempered
from ocrkit.errors.calibration import (
    accept_reject,
    aurc,
    calibration_error_interval,
    expected_calibration_error,
    fit_temperature,
    reliability,
    threshold_for,
)
from ocrkit.errors.intervals import wilson_interval
from ocrkit.text.tokenizer import Tokenizer
from tests.helpers import cases

TOKENIZER = Tokenizer("abc")


def readings(n, seed=0, bias=0.0, decimals=9):
    """N confidences, and whether each is right: as often as it says, less `bias`."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1, n).round(decimals)
    return confidence, rng.random(n) < confidence - bias


def logits_of(n, temperature, steps=8, seed=0):
    """`(T, N, K)` logits that are `temperature` times too sharp, and N texts drawn as the true logits say."""
    generator = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(steps, n, TOKENIZER.num_classes, generator=generator).double()
    true[..., 1:3] = -50
    paths = torch.distributions.Categorical(logits=true)
    torch.manual_seed(seed)
    return true * temperature, [TOKENIZER.decode(path, collapse=True) for path in paths.sample().T.tolist()]


# --- reliability and the errors of calibration


def test_bins_of_a_small_case():
    confidence, right = [0.1, 0.3, 0.35, 0.8, 0.9, 0.9], [False, False, True, True, True, False]
    table = reliability(confidence, right, bins=2, equal="width")
    assert table["n"].tolist() == [3, 3] and table["low"].tolist() == [0, 0.5] and table["high"].tolist() == [0.5, 1]
    assert table["confidence"].tolist() == pytest.approx([0.25, 2.6 / 3])
    assert table["accuracy"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert (table["accuracy_low"][1], table["accuracy_high"][1]) == wilson_interval(2, 3)
    gaps = abs(1 / 3 - 0.25), abs(2 / 3 - 2.6 / 3)
    assert expected_calibration_error(confidence, right, 2, "width") == pytest.approx(sum(gaps) / 2)


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("decimals", [1, 9])  # 1: many ties, and confidences on the edges of bins
def test_bins_are_those_of_scikit_learn(equal, strategy, decimals):
    sklearn = pytest.importorskip("sklearn.calibration", reason="scikit-learn is not installed")
    for seed in range(20):
        confidence, right = readings(150, seed, decimals=decimals)
        accuracy, mean = sklearn.calibration_curve(right, confidence, n_bins=10, strategy=strategy)
        table = reliability(confidence, right, equal=equal)
        assert table["accuracy"].tolist() == pytest.approx(accuracy.tolist())
        assert table["confidence"].tolist() == pytest.approx(mean.tolist())


@pytest.mark.parametrize("equal", ["mass", "width"])
def test_the_error_is_the_weighted_gap_of_the_table(equal):
    confidence, right = readings(200, decimals=2)
    table = reliability(confidence, right, bins=7, equal=equal)
    wanted = (table["n"] * (table["accuracy"] - table["confidence"]).abs()).sum() / 200
    assert expected_calibration_error(confidence, right, 7, equal) == pytest.approx(wanted)


def test_error_is_that_of_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics.functional.classification", reason="torchmetrics is not installed")
    for seed in range(10):
        confidence, right = readings(300, seed)
        theirs = torchmetrics.binary_calibration_error(
            torch.tensor(confidence), torch.tensor(right).long(), n_bins=10, norm="l1"
        )
        ours = expected_calibration_error(confidence, right, equal="width")
        assert ours == pytest.approx(theirs.item(), abs=1e-6)


@cases(25)
@given(st.lists(st.tuples(st.sampled_from([0, 0.25, 0.5, 1]), st.booleans()), min_size=1), st.integers(1, 12))
def test_ties_share_a_bin_and_nothing_is_lost(pairs, bins):
    confidence, right = zip(*pairs)
    for equal in ("mass", "width"):
        table = reliability(confidence, right, bins, equal)
        assert table["n"].sum() == len(pairs) and len(table) <= bins
        inside = [sum((row.low < v) & (v <= row.high) or (i == 0) & (v == row.low) for i, row in
                      enumerate(table.itertuples())) for v in set(confidence)]  # fmt: skip
        assert max(inside) == 1 or equal == "width"
        assert 0 <= expected_calibration_error(confidence, right, bins, equal) <= 1


def test_interval_holds_the_true_error():
    low, high = calibration_error_interval(*readings(400, seed=3), n_boot=300)
    assert low == 0.0 and high < 0.12  # perfectly calibrated
    confidence, right = readings(400, seed=4, bias=0.2)
    low, high = calibration_error_interval(confidence, right, n_boot=300)
    assert 0.1 < low < expected_calibration_error(confidence, right) < high < 0.3 and low < 0.2 < high
    assert (low, high) == calibration_error_interval(confidence, right, n_boot=300)


# --- the gate


def test_curve_of_a_small_case():
    curve = accept_reject([0.9, 0.5, 0.9, 0.7, 0.5], [True, False, True, False, True])
    assert curve["threshold"].tolist() == [math.inf, 0.9, 0.7, 0.5]
    assert curve["n"].tolist() == [0, 2, 3, 5] and curve["errors"].tolist() == [0, 0, 1, 2]
    assert curve["accepted"].tolist() == pytest.approx([0, 0.4, 0.6, 1])
    assert math.isnan(curve["error"][0]) and curve["error"][1:].tolist() == pytest.approx([0, 1 / 3, 0.4])
    assert curve["error_high"].tolist() == [1.0, *(wilson_interval(e, n)[1] for e, n in [(0, 2), (1, 3), (2, 5)])]


@cases(25)
@given(st.lists(st.tuples(st.sampled_from([-3.5, -1.0, 0.2, 0.9]), st.booleans()), min_size=1))
def test_each_row_is_what_its_threshold_accepts(pairs):
    confidence, right = map(np.array, zip(*pairs))
    curve = accept_reject(confidence, right)
    assert curve["threshold"].is_monotonic_decreasing and len(curve) == len(set(confidence)) + 1
    for row in curve.itertuples():
        accepted = confidence >= row.threshold
        assert (row.n, row.errors) == (accepted.sum(), (accepted & ~right).sum())


def test_threshold_keeps_the_upper_limit_and_not_the_error():
    confidence = np.linspace(1, 0, 1000)
    right = np.arange(1000) < 700
    curve = accept_reject(confidence, right)
    threshold = threshold_for(curve, 0.01)
    n = int((confidence >= threshold).sum())
    errors = n - 700
    assert 0 < errors < 7  # 1% of 707 would be 7
    assert wilson_interval(errors, n)[1] <= 0.01 < wilson_interval(errors + 1, n + 1)[1]


def test_no_threshold_is_said_so():
    sure = accept_reject(np.linspace(0.5, 1, 380), np.ones(380, dtype=bool))
    assert threshold_for(sure, 0.01) == math.inf and threshold_for(sure, 0.02) < 1
    assert threshold_for(accept_reject(np.linspace(0.5, 1, 381), np.ones(381, dtype=bool)), 0.01) == 0.5
    assert threshold_for(accept_reject([0.5], [False]), 0.5) == math.inf


def test_readings_of_equal_confidence_are_accepted_together():
    # 400 right ones come first in the list, but no threshold parts them from the 10 wrong ones.
    assert threshold_for(accept_reject([0.9] * 410, [True] * 400 + [False] * 10), 0.01) == math.inf


def test_area_under_the_curve():
    assert aurc([0.9, 0.8, 0.7], [True, True, True]) == 0
    assert aurc([0.9, 0.8, 0.7, 0.6], [True, True, False, True]) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert aurc([-5, -5, -5, -5], [True, False, True, True]) == pytest.approx(0.25)  # says nothing: the error rate
    confidence, right = readings(500)
    assert aurc(confidence, right) == pytest.approx(aurc(np.log(confidence), right))
    assert 0 < aurc(confidence, right) < (~right).mean()


@cases(20)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=12))
def test_ties_count_as_their_mean_over_all_orders(pairs):
    confidence, right = map(np.array, zip(*pairs))
    rng, areas = np.random.default_rng(0), []
    for _ in range(2000):
        order = np.lexsort((rng.random(len(right)), -confidence))
        areas.append(np.mean(np.cumsum(~right[order]) / np.arange(1, len(right) + 1)))
    assert aurc(confidence, right) == pytest.approx(np.mean(areas), abs=5 * np.std(areas) / 2000**0.5 + 1e-9)


# --- temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_is_found_again(temperature):
    found = fit_temperature(*logits_of(600, temperature), TOKENIZER)
    assert found == pytest.approx(temperature, rel=0.08)


def test_temperature_is_the_best_of_all_and_the_same_each_time():
    logits, texts = logits_of(60, 2.0)
    found = fit_temperature(logits, texts, TOKENIZER)
    codes = [TOKENIZER.encode(text) for text in texts]
    best, *others = (ctc_losses(tempered(logits, TOKENIZER, t), codes, [8] * 60).sum().item()
                     for t in [found, *np.geomspace(0.05, 20, 200)])  # fmt: skip
    assert best <= min(others) + 1e-4
    assert found == fit_temperature(logits, texts, TOKENIZER)


def test_temperature_makes_confidences_fit():
    valid, test = logits_of(300, 3.0, seed=1), logits_of(300, 3.0, seed=2)
    temperature = fit_temperature(*valid, TOKENIZER)
    errors = []
    for t in (1.0, temperature):
        table = ok.confidences(test[0], TOKENIZER, temperature=t, width=10)
        errors.append(expected_calibration_error(table["probability"], table["text"] == test[1]))
    assert errors[1] < errors[0] / 2


def test_steps_that_do_not_count_change_nothing():
    logits, texts = logits_of(20, 2.0)
    padded = torch.cat([logits, torch.randn(5, *logits.shape[1:])])
    assert fit_temperature(padded, texts, TOKENIZER, [8] * 20) == fit_temperature(logits, texts, TOKENIZER)


def test_a_model_that_is_always_right_is_never_too_sure():
    logits = torch.zeros(3, 2, TOKENIZER.num_classes)
    logits[[0, 1, 2], :, [3, 0, 4]] = 5.0
    assert fit_temperature(logits, ["ab", "ab"], TOKENIZER) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(logits, ["ca", "ca"], TOKENIZER) == pytest.approx(20, rel=0.01)


def test_labels_that_do_not_fit_are_set_aside_with_a_count():
    logits, texts = logits_of(30, 2.0)
    wanted = fit_temperature(logits[:, 4:], texts[4:], TOKENIZER)
    texts[:4] = ["aaaaaa", "ax", "", None]
    with pytest.warns(UserWarning, match="without 4 of 30 .*'aaaaaa' needs 11 time steps, the image has 8; .*'ax' has"):
        assert fit_temperature(logits, texts, TOKENIZER) == wanted
    logits[:, 4, 3:] = -math.inf  # only blanks are possible
    texts[4] = "a"
    with pytest.warns(UserWarning, match="without 5 of 30 labels"):
        assert fit_temperature(logits, texts, TOKENIZER) == fit_temperature(logits[:, 5:], texts[5:], TOKENIZER)


def test_without_labels_there_is_no_temperature():
    logits, _ = logits_of(2, 1.0)
    with pytest.raises(ValueError, match="no label is left.*2 of 2 .*'x', not in the alphabet; the label is empty"):
        fit_temperature(logits, ["x", ""], TOKENIZER)
    with pytest.raises(ValueError, match="there are no images"):
        fit_temperature(logits[:, :0], [], TOKENIZER)
    with pytest.raises(ValueError, match="1 labels for 2 images"):
        fit_temperature(logits, ["a"], TOKENIZER)
    with pytest.raises(ValueError, match="steps has 99"):
        fit_temperature(logits, ["a", "b"], TOKENIZER, [8, 99])


# --- bad input


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], "there are no readings"),
        ([0.5, 0.6], [True], "2 confidences and 1 answers"),
        ([0.5, math.nan], [True, True], "confidence 1 is nan"),
        ([0.5], ["True"], "right has 'True': it must be True or False"),
        ([0.5], [math.nan], "right has nan"),
        ([0.5], [2], "right has 2"),
    ],
)
@pytest.mark.parametrize("measure", [reliability, expected_calibration_error, accept_reject, aurc])
def test_bad_input_is_refused(measure, confidence, right, message):
    with pytest.raises(ValueError, match=message):
        measure(confidence, right)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="confidence 0 is 1.5: it must be a number from 0 to 1"):
        reliability([1.5], [True])
    with pytest.raises(ValueError, match="confidence 0 is inf: it must be a finite number; instead of a margin"):
        accept_reject([math.inf], [True])
    with pytest.raises(ValueError, match="bins=0"):
        reliability([0.5], [True], bins=0)
    with pytest.raises(ValueError, match="equal='size'"):
        expected_calibration_error([0.5], [True], equal="size")
    with pytest.raises(ValueError, match="max_error=1"):
        threshold_for(accept_reject([0.5], [True]), 1)
    with pytest.raises(ValueError, match="no column 'error_high'; it has: threshold; make it with accept_reject"):
        threshold_for(pd.DataFrame({"threshold": [0.5]}), 0.1)
