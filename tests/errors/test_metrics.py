"""Metrics, against jiwer and nltk, on the edges of their domain, and their intervals on simulated data."""

import math
from functools import lru_cache

import jiwer
import nltk
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.errors.intervals import bootstrap_interval, wilson_interval
from ocrkit.errors.metrics import (
    accuracy,
    by_position,
    cer,
    edit_counts,
    paired_texts,
    score,
    score_by,
)
from ocrkit.text.strings import normalize

CHARACTERS = jiwer.ReduceToListOfListOfChars()
texts = st.one_of(st.text("ab1 ", max_size=7), st.text(max_size=10).map(normalize))
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=8).map(
    lambda rows: ([reference for reference, _ in rows], [prediction for _, prediction in rows])
)
measures = [cer, accuracy]


def table(*rows):
    return pd.DataFrame(rows, columns=["text", "prediction"])


RESULTS = table(
    ("皖A25V59", "皖A25V59"),
    ("皖A25V59", "皖A2SV59"),
    ("京AF0236", "京AF023"),
    ("苏E05EV8", "苏E05EV88"),
    ("京B", "B"),
)


# ------------------------------------------------------------------ values


@given(pairs)
def test_cer_equals_jiwer_and_nltk(pair):
    references, predictions = pair
    expected = jiwer.cer(references, predictions, CHARACTERS, CHARACTERS)
    assert cer(references, predictions) == pytest.approx(expected)
    distances = [nltk.edit_distance(r, p) for r, p in zip(references, predictions, strict=True)]
    counts = edit_counts(table(*zip(references, predictions)))
    assert counts["distance"].tolist() == distances
    assert cer(references, predictions) == pytest.approx(sum(distances) / max(sum(map(len, references)), 1))
    longest = sum(max(len(r), len(p)) for r, p in zip(references, predictions, strict=True))
    rate = cer(references, predictions, denominator="longest")
    assert rate == pytest.approx(sum(distances) / max(longest, 1))
    assert 0 <= rate <= 1


@lru_cache(maxsize=100_000)
def cheapest_splits(reference, prediction):
    """All (substitutions, insertions, deletions) of the cheapest alignments, by plain recursion."""
    if not reference or not prediction:
        return frozenset({(0, len(prediction), len(reference))})
    differ = reference[0] != prediction[0]
    steps = [((differ, 0, 0), reference[1:], prediction[1:])]
    steps += [((0, 1, 0), reference, prediction[1:]), ((0, 0, 1), reference[1:], prediction)]
    splits = {
        tuple(a + b for a, b in zip(cost, rest, strict=True)) for cost, r, p in steps for rest in cheapest_splits(r, p)
    }
    return frozenset(s for s in splits if sum(s) == min(map(sum, splits)))


@given(st.text("ab1", max_size=6), st.text("ab1", max_size=6))
def test_the_three_kinds_of_edits(reference, prediction):
    row = edit_counts(table((reference, prediction))).iloc[0]
    ours = (row["substitutions"], row["insertions"], row["deletions"])
    possible = cheapest_splits(reference, prediction)
    assert ours in possible
    if len(possible) == 1:
        theirs = jiwer.process_characters(reference, prediction, CHARACTERS, CHARACTERS)
        assert ours == (theirs.substitutions, theirs.insertions, theirs.deletions)


@given(pairs)
def test_whole_texts_and_lengths(pair):
    references, predictions = pair
    zipped = list(zip(references, predictions, strict=True))
    assert accuracy(references, predictions) == pytest.approx(sum(r == p for r, p in zipped) / len(zipped))


def test_cer_is_the_micro_average():
    # The mean of the two rates would be (1/1 + 1/9) / 2.
    assert cer(["a", "123456789"], ["b", "12345678"]) == pytest.approx(2 / 10)


def test_the_two_denominators_differ_where_readings_are_too_long():
    assert cer(["京A12345"], ["京A123455"]) == pytest.approx(1 / 7)
    assert cer(["京A12345"], ["京A123455"], denominator="longest") == pytest.approx(1 / 8)
    with pytest.raises(ValueError, match="denominator='both'.*reference.*longest"):
        cer(["a"], ["a"], denominator="both")


def test_empty_texts_are_defined_and_follow_jiwer():
    cases = [(["", ""], ["", ""], 0), ([""], ["ab"], 2), (["", "ab"], ["x", "ab"], 0.5), (["ab"], [""], 1)]
    for references, predictions, expected in cases:
        assert cer(references, predictions) == expected == jiwer.cer(references, predictions)
    assert accuracy([""], [""]) == 1
    assert edit_counts(table(("", "ab"))).iloc[0].tolist() == [0, 2, 0, 2, 0, 2]


def test_text_is_compared_in_nfc_and_otherwise_as_it_is():
    assert cer(["Jose\u0301"], ["José"]) == 0
    assert accuracy(["José"], ["Jose\u0301"]) == 1
    assert edit_counts(table(("Jose\u0301", "Jose"))).iloc[0]["length"] == 4
    assert cer(["ab"], [" ab"]) == 0.5  # jiwer's default would strip the space
    assert cer(["ab"], ["AB"]) == 1


