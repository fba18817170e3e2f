"""Pattern decoding: on toy cases it finds what trying all allowed texts finds."""

import math
from itertools import product

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ocrkit.ctc.candidates import exact_log_probs
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.ctc.pattern import Pattern, pattern_decode, pattern_of
from ocrkit.text.alphabets import ALPHABETS, PLATE_SLOTS, plate_kind
from ocrkit.text.tokenizer import Tokenizer, min_steps
from tests.helpers import cases

TOKENIZER = Tokenizer("ab12")
PLATES = Tokenizer.from_name("plates")


def logits_of(steps, seed, n=1, sharp=2.0):
    return torch.randn(steps, n, 7, generator=torch.Generator().manual_seed(seed)).double() * sharp


def logits_for(text, sharp=9.0):
    """`(T, 1, K)` logits of plates that write the text, with a blank after each character."""
    logits = torch.zeros(2 * len(text) + 1, 1, PLATES.num_classes)
    logits[::2, 0, 0] = sharp
    logits[range(1, 2 * len(text), 2), 0, PLATES.encode(text)] = sharp
    return logits


def allowed_texts(pattern):
    """Every text of a pattern, by trying all."""
    texts = set()
    for slots, shortest in pattern.forms:
        for n in range(shortest, len(slots) + 1):
            texts |= {"".join(t) for t in product(*slots[:n])}
    return sorted(texts)


slots = st.lists(st.text("ab12", min_size=1, max_size=3), min_size=1, max_size=4)
patterns = st.lists(
    slots.flatmap(lambda s: st.integers(1, len(s)).map(lambda k: Pattern(s, k))), min_size=1, max_size=3
).map(lambda ps: ps[0] if len(ps) == 1 else ps[0] | ps[1] if len(ps) == 2 else ps[0] | ps[1] | ps[2])


@cases(60)
@given(patterns, st.integers(1, 7), st.integers(0, 9999), st.sampled_from([0.0, 0.5, 2.0, 20.0, 200.0, 1e5]))
@example(Pattern(["1", "1a", "12"], shortest=3), 5, 328, 20.0)  # the best way of a beginning led over its last letter
@example(Pattern(["1", "1a", "2"], shortest=1), 5, 328, 20.0)  # the runner-up is far below the winner
@example(Pattern(["1", "1", "1"], shortest=1), 7, 0, 200.0)
def test_equals_trying_all_allowed_texts(pattern, steps, seed, sharp):
    logits = logits_of(steps, seed, sharp=sharp)
    lp = logits[:, 0].log_softmax(-1)
    texts = [t for t in allowed_texts(pattern) if min_steps(t) <= steps]
    (reading,) = pattern_decode(logits, pattern, TOKENIZER, width=1000)
    if not texts:
        assert reading == ("", 0.0, [], -math.inf, None, 0.0)
        return
    log_p = dict(zip(texts, exact_log_probs(lp, [TOKENIZER.encode(t) for t in texts])))
    ranked = sorted(log_p.values(), reverse=True)
    assert reading.text in pattern and reading.log_prob == pytest.approx(log_p[reading.text])
    assert reading.log_prob == pytest.approx(ranked[0])
    if len(texts) > 1:
        assert log_p[reading.runner_up] == pytest.approx(ranked[1])
        assert reading.margin == pytest.approx(ranked[0] - ranked[1], abs=1e-9)
    assert reading.confidence == pytest.approx(1 / sum(math.exp(p - ranked[0]) for p in ranked))
    assert [s.text for s in reading.spans] == list(reading.text)


@cases(30)
@given(patterns, st.integers(1, 7), st.integers(0, 999), st.integers(1, 3))
def test_a_narrow_search_still_ends_with_an_allowed_text(pattern, steps, seed, width):
    (reading,) = pattern_decode(logits_of(steps, seed, sharp=30.0), pattern, TOKENIZER, width=width)
    fits = any(min_steps(t) <= steps for t in allowed_texts(pattern))
    assert (reading.text in pattern) == fits == (reading.log_prob > -math.inf)


@cases(40)
@given(patterns, st.integers(1, 6), st.integers(0, 999), st.data())
def test_what_cannot_be_at_a_step(pattern, steps, seed, data):
    logits = logits_of(steps, seed)
    never = data.draw(st.lists(st.tuples(st.integers(0, steps - 1), st.integers(0, 6)), max_size=4 * steps))
    for t, c in never:
        if logits[t].isfinite().sum() > 1:  # one class is left, or it were no distribution
            logits[t, 0, c] = -math.inf
    lp = logits[:, 0].log_softmax(-1)
    texts = [t for t in allowed_texts(pattern) if min_steps(t) <= steps]
    best = max(exact_log_probs(lp, [TOKENIZER.encode(t) for t in texts]), default=-math.inf)
    (reading,) = pattern_decode(logits, pattern, TOKENIZER, width=1000)
    assert reading.log_prob == pytest.approx(best) and (reading.text in pattern) == (best > -math.inf)


