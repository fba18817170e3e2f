"""Prefix beam search: with room for everything it finds the exact sum of every text."""

import logging
import math
from itertools import product

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ocrkit.ctc import lattice
from ocrkit.ctc.beam import CUT, beam_candidates, beam_decode
from ocrkit.text.tokenizer import Tokenizer, ctc_collapse
from tests.helpers import cases

TOKENIZER = Tokenizer("ab")


def log_probs(steps, classes=5, seed=0):
    return torch.randn(steps, classes, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)


def all_texts(lp, classes=(0, 3, 4)):
    """Text -> its probability, summed over every path of these classes."""
    sums: dict[tuple, float] = {}
    for path in product(classes, repeat=len(lp)):
        text = ctc_collapse(path)
        sums[text] = sums.get(text, 0.0) + math.exp(sum(lp[t, c].item() for t, c in enumerate(path)))
    return sums


@cases(20)
@given(st.integers(1, 6), st.integers(0, 999))
def test_unlimited_width_is_the_exhaustive_sum(steps, seed):
    lp = log_probs(steps, seed=seed)
    wanted = {TOKENIZER.decode(text): p for text, p in all_texts(lp).items()}
    found = beam_candidates(lp, TOKENIZER, width=10_000, cut=0)
    assert {text: math.exp(log_p) for text, log_p in found} == pytest.approx(wanted)
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)


@cases(30)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 2), st.integers(0, 999))
def test_narrow_beam_never_claims_too_much(steps, width, symbols, seed):
    lp = log_probs(steps, seed=seed)
    found = beam_candidates(lp, TOKENIZER, width, symbols)
    assert 1 <= len(found) <= width
    assert len({text for text, _ in found}) == len(found)
    for text, log_p in found:
        assert log_p <= lattice.forward_lattice(lp, TOKENIZER.encode(text))[1].item() + 1e-9


@cases(30)
@given(st.integers(1, 6), st.integers(0, 999), st.sampled_from([1.0, 6.0, 20.0]))
def test_the_cut_takes_little_away(steps, seed, sharp):
    lp = (log_probs(steps, seed=seed) * sharp).log_softmax(-1)
    whole = dict(beam_candidates(lp, TOKENIZER, width=10_000, cut=0))
    found = dict(beam_candidates(lp, TOKENIZER, width=10_000))
    assert found.keys() <= whole.keys()
    lost = [math.exp(p) - math.exp(found.get(text, -math.inf)) for text, p in whole.items()]
    assert min(lost) > -1e-12 and sum(lost) <= steps * 5 * CUT


@cases(30)
@given(st.integers(1, 6), st.integers(0, 9999), st.sampled_from([0.0, 0.5, 2.0, 20.0, 200.0]))
@example(1, 23, 20.0)  # what writes no text is far more probable than all that does
@example(5, 2600, 200.0)  # so much that a float cannot hold the rest
def test_decode_gives_the_best_two_texts(steps, seed, sharp):
    lp = (log_probs(steps, seed=seed) * sharp).log_softmax(-1)
    texts = {TOKENIZER.decode(text): text for text in all_texts(lp)}
    sums = {text: lattice.forward_lattice(lp, codes)[1].item() for text, codes in texts.items()}
    ranked = sorted(sums.values(), reverse=True)
    (reading,) = beam_decode(lp[:, None], TOKENIZER, width=1000)
    assert reading.log_prob == pytest.approx(ranked[0], abs=1e-9)
    assert sums[reading.text] == pytest.approx(ranked[0], abs=1e-9)
    # A runner-up that is less than a millionth as probable may be none at all.
    if ranked[1] > ranked[0] + math.log(CUT):
        assert sums[reading.runner_up] == pytest.approx(ranked[1])
        assert reading.margin == pytest.approx(ranked[0] - ranked[1], abs=1e-9)
    assert reading.confidence == pytest.approx(1 / sum(math.exp(p - ranked[0]) for p in ranked), rel=1e-3)
    assert [s.text for s in reading.spans] == list(reading.text)


