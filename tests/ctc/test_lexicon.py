"""Lexicon decoding: one pass over the trie gives every word what the sum over all its paths gives."""

import math
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ocrkit.ctc import greedy, lattice
from ocrkit.ctc.beam import beam_candidates
from ocrkit.ctc.lexicon import Lexicon, lexicon_decode
from ocrkit.text.tokenizer import Tokenizer, ctc_collapse
from tests.helpers import cases

TOKENIZER = Tokenizer("ab")
LETTERS = Tokenizer("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
NAMES = ["ANNA", "ANA", "ANN", "HANNA", "LEELOO", "LELO", "LEO", "NATHAN"]


def random_logits(steps, classes, n=1, seed=0):
    return torch.randn(steps, n, classes, generator=torch.Generator().manual_seed(seed)).double()


def logits_for(path, tokenizer=LETTERS, sharp=8.0):
    """`(T, 1, K)` logits of a model that is sure of this path; `-` is the blank."""
    logits = torch.zeros(len(path), 1, tokenizer.num_classes)
    for t, c in enumerate(path):
        logits[t, 0, 0 if c == "-" else tokenizer.encode(c)[0]] = sharp
    return logits


def torch_log_prob(log_probs, codes):
    loss = torch.nn.functional.ctc_loss(
        log_probs[:, None], torch.tensor([codes]), [len(log_probs)], [len(codes)], reduction="none"
    )
    return -loss.item()


@cases(15)
@given(st.integers(1, 5), st.integers(0, 9999), st.sampled_from([0.0, 1.0, 20.0]))
def test_equals_the_sum_over_all_paths(steps, seed, sharp):
    lp = (random_logits(steps, 5, seed=seed)[:, 0] * sharp).log_softmax(-1)
    sums: dict[tuple, float] = {}
    for path in product(range(5), repeat=steps):
        text = ctc_collapse(path)
        sums[text] = sums.get(text, 0.0) + math.exp(sum(lp[t, c].item() for t, c in enumerate(path)))
    words = ["".join(w) for length in (1, 2, 3) for w in product("ab", repeat=length)]
    found = np.exp(Lexicon(words, TOKENIZER).log_probs(lp))
    assert found == pytest.approx([sums.get(tuple(TOKENIZER.encode(w)), 0.0) for w in words], rel=1e-9, abs=1e-15)


@cases(25)
@example(["A", "B", "AB", "BA", "AABBAABBA"], 24, 0, 0.0, 0.0)  # many paths, all equal
@example(["B"], 2, 2997, 200.0, 0.0)  # P at one step is less than a float holds exactly
@given(
    st.lists(st.text("ABL", min_size=1, max_size=9), min_size=1, max_size=8, unique=True),
    st.integers(1, 24),
    st.integers(0, 9999),
    st.sampled_from([0.0, 1.0, 20.0, 200.0]),
    st.sampled_from([0.0, 1.0]),
)
def test_the_best_word_is_that_of_torch(words, steps, seed, sharp, weight):
    logits = random_logits(steps, LETTERS.num_classes, seed=seed) * sharp
    lp, lexicon = logits[:, 0].log_softmax(-1), Lexicon(words, LETTERS)
    wanted = np.array([torch_log_prob(lp, LETTERS.encode(w)) for w in words])
    found = lexicon.log_probs(lp)
    told = found > -np.inf  # a word below 1e-600 counts as impossible, unless the best one is nearly so
    assert found[told] == pytest.approx(wanted[told])
    assert (wanted[~told] < lp.max(1).values.sum().item() - 600 * math.log(10)).all()
    scores = wanted + weight * lexicon.log_priors
    (reading,) = lexicon_decode(logits, lexicon, weight)
    if wanted.max() == -np.inf:
        assert reading == ("", 0.0, [], -math.inf, None, 0.0)
        return
    assert scores[words.index(reading.text)] == pytest.approx(scores.max())
    assert reading.log_prob == pytest.approx(wanted[words.index(reading.text)])
    assert reading.confidence == pytest.approx(1 / np.exp(scores - scores.max()).sum(), abs=1e-9)


def test_numbers_and_logarithms_agree():
    # 2,000 steps are below what float64 holds even for the best word: the sums are made with logarithms.
    lexicon = Lexicon(NAMES, LETTERS)
    lp = random_logits(2000, LETTERS.num_classes)[:, 0].log_softmax(-1)
    found = lexicon.log_probs(lp)
    assert found.max() < -1300
    assert found == pytest.approx([torch_log_prob(lp, LETTERS.encode(w)) for w in NAMES])


def test_extreme_logits():
    readings = lexicon_decode(logits_for("-A-N-N-A-", sharp=1e4), Lexicon(NAMES, LETTERS))
    assert (readings[0].text, readings[0].confidence) == ("ANNA", 1.0)
    # Here the sure path is of no word at all, and every word is below e^-10000.
    reading = lexicon_decode(logits_for("-A-N-X-A-", sharp=1e4), Lexicon(["ANNA", "LEO"], LETTERS))[0]
    assert reading.text == "ANNA" and reading.log_prob == pytest.approx(-1e4, rel=1e-3)


def test_the_trie():
    lexicon = Lexicon(["ab", "a", "abb", "b"], TOKENIZER)
    assert lexicon.parent.tolist() == [0, 0, 0, 1, 3]
    assert lexicon.symbol.tolist() == [0, 3, 4, 4, 4]
    assert lexicon.depth.tolist() == [0, 1, 1, 2, 3]
    assert lexicon.word_node.tolist() == [3, 1, 4, 2]


@pytest.mark.parametrize(
    ("path", "text"),
    [("AANN-NA", "ANNA"), ("AANNNNA", "ANA"), ("LE-EL-O-O", "LEELOO"), ("LLEEL-OO-", "LELO"), ("LE-ELLO-O", "LEELOO")],
)
def test_repeated_letters(path, text):
    assert lexicon_decode(logits_for(path), Lexicon(NAMES, LETTERS))[0].text == text


def test_a_word_that_does_not_fit():
    lexicon = Lexicon(["ANNA", "ANA"], LETTERS)
    lp = random_logits(4, LETTERS.num_classes)[:, 0].log_softmax(-1)
    assert np.isinf(lexicon.log_probs(lp)).tolist() == [True, False]
    reading = lexicon_decode(lp[:, None], lexicon)[0]
    assert (reading.text, reading.confidence, reading.runner_up) == ("ANA", 1.0, None)
    nothing = lexicon_decode(lp[:2, None], lexicon)[0]
    assert nothing == ("", 0.0, [], -math.inf, None, 0.0)


def test_a_smudged_letter_goes_to_the_word():
    logits = logits_for("-N-A-T-H-A-N-")
    logits[5, 0, LETTERS.encode("I")[0]] = 9.0  # the T looks like an I
    assert greedy.greedy_decode(logits, LETTERS)[0].text == "NAIHAN"
    reading = lexicon_decode(logits, Lexicon(NAMES, LETTERS))[0]
    assert reading.text == "NATHAN"


def test_weight_prefers_the_common_word():
    logits = logits_for("-L-E-O-")
    logits[3, 0, LETTERS.encode("A")[0]] = 8.2  # A a little better than E
    lexicon = Lexicon({"LAO": 1, "LEO": 200}, LETTERS)
    plain = lexicon_decode(logits, lexicon)[0]
    weighted = lexicon_decode(logits, lexicon, weight=1.0)[0]
    assert (plain.text, plain.runner_up) == ("LAO", "LEO")
    assert (weighted.text, weighted.runner_up) == ("LEO", "LAO")
    image = logits[:, 0].log_softmax(-1)
    odds = math.exp(torch_log_prob(image, LETTERS.encode("LEO")) - torch_log_prob(image, LETTERS.encode("LAO")))
    odds *= 201 / 2
    assert weighted.confidence == pytest.approx(odds / (1 + odds), rel=1e-5)
    assert weighted.margin == pytest.approx(math.log(odds), rel=1e-5)
    assert weighted.log_prob == pytest.approx(torch_log_prob(image, LETTERS.encode("LEO")), rel=1e-5)


def test_open_lexicon_reads_unknown_words():
    lexicon = Lexicon({"MARTIN": 50, "MARTINE": 20, "MARIE": 90}, LETTERS)
    logits = logits_for("-M-A-R-T-A-")
    assert lexicon_decode(logits, lexicon, weight=0.5)[0].text in lexicon
    reading = lexicon_decode(logits, lexicon, weight=0.5, closed=False)[0]
    assert reading.text == "MARTA" and "MARTA" not in lexicon
    assert 0 < reading.confidence < 1
    image = logits[:, 0].log_softmax(-1)
    assert reading.log_prob == pytest.approx(torch_log_prob(image, LETTERS.encode("MARTA")), rel=1e-5)
    # Where unknown words are very rare, or the prior weighs much, the lexicon wins.
    assert lexicon_decode(logits, lexicon, weight=1.0, closed=False, unknown_share=1e-12)[0].text != "MARTA"
    known = lexicon_decode(logits_for("-M-A-R-I-E-"), lexicon, weight=0.5, closed=False)[0]
    assert known.text == "MARIE" and "MARIE" in lexicon
    blank = lexicon_decode(logits_for("-------", sharp=20.0), lexicon, weight=0.1, closed=False)[0]
    assert (blank.text, blank.spans) == ("", [])


def test_open_with_weight_0_is_the_best_of_the_beam():
    lexicon = Lexicon(["ab", "bba"], TOKENIZER)
    logits = random_logits(6, 5, n=8, seed=3)
    logits[:, :, 1:3] = -50.0
    for i, reading in enumerate(lexicon_decode(logits, lexicon, closed=False)):
        lp = logits[:, i].log_softmax(-1)
        texts = ["".join(w) for length in range(5) for w in product("ab", repeat=length)]
        best = max(texts, key=lambda text: lattice.forward_lattice(lp, TOKENIZER.encode(text))[1])
        assert reading.text == best


def test_spans():
    reading = lexicon_decode(logits_for("-AAN-NNA--"), Lexicon(NAMES, LETTERS), widths=[200])[0]
    assert [(s.text, s.start, s.end) for s in reading.spans] == [
        ("A", 20, 60), ("N", 60, 80), ("N", 100, 140), ("A", 140, 160)
    ]  # fmt: skip
    assert all(0.9 < s.confidence < 1 for s in reading.spans)


def test_steps_leave_out_the_padding():
    lexicon = Lexicon(NAMES, LETTERS)
    short, long = logits_for("-L-E-O-"), logits_for("-N-A-T-H-A-N-")
    padded = torch.cat([short, random_logits(6, LETTERS.num_classes).float() * 20])
    alone = lexicon_decode(short, lexicon, weight=0.3) + lexicon_decode(long, lexicon, weight=0.3)
    for closed in (True, False):
        batch = lexicon_decode(
            torch.cat([padded, long], 1), lexicon, weight=0.3, closed=closed, steps=torch.tensor([7, 13])
        )
        assert [(r.text, r.spans) for r in batch] == [(r.text, r.spans) for r in alone]
    assert batch[0].log_prob == pytest.approx(alone[0].log_prob)


def test_what_cannot_be_read_is_set_aside():
    lexicon = Lexicon(["ANNA", "", "ZO\u00cb", "ANNA", "LEO"], LETTERS)
    assert (lexicon.words, lexicon.counts.tolist(), len(lexicon)) == (["ANNA", "LEO"], [2, 1], 2)
    assert lexicon.rejected == {"": "is empty", "ZO\u00cb": "has 'Ë' (U+00CB), which is not in the alphabet"}
    assert "ANNA" in lexicon and "ZO\u00cb" not in lexicon
    assert np.exp(lexicon.log_priors) == pytest.approx([3 / 5, 2 / 5])
    assert lexicon.unknown_share == pytest.approx(2 / 5)
    assert Lexicon({"ANNA": 0, "LEO": 0}, LETTERS).unknown_share == 0.5


def test_bad_input_is_refused():
    lexicon = Lexicon(["LEO"], LETTERS)
    logits = logits_for("-L-E-O-")
    with pytest.raises(ValueError, match="no word that can be read: the list is empty"):
        Lexicon([], LETTERS)
    with pytest.raises(ValueError, match="no word that can be read: 'Ë' has 'Ë'"):
        Lexicon(["\u00cb"], LETTERS)
    with pytest.raises(ValueError, match="29 classes and the tokenizer 5"):
        lexicon_decode(logits, Lexicon(["ab"], TOKENIZER))
    with pytest.raises(ValueError, match="NaN"):
        lexicon_decode(logits * math.nan, lexicon)
    with pytest.raises(ValueError, match="2 steps for 1 images"):
        lexicon_decode(logits, lexicon, steps=[7, 7])
    with pytest.raises(ValueError, match="steps has 8.*between 1 and 7"):
        lexicon_decode(logits, lexicon, steps=[8])
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="weight="):
            lexicon_decode(logits, lexicon, weight=weight)
    with pytest.raises(ValueError, match="unknown_share=1.0"):
        lexicon_decode(logits, lexicon, unknown_share=1.0)
    assert lexicon_decode(logits[:, :0], lexicon) == []