def test_one_text_is_a_list_of_one():
    assert cer("京A12345", "京A12346") == pytest.approx(1 / 7)
    assert accuracy("京A12345", "京A12346") == 0


# ------------------------------------------------------------------ wrong input


@pytest.mark.parametrize("measure", measures)
def test_lists_of_different_length(measure):
    with pytest.raises(ValueError, match="2 references and 1 predictions"):
        measure(["a", "b"], ["a"])


@pytest.mark.parametrize("measure", measures)
def test_no_texts(measure):
    with pytest.raises(ValueError, match="no texts to compare"):
        measure([], [])


@pytest.mark.parametrize("value", [None, float("nan"), 5, pd.NA, b"a"])
def test_an_entry_that_is_not_text_names_its_row(value):
    with pytest.raises(TypeError, match=r"row 1: the prediction is .*not text.*keep_default_na"):
        cer(["a", "b"], ["a", value])
    with pytest.raises(TypeError, match=r"row 0: the reference is "):
        accuracy([value, "b"], ["a", "b"])
    labeled = table(("a", "a"), ("b", value)).set_index(pd.Index(["one.jpg", "two.jpg"]))
    for view in (score, by_position, lambda t: score_by(t, "text")):
        with pytest.raises(TypeError, match="row two.jpg: the prediction"):
            view(labeled)


def test_a_table_without_predictions():
    with pytest.raises(ValueError, match="no column 'prediction'; it has: text, split; Recognizer.read adds it"):
        score(pd.DataFrame({"text": ["a"], "split": ["test"]}))
    with pytest.raises(ValueError, match="no column 'province'; it has: text, prediction"):
        score_by(RESULTS, "province")
    with pytest.raises(ValueError, match="no texts to compare"):
        score(RESULTS.head(0))


def test_bootstrap_refuses_what_is_no_count():
    with pytest.raises(ValueError, match="image 1: -1 / 7"):
        bootstrap_interval([0, -1], [7, 7])
    with pytest.raises(ValueError, match="image 0: nan / 7"):
        bootstrap_interval([math.nan], [7])
    with pytest.raises(ValueError, match="0 numerators and 0 denominators"):
        bootstrap_interval([], [])
    with pytest.raises(ValueError, match="2 numerators and 1 denominators"):
        bootstrap_interval([1, 2], [7])
    with pytest.raises(ValueError, match="n_boot=0"):
        bootstrap_interval([1], [7], n_boot=0)


# ------------------------------------------------------------------ intervals


def test_wilson_against_published_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
    published = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]
    for successes, n, low, high in [*published, (1, 29, 0.0061, 0.1718)]:
        assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)
    low, high = wilson_interval(20, 20)
    assert (1 - high, 1 - low) == pytest.approx(wilson_interval(0, 20))
    assert wilson_interval(0, 0) == (0, 1)


def test_bootstrap_follows_its_seed_and_encloses_the_rate():
    rng = np.random.default_rng(0)
    numerators, denominators = rng.binomial(7, 0.1, 300), np.full(300, 7)
    interval = bootstrap_interval(numerators, denominators, seed=1)
    assert interval == bootstrap_interval(numerators, denominators, seed=1)
    assert interval != bootstrap_interval(numerators, denominators, seed=2)
    assert interval[0] < numerators.sum() / denominators.sum() < interval[1]


def test_bootstrap_equals_plain_resampling_of_images():
    rng = np.random.default_rng(3)
    denominators = rng.integers(1, 12, 200)
    numerators = rng.binomial(denominators, 0.2)
    draws = rng.integers(0, 200, (20_000, 200))
    plain = np.quantile(numerators[draws].sum(1) / denominators[draws].sum(1), [0.025, 0.975])
    ours = bootstrap_interval(numerators, denominators, n_boot=20_000)
    assert ours == pytest.approx(tuple(plain), abs=0.003)


def test_coverage_of_both_intervals():
    """Images are clear or blurred, so their characters err together: only images can be resampled."""
    rng = np.random.default_rng(0)
    truth = 0.8 * 0.02 + 0.2 * 0.4
    hits = naive = whole = 0
    for trial in range(300):
        rates = np.where(rng.random(150) < 0.2, 0.4, 0.02)
        errors = rng.binomial(7, rates)
        low, high = bootstrap_interval(errors, np.full(150, 7), n_boot=500, seed=trial)
        hits += low <= truth <= high
        low, high = wilson_interval(errors.sum(), 150 * 7)
        naive += low <= truth <= high
        right = rng.binomial(150, 0.9)
        low, high = wilson_interval(right, 150)
        whole += low <= 0.9 <= high
    assert 0.91 <= hits / 300 <= 0.99
    assert 0.91 <= whole / 300 <= 0.99
    assert naive < hits


