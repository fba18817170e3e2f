"""Folding of Persian text, and error rates by what is forgiven."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from persiantools import digits

from ocrkit import fold, score, tolerances
from ocrkit.text.persian import STEPS, TO_LATIN, TO_PERSIAN

texts = st.text("یيىکكة ۀآا\u0653۴٤4\u200c", max_size=8)


@pytest.mark.parametrize(
    ("text", "steps", "folded"),
    [
        ("علي كاظمى", ["letters"], "علی کاظمی"),
        ("خانۀ زكاة", ["letters"], "خانۀ زکاة"),
        ("١٤۰2/5", ["digits"], "۱۴۰۲/۵"),
        ("می\u200cشود", ["zwnj"], "میشود"),
        ("ا\u0653ب", ["nfc"], "آب"),
        ("ا\u0653ب", ["letters", "digits", "zwnj"], "ا\u0653ب"),
        ("مي\u200cشود ٣", STEPS, "میشود ۳"),
        ("مي\u200cشود ٣", [], "مي\u200cشود ٣"),
    ],
)
def test_fold(text, steps, folded):
    assert fold(text, steps) == folded


@given(texts)
def test_folding_is_done_after_once_and_in_any_order(text):
    assert fold(text, [*reversed(STEPS)]) == fold(text)
    assert fold(fold(text)) == fold(text) or "\u200c\u0653" in text  # a mark may join a letter once ZWNJ is gone
    assert len(fold(text, ["letters", "digits"])) == len(text)


def test_unknown_steps_are_named():
    with pytest.raises(ValueError, match="there is no step 'case'; there are: nfc, letters, digits, zwnj"):
        fold("سلام", ["nfc", "case"])


def test_each_tolerance_forgives_one_more_kind():
    pairs = {
        "آب": "ا\u0653ب",  # two code points: one wrong and one too many
        "علی": "علي",
        "۱۲": "١2",
        "می\u200cرود": "میرود",
        "نام": "نان",
    }
    results = pd.DataFrame({"text": pairs.keys(), "prediction": pairs.values()})
    table = tolerances(results, n_boot=200)
    assert table["tolerance"].tolist() == ["raw", "+ nfc", "+ letters", "+ digits", "+ zwnj"]
    assert (table["accuracy"] * 5).round().tolist() == [0, 1, 2, 3, 4]
    assert (table["cer"] * table["characters"]).round().tolist() == [7, 5, 4, 2, 1]
    assert table["n"].tolist() == 5 * [5] and table["characters"].tolist() == [16, 16, 16, 16, 15]
    for name in ("accuracy", "cer"):
        assert (table[f"{name}_low"] <= table[name]).all() and (table[name] <= table[f"{name}_high"]).all()
    same = score(results, n_boot=200).set_index("metric")  # which composes, and forgives nothing else
    assert table["cer"][1] == pytest.approx(same.loc["cer", "value"])
    assert table.loc[1, ["cer_low", "cer_high"]].tolist() == pytest.approx(same.loc["cer", ["low", "high"]].tolist())


def test_tables_that_cannot_be_scored():
    with pytest.raises(ValueError, match="no column 'prediction'; it has: text"):
        tolerances(pd.DataFrame({"text": ["a"]}))
    with pytest.raises(ValueError, match="no texts to compare"):
        tolerances(pd.DataFrame({"text": [], "prediction": []}))
    with pytest.raises(TypeError, match="row 0: the prediction is None"):
        tolerances(pd.DataFrame({"text": ["a"], "prediction": [None]}))


def test_the_digits_are_those_of_persiantools():
    assert TO_PERSIAN == digits.EN_TO_FA_MAP | digits.AR_TO_FA_MAP
    assert {k: v for k, v in TO_LATIN.items() if k in digits.FA_TO_EN_MAP} == digits.FA_TO_EN_MAP
    assert {(unicodedata.digit(chr(k)), chr(v)) for k, v in TO_LATIN.items()} == set(enumerate("0123456789"))