def test_decode_counts_steps_and_pixels():
    path = torch.full((7, 2, 5), -9.0)
    for t, c in enumerate([0, 3, 3, 0, 4, 0, 0]):
        path[t, :, c] = 3.0
    path[3:, 1] = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * 9
    whole, part = beam_decode(path, TOKENIZER, steps=[7, 3], widths=[70, 30])
    assert (whole.text, part.text) == ("ab", "a")
    assert [(s.start, s.end) for s in whole.spans] == [(10, 30), (40, 50)]
    assert part.spans == whole.spans[:1]
    assert part == beam_decode(path[:3, 1:], TOKENIZER, widths=[30])[0]
    assert beam_decode(path[:, :0], TOKENIZER) == []


def test_decode_where_nothing_is_possible():
    impossible = torch.tensor([[[-math.inf, 0, -math.inf, -math.inf, -math.inf]]])
    assert beam_decode(impossible, TOKENIZER) == [("", 0.0, [], -math.inf, None, 0.0)]


def test_finds_the_text_that_the_best_path_misses():
    lp = torch.tensor([[0.6, 0, 0, 0.4], [0.6, 0, 0, 0.4]]).log()
    (best, p), (second, q) = beam_candidates(lp, Tokenizer("a"))
    assert (best, second) == ("a", "")
    assert (math.exp(p), math.exp(q)) == pytest.approx((0.64, 0.36))


def test_long_images_do_not_underflow():
    (text, log_p), *_ = beam_candidates(log_probs(3000), TOKENIZER, width=3)
    assert -math.inf < log_p < -1000 and text


def test_repeated_letters_need_a_blank():
    lp = torch.full((5, 5), -9.0)
    for t, c in enumerate([3, 0, 3, 3, 4]):
        lp[t, c] = 0.0
    assert beam_candidates(lp.log_softmax(-1), TOKENIZER)[0][0] == "aab"


def test_against_pyctcdecode():
    pyctcdecode = pytest.importorskip("pyctcdecode")
    logging.disable(logging.CRITICAL)
    try:
        decoder = pyctcdecode.build_ctcdecoder(["", "a", "b"])
    finally:
        logging.disable(logging.NOTSET)
    for seed in range(20):
        lp = log_probs(6, seed=seed)
        lp[:, 1:3] = -1e4
        lp = lp.log_softmax(-1)
        theirs = decoder.decode_beams(
            lp[:, [0, 3, 4]].numpy(), beam_width=10_000, beam_prune_logp=-1000, token_min_logp=-1000
        )
        ours = beam_candidates(lp, TOKENIZER, width=10_000)
        assert ours[0] == (theirs[0][0], pytest.approx(theirs[0][-2], abs=1e-6))


def test_against_fast_ctc_decode():
    theirs = pytest.importorskip("fast_ctc_decode")
    for seed in range(40):
        lp = log_probs(8, seed=seed) * 2
        lp[:, 1:3] = -math.inf
        lp = lp.log_softmax(-1)
        probs = lp[:, [0, 3, 4]].exp().float().numpy()
        text, _ = theirs.beam_search(probs, "-ab", beam_size=1000, beam_cut_threshold=0.0)
        assert beam_decode(lp[:, None], TOKENIZER, width=1000)[0].text == text


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="width=0 and symbols=12"):
        beam_candidates(log_probs(3), TOKENIZER, width=0)
    with pytest.raises(ValueError, match="7 classes and the tokenizer 5"):
        beam_candidates(log_probs(3, classes=7), TOKENIZER)
    with pytest.raises(ValueError, match="NaN"):
        beam_candidates(torch.full((3, 5), float("nan")), TOKENIZER)
    with pytest.raises(ValueError, match="2 steps for 1 images"):
        beam_decode(log_probs(3)[:, None], TOKENIZER, steps=[3, 3])
    assert beam_candidates(torch.tensor([[-math.inf, 0, -math.inf, -math.inf, -math.inf]]), TOKENIZER) == []