@cases(20)
@given(st.integers(0, 999), st.integers(7, 12))
def test_noise_becomes_a_plate(seed, steps):
    logits = torch.randn(steps, 1, PLATES.num_classes, generator=torch.Generator().manual_seed(seed)) * 5
    (reading,) = pattern_decode(logits, "plates", PLATES)
    assert plate_kind(reading.text) and len(reading.spans) == len(reading.text)


def test_a_look_alike_goes_where_it_may_stand():
    logits = logits_for("京AD12B45")  # the B stands where only a digit can
    logits[11, 0, PLATES.encode("8")] = 8.0
    assert plate_kind(greedy_decode(logits, PLATES)[0].text) is None
    (reading,) = pattern_decode(logits, "plates", PLATES)
    assert reading.text == "京AD12845" and reading.runner_up is not None


def test_what_fails_late_does_not_fill_the_beam():
    # Eight characters are seen; the form with a letter in the third place needs one that is improbable there.
    logits = logits_for("沪H424516", sharp=12.0)
    logits[5, 0, PLATES.encode("Z")] = 6.0
    (reading,) = pattern_decode(logits, "plates", PLATES, width=3)
    assert reading.text == "沪HZ24516"


def test_a_blank_image_makes_no_sure_plate():
    logits = torch.zeros(32, 1, PLATES.num_classes)
    logits[:, :, 0] = 15.0
    (reading,) = pattern_decode(logits, "plates", PLATES)
    assert plate_kind(reading.text) and reading.confidence < 1e-6


def test_steps_and_widths():
    short, long = logits_for("皖A25V59"), logits_for("京AD12345")
    noise = torch.randn(2, 1, PLATES.num_classes, generator=torch.Generator().manual_seed(0)) * 20
    both = torch.cat([torch.cat([short, noise]), long], 1)
    first, second = pattern_decode(both, "plates", PLATES, steps=[15, 17], widths=[150, 170])
    assert (first.text, second.text) == ("皖A25V59", "京AD12345")
    assert [(s.start, s.end) for s in first.spans] == [(20.0 * i + 10, 20.0 * i + 20) for i in range(7)]
    assert pattern_decode(both[:, :0], "plates", PLATES) == []


def test_the_plates_are_those_of_the_text_module():
    pattern = Pattern.named("plates")
    for ways in PLATE_SLOTS.values():
        for places in ways:
            text = "".join(place[-1] for place in places)
            assert text in pattern and plate_kind(text)
    for text in ("皖A2IV59", "皖A25V5", "京AD12B45", ""):
        assert text not in pattern and plate_kind(text) is None
    fits = {name: pattern_of(Tokenizer.from_name(name)) for name in ALPHABETS}
    assert {name for name, found in fits.items() if found} == {"plates", "plates-resnet", "plates-vgg"}


def test_an_alphabet_without_marks_reads_the_other_plates():
    resnet = Tokenizer.from_name("plates-resnet")
    logits = torch.randn(20, 5, resnet.num_classes, generator=torch.Generator().manual_seed(1)) * 4
    for reading in pattern_decode(logits, "plates", resnet):
        assert plate_kind(reading.text) in ("standard", "new energy")


def test_optional_places_end_where_the_alphabet_ends():
    (reading,) = pattern_decode(logits_of(5, 0), Pattern(["a", "1", "x"], shortest=1), TOKENIZER)
    assert reading.text in ("a", "a1")


def test_bad_input_is_refused():
    logits = logits_of(5, 0)
    with pytest.raises(ValueError, match="no pattern is named 'cars'; there are: plates"):
        pattern_decode(logits, "cars", TOKENIZER)
    with pytest.raises(ValueError, match="alphabet lacks all characters"):
        pattern_decode(logits, "plates", TOKENIZER)
    with pytest.raises(ValueError, match="7 classes and the tokenizer"):
        pattern_decode(logits, "plates", PLATES)
    with pytest.raises(TypeError, match="slots is one string, 'ab'"):
        Pattern("ab")
    for wrong in ([], ["a", ""]):
        with pytest.raises(ValueError, match="at least one character"):
            Pattern(wrong)
    for shortest in (0, 3):
        with pytest.raises(ValueError, match=f"shortest={shortest}: a text fills between 1 and 2"):
            Pattern(["a", "b"], shortest)
    with pytest.raises(ValueError, match="NaN"):
        pattern_decode(logits * math.nan, Pattern(["a"]), TOKENIZER)
    with pytest.raises(ValueError, match="width=0"):
        pattern_decode(logits, Pattern(["a"]), TOKENIZER, width=0)
    with pytest.raises(ValueError, match="steps has 6"):
        pattern_decode(logits, Pattern(["a"]), TOKENIZER, steps=[6])
