import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.ctc import greedy, lattice
from ocrkit.text import tokenizer
from ocrkit.text.tokenizer import Tokenizer
from tests.helpers import cases

TOKENIZER = Tokenizer("abc")


def log_probs(steps, classes, seed=0):
    return torch.randn(steps, classes, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("a", 1), ("ab", 2), ("aa", 3), ("aabb", 6), ("京A11111", 11)])
def test_min_steps(text, steps):
    assert tokenizer.min_steps(text) == steps
    assert lattice.feasible(text, steps) and not lattice.feasible(text, steps - 1)


@cases(40)
@given(st.lists(st.sampled_from([3, 4]), max_size=3), st.integers(1, 5), st.integers(0, 99))
def test_lattice_equals_brute_force_and_torch(target, steps, seed):
    lp = log_probs(steps, 6, seed)
    _, total = lattice.forward_lattice(lp, target)
    brute = sum(math.exp(sum(lp[t, c].item() for t, c in enumerate(path))) for path in lattice.all_paths(target, steps))
    assert math.exp(total) == pytest.approx(brute, abs=1e-12)
    loss = torch.nn.functional.ctc_loss(
        lp[:, None], torch.tensor([target], dtype=torch.long), [steps], [len(target)], reduction="none"
    )
    assert -total.item() == pytest.approx(loss.item()) or (math.isinf(total) and math.isinf(loss))


def test_too_few_steps_has_no_path():
    assert list(lattice.all_paths([3, 3], 2)) == []
    assert lattice.forward_lattice(log_probs(2, 6), [3, 3])[1].item() == -math.inf
    assert list(lattice.all_paths([3, 3], 3)) == [(3, 0, 3)]


def test_paths_of_a_short_word():
    # cat in 4 steps: one of 7 places gets the extra step (3 letters doubled, 4 blanks put in).
    assert len(list(lattice.all_paths([3, 4, 5], 4))) == 7


def test_brute_force_refuses_long_words():
    with pytest.raises(ValueError, match="forward_lattice"):
        lattice.all_paths(list(range(3, 10)), 20)


def test_lattice_refuses_blank_in_target():
    with pytest.raises(ValueError, match="class 0"):
        lattice.forward_lattice(log_probs(4, 6), [3, 0])


def logits_for(path, sharp=9.0):
    logits = torch.zeros(len(path), 1, TOKENIZER.num_classes)
    for t, c in enumerate(path):
        logits[t, 0, c] = sharp + t / 10
    return logits


@cases(100)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_greedy_equals_tokenizer_collapse(path):
    reading = greedy.greedy_decode(logits_for(path), TOKENIZER)[0]
    assert reading.text == TOKENIZER.decode(path, collapse=True)
    assert "".join(s.text for s in reading.spans) == reading.text
    assert all(a.end <= b.start for a, b in zip(reading.spans, reading.spans[1:]))
    assert 0 < reading.confidence <= 1


def test_spans_in_pixels():
    # steps:                    blank a a blank a b b blank
    reading = greedy.greedy_decode(logits_for([0, 3, 3, 0, 3, 4, 4, 0]), TOKENIZER, widths=[80])[0]
    assert reading.text == "aab"
    assert [(s.start, s.end) for s in reading.spans] == [(10, 30), (40, 50), (50, 70)]


def test_confidence_is_the_weakest_character():
    logits = torch.zeros(2, 1, TOKENIZER.num_classes)
    logits[0, 0, 3], logits[1, 0, 4] = 5.0, 1.0
    reading = greedy.greedy_decode(logits, TOKENIZER)[0]
    assert reading.text == "ab"
    assert reading.confidence == pytest.approx(logits.softmax(-1)[1, 0, 4].item())
    assert [s.confidence for s in reading.spans] == pytest.approx(logits.softmax(-1).amax(-1)[:, 0].tolist())


def test_empty_reading_has_blank_confidence():
    reading = greedy.greedy_decode(logits_for([0, 0]), TOKENIZER)[0]
    assert (reading.text, reading.spans) == ("", [])
    assert reading.confidence == pytest.approx(logits_for([0, 0]).softmax(-1)[0, 0, 0].item())


def test_greedy_refuses_strangers():
    with pytest.raises(ValueError, match="9 classes and the tokenizer 6"):
        greedy.greedy_decode(torch.zeros(4, 1, 9), TOKENIZER)
    with pytest.raises(ValueError, match="2 widths for 1 images"):
        greedy.greedy_decode(torch.zeros(4, 1, 6), TOKENIZER, widths=[1, 2])


def test_best_path_is_not_always_best_text():
    # The classic: blank wins each step, yet 'a' wins in sum over its three paths.
    probs = torch.tensor([[0.6, 0, 0, 0.4], [0.6, 0, 0, 0.4]]).clamp_min(1e-9).log()
    assert greedy.greedy_decode(probs[:, None], Tokenizer("a"))[0].text == ""
    assert lattice.forward_lattice(probs, [3])[1] > lattice.forward_lattice(probs, [])[1]


def test_right_to_left_text_is_logical_and_spans_are_as_on_paper():
    persian = Tokenizer.from_name("persian")
    codes = persian.encode("مورخ ۱۲/۵")
    logits = torch.zeros(len(codes) + 1, 1, persian.num_classes)
    logits[range(len(codes)), 0, codes] = 9.0
    logits[-1, 0, 0] = 9.0
    reading = greedy.greedy_decode(logits, persian)[0]
    assert reading.text == "مورخ ۱۲/۵"
    assert "".join(s.text for s in reading.spans) == "۱۲/۵ خروم"
    assert [s.start for s in reading.spans] == list(range(len(codes)))
