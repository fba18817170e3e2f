"""The Tokenizer, its CTC collapse, and the named alphabets."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.text.alphabets import ALPHABETS, DIGITS, PLATE_LETTERS, PLATE_MARKS, PROVINCES, plate_kind
from ocrkit.text.strings import names_text, normalize, quote
from ocrkit.text.tokenizer import Tokenizer

PLATES = Tokenizer.from_name("plates")
BLANK, OOV, PAD = Tokenizer.BLANK, Tokenizer.OOV, Tokenizer.PAD
plate_texts = st.text(PLATES.alphabet, max_size=12)


# ------------------------------------------------------------------ alphabets


def test_classes_of_the_two_plate_systems():
    assert (BLANK, OOV, PAD) == (0, 1, 2)
    sizes = {"digits": 10, "names": 29, "plates": 73, "plates-resnet": 66, "plates-vgg": 67, "look-alikes": 100}
    sizes |= {"persian-dates": 13, "persian": 57}
    assert {name: len(alphabet) for name, alphabet in ALPHABETS.items()} == sizes
    for name, size in sizes.items():
        tokenizer = Tokenizer.from_name(name)
        assert tokenizer.num_classes == size + 3
        assert list(tokenizer.alphabet) == sorted(set(tokenizer.alphabet))
        assert [tokenizer.encode(c) for c in tokenizer.alphabet if c not in "()"] == [
            [k] for k, c in enumerate(tokenizer.alphabet, start=3) if c not in "()"
        ]


def test_characters_of_the_plate_alphabets():
    assert len(PROVINCES) == len(set(PROVINCES)) == 31
    assert len(PLATE_LETTERS) == 24 and not set("IO") & set(PLATE_LETTERS)
    assert "O" in ALPHABETS["plates-resnet"] and "O" not in ALPHABETS["plates-vgg"]
    assert not set(PLATE_MARKS) & set(ALPHABETS["plates-resnet"])
    assert set(PLATE_MARKS) & set(ALPHABETS["plates-vgg"]) == {"警", "学"}
    assert set(ALPHABETS["plates-resnet"]) | set(ALPHABETS["plates-vgg"]) < set(ALPHABETS["plates"])
    assert all(normalize(alphabet) == alphabet for alphabet in ALPHABETS.values())


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("LE BOEUF", "LE BOEUF"),
        (" Zoé  Le Bœuf\t", "ZOE LE BOEUF"),
        ("Noe\u0308l-Çağla", "NOEL-CAGLA"),
        ("D’Ælst – Ørsted`s", "D'AELST - ORSTED'S"),
        ("ÉMILE\u00a0łuk", "EMILE LUK"),
        ("Weiß", "WEISS"),
        ("NULL", "NULL"),
        ("12.0", "12.0"),
        (" ", ""),
    ],
)
def test_names_text(label, text):
    assert names_text(label) == names_text(text) == text


def test_the_alphabet_of_names():
    assert ALPHABETS["names"] == " '-ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@given(st.text(max_size=12))
def test_names_text_is_done_after_once(label):
    text = names_text(label)
    assert names_text(text) == text == normalize(text).strip()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("皖A25V59", "standard"),
        ("京AD12345", "new energy"),
        ("粤B12345D", "new energy"),
        ("京A1234警", "marked"),
        ("粤Z1234港", "marked"),
        ("使123456", "embassy"),
        ("皖A25V5", None),
        ("皖A25V599X", None),
        ("皖A2IV59", None),
        ("A皖25V59", None),
        ("x皖A25V59", None),
        ("", None),
    ],
)
def test_plate_kind(text, kind):
    assert plate_kind(text) == kind


# ------------------------------------------------------------------ there and back


@given(plate_texts)
def test_round_trip(text):
    codes = PLATES.encode(text)
    assert len(codes) == len(text)
    assert PLATES.decode(codes) == text
    assert PLATES.missing(text) == []


@given(st.text(max_size=12), plate_texts)
def test_round_trip_over_any_alphabet_that_is_built_from_texts(text, other):
    if text + other:
        tokenizer = Tokenizer.from_texts([text, other])
        assert tokenizer.decode(tokenizer.encode(text)) == normalize(text)
        assert tokenizer.decode_batch(tokenizer.encode_batch([other, text])[0]) == [other, normalize(text)]


@given(st.lists(plate_texts, max_size=6))
def test_batches_are_rectangles_with_true_lengths(texts):
    rows, lengths = PLATES.encode_batch(texts)
    assert lengths == [len(t) for t in texts]
    assert all(len(row) == max(lengths) for row in rows)
    for row, length, text in zip(rows, lengths, texts, strict=True):
        assert row[:length] == PLATES.encode(text)
        assert set(row[length:]) <= {PAD}
    assert PLATES.decode_batch(rows) == texts


# ------------------------------------------------------------------ CTC


@given(plate_texts, st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_a_path_with_blanks_between_collapses_to_its_text(text, repeats):
    path = [BLANK]
    for code, times in zip(PLATES.encode(text), repeats[: len(text)], strict=True):
        path += [code] * times + [BLANK]
    assert PLATES.decode(path, collapse=True) == text


def test_repeats_need_a_blank_between():
    one, two = PLATES.encode("12")
    assert PLATES.decode([one, one, two], collapse=True) == "12"
    assert PLATES.decode([one, BLANK, one, two], collapse=True) == "112"
    assert PLATES.decode([one, one, two]) == "112"  # labels are not paths
    assert PLATES.decode_batch([[one, one], [one, BLANK, one]], collapse=True) == ["1", "11"]


def test_blank_oov_and_pad_give_nothing_but_part_repeats():
    one = PLATES.encode("1")[0]
    for special in (BLANK, OOV, PAD):
        assert PLATES.decode([special]) == ""
        assert PLATES.decode([one, special, one], collapse=True) == "11"
    assert PLATES.decode([], collapse=True) == ""


@given(st.lists(st.integers(0, PLATES.num_classes - 1), max_size=20))
def test_collapse_merges_first_and_removes_then(path):
    letters = "".join(chr(0x4000 + c) for c in path)
    merged = re.sub(r"(.)\1+", r"\1", letters)
    expected = "".join(PLATES.alphabet[ord(c) - 0x4000 - 3] for c in merged if ord(c) - 0x4000 >= 3)
    assert PLATES.decode(path, collapse=True) == expected


@pytest.mark.parametrize("wrong", [-1, 76, 1000])
def test_a_class_out_of_range(wrong):
    with pytest.raises(ValueError, match=rf"class {wrong} is not in 0\.\.75.*another alphabet"):
        PLATES.decode([3, wrong])


def test_decode_takes_tensors_and_arrays():
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    codes = PLATES.encode("京A1")
    assert PLATES.decode(numpy.array(codes)) == "京A1"
    assert PLATES.decode_batch(torch.tensor([codes, codes])) == ["京A1", "京A1"]


# ------------------------------------------------------------------ characters that the alphabet lacks


def test_an_unknown_character_is_named():
    with pytest.raises(ValueError) as caught:
        PLATES.encode("皖A·25V59·I")
    message = str(caught.value)
    for part in ("'皖A·25V59·I'", "'·' (U+00B7), 'I' (U+0049)", 'unknown="drop"', "add it to the alphabet"):
        assert part in message
    with pytest.raises(ValueError, match=re.escape("'·' (U+00B7)")):
        PLATES.encode_batch(["皖A25V59", "皖A·25V59"])
    assert PLATES.missing("皖A·25V59·I") == ["·", "I"]


def test_unknown_drop_and_oov():
    dropping = Tokenizer.from_name("plates", unknown="drop")
    assert dropping.encode("皖A·25") == PLATES.encode("皖A25")
    assert dropping.encode("···") == []
    marking = Tokenizer.from_name("plates", unknown="oov")
    assert marking.encode("皖·A") == [*PLATES.encode("皖"), OOV, *PLATES.encode("A")]
    assert marking.decode(marking.encode("皖·A")) == "皖A"
    with pytest.raises(ValueError, match='unknown=\'skip\'.*"error", "drop" or "oov"'):
        Tokenizer("ab", unknown="skip")


# ------------------------------------------------------------------ Unicode


def test_labels_are_encoded_in_nfc():
    tokenizer = Tokenizer("eé")
    assert tokenizer.encode("e\u0301") == tokenizer.encode("é") == [4]
    assert tokenizer.decode(tokenizer.encode("e\u0301e")) == "ée"
    assert tokenizer.missing("e\u0301") == []
    assert Tokenizer.from_texts(["e\u0301"]).alphabet == "é"


def test_texts_do_not_run_into_one_another():
    # An accent at the start of a text has nothing to join; the text before it must not lend its last letter.
    tokenizer = Tokenizer.from_texts(["e", "\u0301x"])
    assert tokenizer.alphabet == "ex\u0301"
    assert tokenizer.decode(tokenizer.encode("\u0301x")) == "\u0301x"


def test_an_alphabet_may_hold_accents_that_join_no_letter():
    # Sorted, the circumflex follows the z, and both together would be ẑ. Of x̂ there is no single code point.
    tokenizer = Tokenizer.from_texts(["x\u0302", "z"])
    assert tokenizer.alphabet == "xz\u0302"
    assert tokenizer.decode(tokenizer.encode("x\u0302z")) == "x\u0302z"


# ------------------------------------------------------------------ building and saving


characters_in_nfc = st.characters().filter(lambda c: normalize(c) == c)


@given(st.sets(characters_in_nfc, min_size=1), st.sampled_from(["error", "drop", "oov"]))
def test_saving_and_loading(characters, unknown):
    tokenizer = Tokenizer("".join(sorted(characters)), unknown)
    loaded = Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert loaded == tokenizer and hash(loaded) == hash(tokenizer)
    assert loaded.unknown == unknown
    assert loaded.encode(loaded.alphabet[-1]) == tokenizer.encode(tokenizer.alphabet[-1])


def test_equality_is_alphabet_and_mode():
    assert Tokenizer("ab") == Tokenizer("ab") == Tokenizer.from_texts(["ba", "a"])
    assert Tokenizer("ab") != Tokenizer("ba")
    assert Tokenizer("ab") != Tokenizer("ab", unknown="drop")
    assert Tokenizer("ab") != "ab"
    assert Tokenizer.from_dict({"alphabet": "ab"}) == Tokenizer("ab")


@pytest.mark.parametrize(
    ("alphabet", "words"),
    [
        ("", "the alphabet is empty"),
        ("abcab", "'a' (U+0061), 'b' (U+0062) more than once"),
        ("a\u212b", "'\u212b' (U+212B), which is not in NFC"),
    ],
)
def test_alphabets_that_cannot_be(alphabet, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Tokenizer(alphabet)


def test_building_from_nothing_or_an_unknown_name():
    with pytest.raises(ValueError, match="the alphabet is empty"):
        Tokenizer.from_texts(["", ""])
    with pytest.raises(ValueError, match="'plate'; there are: digits, plates, plates-resnet, plates-vgg"):
        Tokenizer.from_name("plate")


def test_what_is_shown():
    assert quote("·I") == "'·' (U+00B7), 'I' (U+0049)"
    expected = "Tokenizer('0123456789', 10 characters, num_classes=13, unknown='error')"
    assert repr(Tokenizer(DIGITS)) == expected
    assert "..." in repr(PLATES) and len(repr(PLATES)) < 120


# ------------------------------------------------------------------ right to left

PERSIAN = Tokenizer.from_name("persian")
lines = st.text(PERSIAN.alphabet, max_size=12)


def test_classes_follow_each_other_as_on_paper():
    assert (PERSIAN.order, PLATES.order, Tokenizer.from_name("persian-dates").order) == ("visual", "logical", "logical")
    shown = "".join(PERSIAN.alphabet[c - 3] for c in PERSIAN.encode("شماره: ۱۲/د (۵)"))
    assert shown == "(۵) د/۱۲ :هرامش" == PERSIAN.on_paper("شماره: ۱۲/د (۵)")
    assert PERSIAN.decode(PERSIAN.encode("شماره: ۱۲/د (۵)")) == "شماره: ۱۲/د (۵)"
    rows, lengths = PERSIAN.encode_batch(["۱۲", "آب"])
    assert lengths == [2, 2] and PERSIAN.decode_batch(rows) == ["۱۲", "آب"]


@given(lines)
def test_texts_are_logical_on_both_sides(text):
    assert PERSIAN.decode(PERSIAN.encode(text)) == text
    codes = [c for code in PERSIAN.encode(text) for c in (code, BLANK)]
    assert PERSIAN.decode(codes, collapse=True) == text


@given(st.text(PERSIAN.alphabet + "abé京\u0301\n", max_size=12))
def test_what_a_right_to_left_alphabet_lacks(text):
    drop, oov = (Tokenizer(PERSIAN.alphabet, unknown, "visual") for unknown in ("drop", "oov"))
    known = "".join(c for c in normalize(text) if c in PERSIAN.alphabet)
    assert drop.decode(drop.encode(text)) == known
    assert oov.encode(text).count(OOV) == len(normalize(text)) - len(known)


def test_order_is_kept_and_old_settings_have_none():
    assert Tokenizer.from_dict(json.loads(json.dumps(PERSIAN.to_dict()))) == PERSIAN
    assert Tokenizer.from_dict({"alphabet": "ab", "unknown": "error"}) == Tokenizer("ab")
    assert Tokenizer(PERSIAN.alphabet) != PERSIAN and "order='visual'" in repr(PERSIAN)
    with pytest.raises(ValueError, match="order='rtl': it must be"):
        Tokenizer("ab", order="rtl")
    with pytest.raises(ValueError, match="'a' .U.0061.* is a letter of a left-to-right script"):
        Tokenizer("ابa", order="visual")
