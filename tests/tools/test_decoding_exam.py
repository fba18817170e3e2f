"""The exam of decoders and confidences: what is measured, on shipped images, and its tables."""

import json

import pandas as pd
import pytest

import ocrkit as ok
from ocrkit.ctc.lexicon import Lexicon
from ocrkit.errors.calibration import accept_reject, threshold_for
from tools.benchmarks.decoding import (
    CONFIDENCES,
    Seen,
    compare,
    look,
    markdown,
    name_decoders,
    plate_decoders,
    splits,
    trust,
)


@pytest.fixture(scope="module")
def plates_seen(reader):
    samples = ok.load_samples("plates")
    return look(reader, samples.head(20)), look(reader, samples.tail(20))


@pytest.fixture(scope="module")
def part(reader, plates_seen):
    valid, test = plates_seen
    decoders = compare(plate_decoders(reader.tokenizer), test)
    return {"n": 20, "valid_n": 20, "decoders": decoders, "trust": trust(reader.tokenizer, valid, test)}


def test_figures_of_decoders(part, reader, plates_seen):
    greedy = part["decoders"]["greedy"]
    read = [r.text for r in ok.greedy_decode(plates_seen[1].logits, reader.tokenizer)]
    assert greedy["accuracy"]["value"] == pytest.approx(sum(map(str.__eq__, read, plates_seen[1].texts)) / 20)
    assert greedy["accuracy"]["n"] == 20 and greedy["times_greedy"] == 1
    assert list(part["decoders"]) == ["greedy", "beam", "pattern"]


def test_figures_of_confidences(part, reader, plates_seen):
    kept = part["trust"]
    assert len(kept["rows"]) == 2 * len(CONFIDENCES)
    assert [row["temperature"] for row in kept["rows"]] == [1.0] * 4 + [kept["temperature"]] * 4
    none = {"accepted": 0, "wrong": 0}  # 20 readings are no proof of 2%, even if all are right
    assert [kept["rows"][0]["gates"][limit] for limit in ("0.02", "0.01")] == [none, none]


def test_a_gate_is_set_on_validation_images_and_measured_on_others(reader, plates_seen):
    logits, steps, _ = plates_seen[0]
    read = [r.text for r in ok.greedy_decode(logits, reader.tokenizer)]  # as if all of them were right
    valid = Seen(logits.repeat(1, 6, 1), steps * 6, read * 6)
    known, table = (ok.confidences(seen.logits, reader.tokenizer, seen.steps) for seen in (valid, plates_seen[1]))
    threshold = threshold_for(accept_reject(known["weakest"], known["text"] == valid.texts), 0.05)
    gate = trust(reader.tokenizer, valid, plates_seen[1])["rows"][0]["gates"]["0.05"]
    accepted = table["weakest"] >= threshold
    assert 0 < gate["accepted"] == accepted.sum()
    assert gate["wrong"] == (accepted & (table["text"] != plates_seen[1].texts)).sum()


def test_weights_are_chosen_on_validation_images():
    reader = ok.Recognizer.load("names", device="cpu")
    seen = look(reader, ok.load_samples("names").head(6))
    decoders, weights = name_decoders(reader.tokenizer, Lexicon(dict.fromkeys(seen.texts, 2), reader.tokenizer), seen)
    assert set(weights) == {"lexicon, by frequency", "any text, by frequency"} <= set(decoders)
    rows = compare(decoders, seen)
    assert rows["lexicon"]["accuracy"]["value"] >= rows["greedy"]["accuracy"]["value"]
    assert rows["lexicon"]["times_greedy"] > 0


def test_both_splits_are_there_even_for_a_folder_that_is_one(tmp_path):
    samples = ok.load_samples("plates").head(60)
    rows = pd.DataFrame({"file_name": samples["image"], "text": samples["text"], "split": "train"})
    rows.to_csv(tmp_path / "plates.csv", index=False)
    valid, test = splits(str(tmp_path / "plates.csv"), 9)
    assert 0 < len(valid) <= 9 and len(test) == 9 and not set(valid["text"]) & set(test["text"])


def test_tables_and_record(part):
    names = part | {"weights": {"lexicon, by frequency": 0.5}, "words": 1234, "in_lexicon": 0.6}
    result = {"tasks": {"Plates": part, "Names": names}}
    page = markdown(json.loads(json.dumps(result)))
    assert "## Plates" in page and "| pattern | " in page and "| P(text) | 1.00 | " in page
    assert "The list has 1,234 words, and 60% of the images show one." in page and "lexicon, by frequency: 0.5" in page
    assert "| none | none |" in page
