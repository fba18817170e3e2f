"""examine finds each patient of the clinic by its own test, and finds nothing where all is well."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import ocrkit as ok
from ocrkit.errors.clinic import COLUMNS, CURES, TESTS, examine
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.tokenizer import Tokenizer

ALL = ["labels", *TESTS]


@pytest.fixture(scope="module")
def samples():
    whole = ok.load_samples("plates")
    return pd.concat([whole[whole.split == "train"].head(30), whole[whole.split == "test"].head(20)])


@pytest.fixture
def patient(reader):
    """A copy of the healthy reader of plates, to be made ill."""
    return Recognizer(copy.deepcopy(reader.model), reader.tokenizer, reader.mode, "cpu")


def ill(table):
    return table.loc[~table["ok"], "check"].tolist()


def finding(table, check):
    return table.set_index("check").loc[check, "finding"]


def move_classes(recognizer, order):
    """Class k of the model becomes what was class order[k]."""
    last = recognizer.model.classifier[-1]
    with torch.no_grad():
        last.weight.copy_(last.weight[order])
        last.bias.copy_(last.bias[order])


@pytest.mark.parametrize("name", ["plates", "names"])
def test_shipped_models_are_healthy(name, capsys):
    reader = ok.Recognizer.load(name, device="cpu")
    before = {key: value.clone() for key, value in reader.model.state_dict().items()}
    table = ok.examine(reader, ok.load_samples(name).groupby("split").head(60), n=12)
    assert list(table.columns) == COLUMNS and table["check"].tolist() == ALL
    assert ill(table) == [] and (table["cure"] == "").all()
    assert capsys.readouterr().out.count("OK ") == len(ALL)
    assert all(torch.equal(value, before[key]) for key, value in reader.model.state_dict().items())
    assert not reader.model.training


def test_every_test_has_its_cure_and_prints_ill(patient, samples, capsys):
    assert set(CURES) == set(ALL)
    patient.model.train()
    table = examine(patient, samples, n=4)
    assert table.set_index("check").loc["neighbors", "cure"] == CURES["neighbors"]
    assert "ILL  neighbors" in capsys.readouterr().out
    assert patient.model.training  # left as it was


def test_a_silent_model(patient, samples):
    with torch.no_grad():
        patient.model.classifier[-1].bias[Tokenizer.BLANK] += 100
    table = examine(patient, samples)
    assert "speaks" in ill(table) and "blank index" not in ill(table)
    assert "100% of the readings are empty" in finding(table, "speaks")


def test_a_model_that_always_says_the_same(patient, samples):
    with torch.no_grad():
        patient.model.classifier[-1].weight.zero_()
        patient.model.classifier[-1].bias[5] = 9
    assert "speaks" in ill(examine(patient, samples))


def test_the_blank_at_the_end(patient, samples):
    classes = patient.tokenizer.num_classes
    move_classes(patient, [*range(1, classes), 0])  # as trained elsewhere, with the blank as the last class
    table = examine(patient, samples)
    assert "blank index" in ill(table)
    assert f"{patient.tokenizer.alphabet[-1]!r} stands between" in finding(table, "blank index")


def test_padding_that_was_learned(patient, samples):
    move_classes(patient, [Tokenizer.PAD, 1, Tokenizer.BLANK, *range(3, patient.tokenizer.num_classes)])
    table = examine(patient, samples)
    assert ill(table)[0] == "padding" and "PAD" in finding(table, "padding")


def test_a_label_that_is_longer_than_the_time_steps(reader, samples):
    long = samples.assign(text=["皖A" + "8" * 40, *samples["text"].iloc[1:]])
    table = examine(reader, long)
    assert ill(table) == ["time steps"] and "1 of 50 labels need more than the 32" in finding(table, "time steps")


def test_padded_images_have_steps_of_their_own():
    reader = ok.Recognizer.load("names", device="cpu")
    narrow = pd.DataFrame({"image": [np.full((40, 60), 255, np.uint8)], "text": ["MAXIMILIAN"]})
    narrow.at[0, "image"][10:30, 10:20] = 0
    table = examine(reader, narrow)
    assert "time steps" in ill(table) and "1 of 1 more than their image has" in finding(table, "time steps")


def test_lost_running_statistics(patient, samples):
    for module in patient.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    assert "batch statistics" in ill(examine(patient, samples))


def test_batch_norm_that_keeps_no_statistics(patient, samples):
    for module in patient.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
            module.track_running_stats = False
    assert "neighbors" in ill(examine(patient, samples))


def test_a_model_without_batch_norm():
    class Plain(ok.CRNN):
        def __init__(self, classes):
            super().__init__(classes)
            self.features = nn.Sequential(*(m for m in self.features if not isinstance(m, nn.BatchNorm2d)))

    tokenizer = Tokenizer.from_name("plates")
    reader = Recognizer(Plain(tokenizer.num_classes).eval(), tokenizer, device="cpu")
    table = examine(reader, ok.load_samples("plates").head(2))
    assert "no batch normalization" in finding(table, "batch statistics")


def test_a_model_trained_on_bytes(patient, samples):
    conv, norm = patient.model.features[0], patient.model.features[1]
    with torch.no_grad():  # the same model for pixels 0..255: w(x / 127.5 - 1) = (w / 127.5) x - sum of w
        norm.running_mean += conv.weight.sum((1, 2, 3))
        conv.weight /= 127.5
    table = examine(patient, samples)
    assert "pixel range" in ill(table) and "0..255" in finding(table, "pixel range")


def test_images_that_were_divided_by_255(reader, samples):
    dark = samples.assign(image=[np.ones((32, 128, 3), np.uint8) for _ in range(len(samples))])
    table = examine(reader, dark)
    assert "pixel range" in ill(table) and "divided by 255" in finding(table, "pixel range")


def test_reversed_labels(reader, samples):
    turned = samples.assign(text=samples["text"].str[::-1])
    table = examine(reader, turned)
    assert ill(table) == ["reading order"]


def test_persian_labels_as_typed():
    tokenizer = Tokenizer.from_name("persian")
    typed = Tokenizer(tokenizer.alphabet, order="logical")
    table = ok.render_words(4, size=(32, 128))
    images, rows = table
    rows = rows.assign(image=list(images), text="مورخ")
    reader = Recognizer(ok.CRNN(typed.num_classes).eval(), typed, device="cpu")
    found = examine(reader, rows)
    assert "reading order" in ill(found) and "4 labels from right to left" in finding(found, "reading order")


def test_texts_and_images_in_two_splits(reader, samples):
    train, test = samples[samples.split == "train"], samples[samples.split == "test"]
    table = examine(reader, pd.concat([train, test, train.head(3).assign(split="test")]))
    assert ill(table) == ["splits"]
    assert finding(table, "splits").startswith("3 of 23 test labels and 3 of 23 test images")


def test_one_split_is_nothing_to_compare(reader, samples):
    table = examine(reader, samples.drop(columns="split"), n=2)
    assert ill(table) == [] and "not split" in finding(table, "splits")


@pytest.mark.parametrize(
    ("label", "words"),
    [(np.nan, "1 missing"), (None, "1 missing"), (25.0, "1 not text"), ("", "1 empty"), ("nan", "1 missing, turned")],
)
def test_labels_that_are_none(reader, samples, label, words):
    table = examine(reader, samples.assign(text=[label, *samples["text"].iloc[1:]]), n=2)
    assert ill(table) == ["labels"] and words in finding(table, "labels")


def test_a_character_that_is_not_in_the_alphabet(reader, samples):
    table = examine(reader, samples.assign(text=["皖A·25V59", *samples["text"].iloc[1:]]), n=2)
    assert "1 not in the alphabet" in finding(table, "labels")


def test_an_image_that_cannot_be_read(reader, samples, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    table = examine(reader, samples.tail(3).assign(image=[str(tmp_path / "a.jpg"), *samples["image"].tail(2)]))
    assert ill(table) == ["labels"] and "empty (0 bytes)" in finding(table, "labels")


def test_no_usable_label_at_all(reader, samples):
    table = examine(reader, samples.assign(text=""))
    assert ill(table) == ALL and "not tried" in finding(table, "speaks")


def test_what_is_refused(reader, samples):
    with pytest.raises(ValueError, match="no column 'text'; it has: image"):
        examine(reader, samples[["image"]])
    with pytest.raises(ValueError, match="at least one image"):
        examine(reader, samples, n=0)