def test_real_names():
    folder = os.environ.get("OCRKIT_REAL_DATA")
    if not folder:
        pytest.skip("OCRKIT_REAL_DATA is not set to the folder of the real data sets")
    lines = (Path(folder) / "names" / "name_frequencies.tsv").read_text(encoding="utf-8").splitlines()[1:]
    counts = {name: int(count) for name, count in (line.split("\t") for line in lines)}
    tokenizer = Tokenizer.from_texts(counts)
    lexicon = Lexicon(counts, tokenizer)
    assert len(lexicon) > 20_000 and not lexicon.rejected
    lp = random_logits(80, tokenizer.num_classes)[:, 0].log_softmax(-1)
    found = lexicon.log_probs(lp)
    for i in range(0, len(lexicon), 500):
        assert found[i] == pytest.approx(torch_log_prob(lp, tokenizer.encode(lexicon.words[i])))


def test_right_to_left_words_are_logical():
    persian = Tokenizer.from_name("persian")
    words, lexicon = ["مدیر", "(مدیر)", "شماره ۱۲"], Lexicon(["مدیر", "(مدیر)", "شماره ۱۲"], persian)
    for word in words:
        codes = persian.encode(word)
        logits = torch.zeros(len(codes) + 1, 1, persian.num_classes)
        logits[range(len(codes)), 0, codes] = 9.0
        logits[-1, 0, 0] = 9.0
        (reading,) = lexicon_decode(logits, lexicon)
        assert reading.text == word and len(reading.spans) == len(word)
        assert reading.spans[-1].text == word[0] or word.endswith("۲")  # the first letter stands at the right
        (unknown,) = lexicon_decode(logits, Lexicon(["تهران"], persian), weight=0.1, closed=False)
        assert unknown.text == word == beam_candidates(logits[:, 0], persian, 5)[0][0]
