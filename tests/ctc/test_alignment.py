"""Forced alignment: the best of all paths, found by Viterbi, against the list of all of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.ctc import lattice
from ocrkit.ctc.alignment import forced_alignment
from ocrkit.ctc.lattice import all_paths
from ocrkit.text import tokenizer
from tests.helpers import cases


def log_probs(steps, n=1, classes=6, seed=0):
    return torch.randn(steps, n, classes, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)


def score(lp, path):
    return sum(lp[t, c].item() for t, c in enumerate(path))


@cases(80)
@given(
    st.lists(st.sampled_from([3, 4]), max_size=4),
    st.integers(1, 7),
    st.integers(0, 9999),
    st.sampled_from([1.0, 20.0, 1000.0]),
)
def test_best_path_of_all(target, steps, seed, sharp):
    lp = (log_probs(steps, seed=seed) * sharp).log_softmax(-1)
    if not lattice.feasible(target, steps):
        with pytest.raises(ValueError, match="target 0 needs"):
            forced_alignment(lp, [target])
        return
    best = max(all_paths(target, steps), key=lambda path: score(lp[:, 0], path))
    (found,) = forced_alignment(lp, [target])
    assert tuple(found.path) == best
    assert found.log_prob == pytest.approx(score(lp[:, 0], best))
    assert len(found.frames) == len(target)
    for code, (start, end) in zip(target, found.frames):
        assert start < end and set(best[start:end]) == {code}
    spoken = [t for start, end in found.frames for t in range(start, end)]
    assert spoken == [t for t, c in enumerate(best) if c != lattice.BLANK]  # in order, all, and none twice


@cases(40)
@given(st.lists(st.sampled_from([3, 4]), max_size=3), st.integers(1, 6), st.integers(0, 999))
def test_of_equal_paths_any_is_best(target, steps, seed):
    lp = torch.randint(-3, 0, (steps, 1, 6), generator=torch.Generator().manual_seed(seed)).double()
    if lattice.feasible(target, steps):
        (found,) = forced_alignment(lp, [target])
        assert found.log_prob == max(score(lp[:, 0], path) for path in all_paths(target, steps))
        assert score(lp[:, 0], found.path) == found.log_prob and tokenizer.ctc_collapse(found.path) == tuple(target)


def test_equal_neighbors_are_kept_apart():
    lp = torch.full((5, 1, 4), -9.0)
    lp[:, 0, 3] = -0.1  # the letter is loud all the time, and yet a blank must part the two
    (found,) = forced_alignment(lp, [[3, 3]])
    assert tokenizer.ctc_collapse(found.path) == (3, 3) and found.path.count(0) == 1
    assert found.log_prob == pytest.approx(4 * -0.1 - 9)


def test_a_batch_equals_one_by_one():
    lp = log_probs(12, 5, classes=9, seed=4)
    targets = [[3, 3, 4], [], [8], [5, 5, 5, 5], [3, 4, 5, 6, 7, 8]]
    together = forced_alignment(lp, targets)
    assert together == [forced_alignment(lp[:, i : i + 1], [t])[0] for i, t in enumerate(targets)]
    assert [tokenizer.ctc_collapse(a.path) for a in together] == [tuple(t) for t in targets]
    lengths = [len(t) for t in targets]
    filled = torch.tensor([t + [2] * (6 - len(t)) for t in targets])  # as `encode_batch` gives them
    assert forced_alignment(lp, filled, torch.tensor(lengths)) == together


def test_the_path_is_part_of_the_sum():
    lp = log_probs(8, seed=7)
    (found,) = forced_alignment(lp, [[3, 4]])
    assert found.log_prob < lattice.forward_lattice(lp[:, 0], [3, 4])[1]


def test_half_precision_and_gradients_do_not_matter():
    lp = log_probs(9, 2, seed=1)
    expected = [a.frames for a in forced_alignment(lp, [[3, 4], [4]])]
    assert [a.frames for a in forced_alignment(lp.half(), [[3, 4], [4]])] == expected
    assert [a.frames for a in forced_alignment(lp.clone().requires_grad_(), [[3, 4], [4]])] == expected


def test_no_images():
    assert forced_alignment(torch.zeros(4, 0, 6), []) == []


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([[3], [4, 4, 4]], "target 1 needs 5 time steps .* there are 4"),
        ([[3]], "1 targets for 2 images"),
        ([[3], [0]], "class 0"),
        ([[3], [6]], "class 6; classes of characters are 1..5"),
    ],
)
def test_refusals(targets, words):
    with pytest.raises(ValueError, match=words):
        forced_alignment(log_probs(4, 2), targets)


@pytest.mark.parametrize("value", [float("-inf"), float("nan")])
def test_a_text_of_probability_zero_has_no_path(value):
    lp = log_probs(4, 2)
    lp[:, 1, 3] = value
    with pytest.raises(ValueError, match="target 1 cannot be aligned"):
        forced_alignment(lp, [[3], [3]])
