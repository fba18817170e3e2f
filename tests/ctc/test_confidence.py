"""Confidences: each of the three against what a list of all paths says."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ocrkit as ok
from ocrkit.ctc.confidence import confidences
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.text.tokenizer import Tokenizer, ctc_collapse
from tests.helpers import cases

TOKENIZER = Tokenizer("ab")


def random_logits(steps, n=1, seed=0, scale=1.0):
    """`(T, N, 5)` logits of a model that never says OOV or PAD."""
    logits = scale * torch.randn(steps, n, 5, generator=torch.Generator().manual_seed(seed)).double()
    logits[..., 1:3] = -1e4
    return logits


def by_hand(logits):
    """All paths of one image, `(T, K)` logits: its best path, and text -> P."""
    lp = logits.log_softmax(-1)
    paths = {p: math.exp(sum(lp[t, c].item() for t, c in enumerate(p))) for p in product((0, 3, 4), repeat=len(lp))}
    texts = {}
    for path, p in paths.items():
        text = TOKENIZER.decode(ctc_collapse(path))
        texts[text] = texts.get(text, 0.0) + p
    return max(paths, key=paths.get), paths, texts


def runs(path):
    """Path to (class, first step, last step + 1) of each run of equal classes."""
    starts = [t for t in range(len(path)) if t == 0 or path[t] != path[t - 1]] + [len(path)]
    return [(path[a], a, b) for a, b in zip(starts, starts[1:])]


@cases(25)
@given(st.integers(1, 6), st.integers(0, 999), st.sampled_from([0.3, 1.0, 2.5]))
def test_all_three_equal_a_list_of_all_paths(steps, seed, temperature):
    logits = random_logits(steps, seed=seed, scale=2.0)
    path, paths, texts = by_hand(logits[:, 0] / temperature)
    row = confidences(logits, TOKENIZER, temperature=temperature, width=1000).iloc[0]
    p = (logits[:, 0] / temperature).softmax(-1)
    letters = [max(p[t, c].item() for t in range(a, b)) for c, a, b in runs(path) if c]
    text = TOKENIZER.decode(ctc_collapse(path))
    second = max((t for t in texts if t != text), key=texts.get)

    assert row.text == text and row.runner_up == second
    assert row.weakest == pytest.approx(min(letters or p[:, 0].tolist()), rel=1e-5)
    assert (row.path, math.exp(row.log_path)) == pytest.approx((paths[path], paths[path]))
    assert row.path_per_character == pytest.approx(paths[path] ** (1 / max(len(text), 1)))
    assert (row.probability, math.exp(row.log_prob)) == pytest.approx((texts[text], texts[text]))
    assert row.margin == pytest.approx(math.log(texts[text] / texts[second]))
    assert row.share == pytest.approx(texts[text] / (texts[text] + texts[second]))
    assert row.path <= math.exp(row.log_prob) * (1 + 1e-9)  # one path of the text, against all of them


def test_margin_is_negative_where_greedy_missed_the_better_text():
    # Best path: two blanks, 0.36. The text "a" has three paths: 0.24 + 0.24 + 0.16.
    row = confidences(torch.tensor([[[0.6, 0, 0, 0.4]]] * 2).log(), Tokenizer("a")).iloc[0]
    assert (row.text, row.runner_up) == ("", "a")
    assert row.path == pytest.approx(0.36) and row.weakest == pytest.approx(0.6)
    assert row.margin == pytest.approx(math.log(0.36 / 0.64)) and row.share == pytest.approx(0.36)


def test_weakest_is_the_confidence_of_greedy_decoding(reader, packed):
    logits = reader.logits(packed.images)
    table, readings = confidences(logits, reader.tokenizer), greedy_decode(logits, reader.tokenizer)
    assert table["text"].tolist() == [r.text for r in readings]
    assert table["weakest"].tolist() == pytest.approx([r.confidence for r in readings], rel=1e-4)


@cases(20)
@given(st.integers(0, 99), st.floats(0.2, 8))
def test_temperature_changes_no_reading(seed, temperature):
    logits = random_logits(7, n=3, seed=seed)
    cold, warm = confidences(logits, TOKENIZER), confidences(logits, TOKENIZER, temperature=temperature)
    assert cold["text"].tolist() == warm["text"].tolist()
    assert all(warm["path"] <= cold["path"]) if temperature >= 1 else all(warm["path"] >= cold["path"])


def test_steps_beyond_the_image_do_not_count():
    logits = random_logits(6, n=2)
    padded = torch.cat([logits, random_logits(4, n=2, seed=9)])
    cut = confidences(padded, TOKENIZER, steps=[6, 4])
    assert cut.iloc[0].to_dict() == pytest.approx(confidences(logits[:, :1], TOKENIZER).iloc[0].to_dict())
    assert cut.iloc[1].to_dict() == pytest.approx(confidences(logits[:4, 1:], TOKENIZER).iloc[0].to_dict())


def test_out_of_vocabulary_is_no_text():
    logits = torch.zeros(3, 1, 5)
    for t, c in enumerate([3, Tokenizer.OOV, 4]):
        logits[t, 0, c] = 9.0
    row = confidences(logits, TOKENIZER).iloc[0]
    assert row.text == "ab" and row.path == pytest.approx((1 / (1 + 4 * math.exp(-9))) ** 3)
    assert math.exp(row.log_prob) < 0.01  # the sure path writes a sign that the text lacks


def test_a_text_without_rivals():
    certain = torch.full((3, 1, 5), -math.inf)
    for t, c in enumerate([3, 0, 4]):
        certain[t, 0, c] = 0.0
    row = confidences(certain, TOKENIZER).iloc[0]
    assert (row.text, row.runner_up, row.margin, row.share, row.path) == ("ab", "", math.inf, 1.0, 1.0)
    sure = torch.where(certain.isinf(), torch.tensor(-1e4), certain)
    row = confidences(sure, TOKENIZER).iloc[0]
    assert row.text == "ab" and row.runner_up and row.margin == pytest.approx(1e4) and row.share == 1.0


def test_no_images_give_an_empty_table():
    table = confidences(torch.zeros(4, 0, 5), TOKENIZER)
    assert len(table) == 0 and {"text", "weakest", "path", "margin", "share"} <= set(table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0: it must be more than 0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"width": 1}, "width=1: a runner-up needs a beam of 2"),
        ({"steps": [4]}, "1 steps for 2 images"),
        ({"steps": [4, 9]}, "steps has 9, and an image has between 1 and 4"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        confidences(random_logits(4, n=2), TOKENIZER, **arguments)


def test_bad_logits_are_refused():
    with pytest.raises(ValueError, match="7 classes and the tokenizer 5"):
        confidences(torch.zeros(4, 1, 7), TOKENIZER)
    with pytest.raises(ValueError, match="NaN"):
        confidences(torch.full((4, 1, 5), math.nan), TOKENIZER)


def test_is_a_name_of_the_module():
    assert ok.confidences is confidences
