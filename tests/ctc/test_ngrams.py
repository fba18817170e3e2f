"""The character n-gram model: its probabilities sum to 1, and it prefers what looks like the list."""

import math
from itertools import product

import pytest

from ocrkit.ctc.lexicon import _END, _START, CharacterNgram
from ocrkit.text.words import count_words

WORDS = {"ab": 5, "abba": 2, "ba": 1, "cab": 0}


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_next_characters_sum_to_one(order):
    ngram = CharacterNgram(WORDS, order)
    for before in ("", "a", "ab", "abb", "bbbb", "cc"):
        assert sum(ngram.probability(c, before) for c in ["a", "b", "c", ""]) == pytest.approx(1)


def test_texts_sum_to_one():
    ngram = CharacterNgram({"a": 8, "ab": 3}, order=3)
    texts = ["".join(t) for length in range(12) for t in product("ab", repeat=length)]
    total = sum(math.exp(ngram.log_prob(t)) for t in texts)
    assert 0.999 < total <= 1 + 1e-12  # the rest belongs to texts of 12 characters and more


def test_witten_bell_by_hand():
    # Of 'a', 'a', 'b': each character or end stands 3 times in 6, so with 3 kinds seen and equal shares of 1/3 below:
    ngram = CharacterNgram({"a": 2, "b": 1}, order=1)
    assert ngram.probability("a") == pytest.approx((2 + 3 / 3) / (6 + 3))
    assert ngram.probability("b") == pytest.approx((1 + 3 / 3) / (6 + 3))
    assert ngram.probability("") == pytest.approx((3 + 3 / 3) / (6 + 3))
    # Order 2: after 'a', always the end (2 of 2, one kind).
    bigram = CharacterNgram({"a": 2, "b": 1}, order=2)
    assert bigram.probability("", "a") == pytest.approx((2 + 1 * 4 / 9) / (2 + 1))
    assert bigram.log_prob("a") == pytest.approx(math.log(bigram.probability("a")) + math.log(2.4444444 / 3))


def test_against_nltk():
    lm = pytest.importorskip("nltk.lm")
    words = ["anna", "hanna", "ann", "nathan"]
    padded = [[_START, *word, _END] for word in words]
    grams = [tuple(w[i - k + 1 : i + 1]) for w in padded for i in range(1, len(w)) for k in (1, 2, 3) if i - k >= -1]
    theirs = lm.WittenBellInterpolated(3, vocabulary=lm.Vocabulary(c for w in padded for c in w))
    theirs.fit([grams])
    ours = CharacterNgram(words, order=3)
    # nltk does not smooth the shares without a history; all that is built on them is the same.
    for before, c in [("a", "n"), ("ann", "a"), ("ha", "n"), ("nat", "h"), ("anna", ""), ("", "h")]:
        history, wanted = (_START + before)[-2:], c or _END
        theirs_p, passed_on = theirs.score(wanted, list(history)), 1.0
        for start in range(len(history)):
            passed_on *= theirs.estimator.alpha_gamma(wanted, tuple(history[start:]))[1]
        base = ours._probability(wanted, "")
        assert ours.probability(c, before) - passed_on * base == pytest.approx(
            theirs_p - passed_on * theirs.counts.unigrams.freq(wanted)
        )


def test_prefers_what_looks_like_the_list():
    ngram = CharacterNgram(["MARIE", "MARION", "MARTIN", "MARTINE", "JEAN", "JEANNE"])
    assert ngram.log_prob("MARTINE") > ngram.log_prob("MARIANNE") > ngram.log_prob("XQZWKJVV")


def test_unseen_and_strange_characters():
    ngram = CharacterNgram(["a"], alphabet="ab")
    assert -math.inf < ngram.log_prob("bb") < ngram.log_prob("a") < 0
    assert ngram.log_prob("") < 0
    assert ngram.log_prob("ax") == -math.inf and ngram.probability("x") == 0
    assert CharacterNgram({"a": 0}, alphabet="ab").log_prob("b") == pytest.approx(2 * math.log(1 / 3))


def test_counts_are_added_in_nfc():
    assert count_words(["e\u0301", "\u00e9", "NA"]) == {"\u00e9": 2, "NA": 1}
    assert count_words({"e\u0301": 3, "\u00e9": 4}) == {"\u00e9": 7}


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="one string, 'ANNA'"):
        count_words("ANNA")
    with pytest.raises(TypeError, match="nan is a float.*keep_default_na=False"):
        count_words(["ANNA", float("nan")])
    for count in (-1, 0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="'ANNA' has the count"):
            count_words({"ANNA": count})
    with pytest.raises(ValueError, match="order=0"):
        CharacterNgram(["a"], order=0)