def test_equal_images_still_have_an_interval():
    assert bootstrap_interval([0] * 300, [7] * 300) == wilson_interval(0, 2100)
    assert bootstrap_interval([1] * 10, [1] * 10) == wilson_interval(10, 10)
    assert bootstrap_interval([1, 2], [4, 8]) == wilson_interval(3, 12)
    # More errors than characters is no proportion; the interval still encloses the rate.
    low, high = bootstrap_interval([3], [2])
    assert 0 < low < 1 and high == 1.5
    assert bootstrap_interval([2, 0], [0, 0]) == (0, 2)
    assert bootstrap_interval([0], [0]) == (0, 1)


def test_bootstrap_in_chunks_is_the_same_bootstrap():
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)  # all images differ, so 2000 draws at once would take 320 MB
    low, high = bootstrap_interval(confidence, np.ones(20_000), n_boot=300)
    spread = 1.96 * confidence.std() / math.sqrt(20_000)
    assert (low, high) == pytest.approx((confidence.mean() - spread, confidence.mean() + spread), abs=0.001)


# ------------------------------------------------------------------ tables


def test_score_is_the_table_that_is_promised():
    scores = score(RESULTS)
    assert scores.columns.tolist() == ["metric", "value", "low", "high", "n", "unit"]
    names = ["accuracy", "cer", "length_accuracy", "substitutions", "insertions", "deletions"]
    assert scores["metric"].tolist() == names
    by_name = scores.set_index("metric")
    assert by_name["value"].tolist() == pytest.approx([1 / 5, 4 / 30, 2 / 5, 100 / 30, 100 / 30, 200 / 30])
    assert by_name["n"].tolist() == [5, 30, 5, 30, 30, 30]
    assert by_name["unit"].tolist() == ["images", "characters", "images", *["characters"] * 3]
    assert ((by_name["low"] <= by_name["value"]) & (by_name["value"] <= by_name["high"])).all()
    assert not scores.isna().any(axis=None)
    pd.testing.assert_frame_equal(scores, score(RESULTS, seed=0))


@given(pairs)
def test_score_agrees_with_the_single_metrics(pair):
    references, predictions = pair
    results = pd.DataFrame({"text": references, "prediction": predictions})
    values = score(results, n_boot=20).set_index("metric")
    value = values["value"]
    assert value["cer"] == pytest.approx(cer(references, predictions))
    assert value["accuracy"] == pytest.approx(accuracy(references, predictions))
    same = [len(r) == len(p) for r, p in zip(results["text"], results["prediction"])]
    assert value["length_accuracy"] == pytest.approx(np.mean(same))
    assert value[["substitutions", "insertions", "deletions"]].sum() == pytest.approx(100 * value["cer"])
    assert np.isfinite(values[["value", "low", "high"]].astype(float)).all(axis=None)


def test_a_perfect_reader_is_not_certain():
    perfect = score(table(*[("京A12345", "京A12345")] * 100)).set_index("metric")
    assert perfect.loc["accuracy", "value"] == 1 and 0.95 < perfect.loc["accuracy", "low"] < 1
    assert perfect.loc["cer", "value"] == 0 and 0 < perfect.loc["cer", "high"] < 0.01


def test_score_by_group():
    results = RESULTS.assign(province=["皖", "皖", "京", None, "京"]).sample(frac=1, random_state=0)
    results.index = [0] * len(results)  # a table joined from parts may repeat its index
    groups = score_by(results, "province")
    whole = ["n", "accuracy", "accuracy_low", "accuracy_high"]
    assert groups.columns.tolist() == ["province", *whole, "characters", "cer", "cer_low", "cer_high"]
    assert groups["n"].tolist() == [2, 2, 1]
    assert groups["province"].isna().tolist() == [False, False, True]
    one = groups.set_index("province")
    assert one.loc["皖", ["accuracy", "characters", "cer"]].tolist() == pytest.approx([0.5, 14, 1 / 14])
    assert one.loc["京", ["accuracy", "characters", "cer"]].tolist() == pytest.approx([0, 9, 2 / 9])
    assert ((groups["cer_low"] <= groups["cer"]) & (groups["cer"] <= groups["cer_high"])).all()
    lengths = score_by(RESULTS.assign(length=RESULTS["text"].str.len()), "length")
    assert lengths[["length", "n"]].to_numpy().tolist() == [[7, 4], [2, 1]]


def test_by_position():
    places = by_position(RESULTS)
    assert places["position"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert places["n"].tolist() == [5, 5, 4, 4, 4, 4, 4]
    assert places["errors"].tolist() == [1, 0, 0, 1, 0, 0, 1]  # the inserted 8 belongs to no place
    assert places["error_rate"].tolist() == pytest.approx([1 / 5, 0, 0, 1 / 4, 0, 0, 1 / 4])
    assert ((places["low"] <= places["error_rate"]) & (places["error_rate"] < places["high"])).all()
    assert by_position(table(("", "x"))).empty


def test_paired_texts_of_tables_go_by_row_and_not_by_index():
    references, predictions = pd.Series(["a", "b"], index=[0, 1]), pd.Series(["a", "b"], index=[1, 0])
    assert paired_texts(references, predictions) == (["a", "b"], ["a", "b"])
    assert cer(references, predictions) == 0
