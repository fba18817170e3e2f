"""Choosing a decoder: by name, in `Recognizer.read`, and on the command line with the shipped models."""

import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from ocrkit.__main__ import main
from ocrkit.ctc.beam import beam_decode
from ocrkit.ctc.decoding import DECODERS, make_decoder
from ocrkit.ctc.lexicon import Lexicon, lexicon_decode
from ocrkit.data.samples import load_samples
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.alphabets import plate_kind
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.text.words import read_words

NEW = ["log_prob", "runner_up", "margin"]


@pytest.fixture(scope="module")
def plates():
    return load_samples("plates", split="test").head(12)


@pytest.fixture(scope="module")
def names():
    return load_samples("names", split="test").head(6)


@pytest.fixture(scope="module")
def reader():
    return Recognizer.load("plates", device="cpu")


@pytest.fixture
def words(tmp_path, names):
    """The names of the sample, and two that cannot be read."""
    path = tmp_path / "words.txt"
    path.write_text("\n".join([*names["text"], "", "ZOË", "ÉVA"]), encoding="utf-8")
    return path


# --- Recognizer.read ---


@pytest.mark.parametrize("kind", ["beam", "pattern"])
def test_read_with_a_decoder(reader, plates, kind):
    greedy = reader.read(plates)
    results = reader.read(plates, decoder=make_decoder(kind, reader.tokenizer))
    assert [c for c in results if c not in greedy] == NEW
    assert (results["prediction"] == greedy["prediction"]).mean() > 0.8
    assert results["log_prob"].between(-50, 0).all() and results["margin"].gt(0).all()
    assert (results["runner_up"] != results["prediction"]).all()
    for row in results.itertuples():
        assert "".join(s.text for s in row.spans) == row.prediction
        assert all(0 <= s.start < s.end for s in row.spans)
    if kind == "pattern":
        assert results["prediction"].map(plate_kind).notna().all()


def test_spans_are_pixels_of_the_image_where_images_are_padded(names):
    reader = Recognizer.load("names", device="cpu")
    assert reader.resize == "pad"
    greedy = reader.read(names)
    results = reader.read(names, decoder=partial(beam_decode, tokenizer=reader.tokenizer))
    same = results["prediction"] == greedy["prediction"]
    assert same.any()
    for a, b in zip(results["spans"][same], greedy["spans"][same]):
        # The best path and the best alignment may differ by a step or two.
        assert np.allclose([s.start for s in a], [s.start for s in b], atol=12)


def test_a_lexicon_decoder_and_one_word(reader, plates):
    lexicon = Lexicon(plates["text"].head(1).tolist(), reader.tokenizer)
    results = reader.read(plates.head(2), decoder=partial(lexicon_decode, lexicon=lexicon))
    assert results["prediction"].eq(plates["text"].iloc[0]).all()
    assert results["runner_up"].eq("").all() and np.isinf(results["margin"]).all()


def test_unread_images_and_no_images(reader, plates, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    table = pd.DataFrame({"image": [str(tmp_path / "bad.png"), plates["image"].iloc[0]]})
    decoder = make_decoder("beam", reader.tokenizer)
    results = reader.read(table, decoder=decoder)
    assert results.loc[0, NEW].tolist() == [-math.inf, "", 0.0] and results["error"][0]
    assert results["prediction"][1] and not results["error"][1]
    assert set(NEW) <= set(reader.read(table.head(0), decoder=decoder).columns)


# --- make_decoder ---


def test_make_decoder_by_name(reader):
    assert make_decoder("greedy", reader.tokenizer) is None
    for kind in DECODERS[1:]:
        assert callable(make_decoder(kind, reader.tokenizer, lexicon={"皖A25V59": 1}))


def test_make_decoder_refuses():
    letters = Tokenizer.from_name("names")
    with pytest.raises(ValueError, match="no decoder is named 'best'; there are: greedy, beam, lexicon, pattern"):
        make_decoder("best", letters)
    with pytest.raises(ValueError, match="its words are needed"):
        make_decoder("lexicon", letters)
    with pytest.raises(ValueError, match="the weight must be above 0"):
        make_decoder("lexicon", letters, ["ANNA"], closed=False)
    with pytest.raises(ValueError, match="weight=-1"):
        make_decoder("lexicon", letters, ["ANNA"], weight=-1)
    with pytest.raises(ValueError, match="no pattern fits the alphabet of this model.*there are: plates"):
        make_decoder("pattern", letters)
    with pytest.raises(ValueError, match="alphabet lacks all characters"):
        make_decoder("pattern", letters, pattern="plates")


def test_read_words(tmp_path):
    path = tmp_path / "words"
    for content, wanted in [
        ("ANNA\nLEO\n\nANNA\n", {"ANNA": 2, "LEO": 1}),
        ("name\tcount\nANNA\t7\nLE GALL\t3\n", {"ANNA": 7, "LE GALL": 3}),
        ("ANNA\t7\nNULL\t3\n", {"ANNA": 7, "NULL": 3}),  # the first line is no heading
        ("\ufeffZOE\u0308\r\nNA\r\n", {"ZO\u00cb": 1, "NA": 1}),
    ]:
        path.write_text(content, encoding="utf-8")
        assert read_words(path) == wanted
    path.write_text("\n \n")
    with pytest.raises(ValueError, match="has no words: give one a line"):
        read_words(path)
    path.write_text("name\tcount\nANNA\tmany\n")
    with pytest.raises(ValueError, match="line 2 of .*'ANNA.*many'"):
        read_words(path)
    path.write_bytes(b"ZO\xcb\n")
    with pytest.raises(ValueError, match="is not a text file in UTF-8"):
        read_words(path)


# --- the command line ---


@pytest.mark.parametrize("kind", ["beam", "pattern"])
def test_read_prints_what_nearly_won(kind, plates, capsys):
    images = plates["image"].head(2).tolist()
    assert main(["read", "plates", *images, "--decode", kind]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [len(line) for line in lines] == [6, 6] and [line[0] for line in lines] == images
    assert main(["read", "plates", *images, "--decode", kind, "--json"]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, fact in zip(lines, facts):
        assert line[1] == fact["text"] and line[4] == fact["runner_up"] != fact["text"]
        assert float(line[3]) == pytest.approx(fact["log_prob"], abs=1e-3)
        assert float(line[5]) == pytest.approx(fact["margin"], abs=1e-3)


def test_read_with_words_reports_those_left_out(names, words, capsys):
    image, text = names["image"].iloc[0], names["text"].iloc[0]
    assert main(["read", "names", image, "--decode", "lexicon", "--lexicon", str(words), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["text"] == text
    assert f"{words}: 2 of {names['text'].nunique() + 2} words are left out: 'ZOË' has 'Ë' (U+00CB)" in err
    settings = ["--decode", "lexicon", "--lexicon", str(words), "--weight", "0.2", "--open"]
    assert main(["read", "names", image, *settings]) == 0
    assert len(capsys.readouterr().out.split("\t")) == 6


def test_json_has_no_infinity(plates, tmp_path, capsys):
    (tmp_path / "one.txt").write_text("皖A25V59\n", encoding="utf-8")
    settings = ["--decode", "lexicon", "--lexicon", str(tmp_path / "one.txt"), "--json"]
    assert main(["read", "plates", plates["image"].iloc[0], *settings]) == 0
    out = capsys.readouterr().out
    assert "Infinity" not in out
    facts = json.loads(out)
    assert (facts["text"], facts["runner_up"], facts["margin"]) == ("皖A25V59", "", None)


def test_evaluate_with_a_decoder(capsys, tmp_path):
    out = tmp_path / "results.csv"
    arguments = ["evaluate", "plates", "plates", "--split", "test", "--decode", "pattern", "--json", "--out", str(out)]
    assert main(arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["decode"] == "pattern" and facts["accuracy"] > 0.8
    assert set(NEW) <= set(pd.read_csv(out).columns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plates", "--decode", "lexicon"], "--decode lexicon needs the words: --lexicon FILE"),
        (["plates", "--decode", "lexicon", "--lexicon", "/no/such/file"], "/no/such/file"),
        (["plates", "--decode", "lexicon", "--lexicon", "EMPTY"], "has no words"),
        (["plates", "--decode", "lexicon", "--lexicon", "LATIN"], "no word that can be read: 'zebra' has 'z' (U+007A)"),
        (["plates", "--decode", "lexicon", "--lexicon", "PLATE", "--open"], "the weight must be above 0"),
        (["plates", "--decode", "lexicon", "--lexicon", "PLATE", "--weight", "-1"], "weight=-1.0"),
        (["plates", "--decode", "pattern", "--pattern", "cars"], "no pattern is named 'cars'; there are: plates"),
        (["names", "--decode", "pattern"], "no pattern fits the alphabet of this model"),
        (["names", "--decode", "pattern", "--pattern", "plates"], "alphabet lacks all characters"),
        (["plates", "--weight", "1"], "--weight is of use with --decode lexicon only, and this is --decode greedy"),
        (["plates", "--decode", "beam", "--open"], "--open is of use with --decode lexicon only"),
        (["plates", "--decode", "beam", "--pattern", "plates"], "--pattern is of use with --decode pattern only"),
        (["letters", "--decode", "beam"], "letters is a LetterReader"),
        (["persian-glyphs", "--decode", "beam"], "persian-glyphs is a GlyphClassifier"),
    ],
)
@pytest.mark.parametrize("verb", ["read", "evaluate"])
def test_messages(verb, arguments, message, plates, tmp_path, capsys):
    files = {"EMPTY": "\n", "LATIN": "zebra\n", "PLATE": "皖A25V59\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    model, *options = [str(tmp_path / a) if a in files else a for a in arguments]
    what = plates["image"].iloc[0] if verb == "read" else "plates"
    assert main([verb, model, what, *options]) == 2
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in err and not out
