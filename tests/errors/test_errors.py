"""Views of the results table: their sums, their order, and whether they find planted label errors."""

import sys

import jiwer
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

import ocrkit as ok
from ocrkit.ctc.lattice import forward_lattice
from ocrkit.errors import measures
from ocrkit.errors.metrics import edit_counts
from ocrkit.text.alphabets import DIGITS, PLATE_LETTERS, PROVINCES
from ocrkit.text.strings import graphemes, normalize
from tests.helpers import cases

texts = st.one_of(st.text("ab1", max_size=6), st.text(max_size=8))
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


def table(*rows, **columns):
    return pd.DataFrame(rows, columns=["text", "prediction"]).assign(**columns)


@pytest.fixture(scope="module")
def reader():
    return ok.Recognizer.load("plates", device="cpu")


@pytest.fixture(scope="module")
def plates():
    images, samples = ok.render_plates(1000, seed=5005)
    return samples.assign(image=list(images))


@pytest.fixture(scope="module")
def results(reader, plates):
    return reader.read(plates)


RESULTS = table(("80D", "8OD"), ("80DA1", "8OD1"), ("0", ""), ("", "1"), ("D0", "00"))


def test_confusions_are_counted_and_sorted():
    assert ok.confusions(RESULTS).values.tolist() == [
        ["substitute", "0", "O", 2],
        ["delete", "0", "", 1],
        ["delete", "A", "", 1],
        ["insert", "", "1", 1],
        ["substitute", "D", "0", 1],
    ]


@cases(50)
@given(pairs)
def test_confusions_add_up_to_the_cer(rows):
    results = table(*rows)
    counts = ok.confusions(results)
    references, predictions = results["text"], results["prediction"]
    characters = references.map(lambda t: len(normalize(t))).sum()
    assert counts["count"].sum() == round(ok.cer(references, predictions) * max(characters, 1))
    by_kind = counts.groupby("kind")["count"].sum()
    expected = edit_counts(results)
    for kind, column in [("substitute", "substitutions"), ("insert", "insertions"), ("delete", "deletions")]:
        assert by_kind.get(kind, 0) == expected[column].sum()


@cases(50)
@given(pairs)
def test_the_matrix_holds_the_same_counts(rows):
    results = table(*rows)
    matrix = ok.confusion_matrix(results)
    off = matrix.to_numpy() * (1 - np.eye(len(matrix), dtype=int))
    assert off.sum() == ok.confusions(results)["count"].sum()
    written = "".join(map(normalize, results["text"]))
    for symbol in matrix.index:
        assert symbol == "" or matrix.loc[symbol].sum() == written.count(symbol)


def test_the_matrix_keeps_what_errs_most():
    matrix = ok.confusion_matrix(RESULTS, top=4)
    assert matrix.index.tolist() == matrix.columns.tolist() == ["", "0", "1", "O"]
    assert matrix.loc["0", "O"] == 2 and matrix.loc["0", "0"] == 1 and matrix.loc["", "0"] == 0


def test_all_right_is_an_empty_table():
    results = table(("A1", "A1"))
    assert ok.confusions(results).empty and ok.most_confused(results).empty
    assert ok.confidently_wrong(results.assign(confidence=1.0)).empty
    assert ok.confusion_matrix(results).to_numpy().tolist() == [[1, 0], [0, 1]]


def test_most_confused_says_how_often_of_how_many():
    (row,) = ok.most_confused(RESULTS, min_count=2).itertuples(index=False)
    assert tuple(row) == ("0", "O", 2, 4, 0.5)
    assert len(ok.most_confused(RESULTS, min_count=1)) == 2


def test_class_names_are_one_symbol():
    results = table(("Date", "dated"), ("Date", "dated"), ("2", "3"), ("_", ""))
    assert ok.confusions(results, "text").values.tolist() == [
        ["substitute", "Date", "dated", 2],
        ["delete", "_", "", 1],
        ["substitute", "2", "3", 1],
    ]
    assert ok.confusion_matrix(results, "text").loc["Date", "dated"] == 2


def test_grapheme_clusters():
    results = table(("بَت", "بت"), ("👍🏽", "👍🏿"))
    by_cluster, by_point = ok.confusions(results, "grapheme"), ok.confusions(results)
    assert by_cluster.values.tolist() == [["substitute", "بَ", "ب", 1], ["substitute", "👍🏽", "👍🏿", 1]]
    assert by_point["kind"].tolist() == ["delete", "substitute"]


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("皖A2", ["皖", "A", "2"]),
        ("q\u0307\u0323x", ["q\u0307\u0323", "x"]),
        ("می\u200cشود", ["م", "ی\u200c", "ش", "و", "د"]),
        ("👩\u200d💻!", ["👩\u200d💻", "!"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("\u0301a\r\n\u0301", ["\u0301", "a", "\r\n", "\u0301"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("\u1112\u1161\u11ab", ["\u1112\u1161\u11ab"]),  # Hangul in single jamo
        ("\u0600۱۲", ["\u0600۱", "۲"]),  # the sign of a number stands before it
        ("", []),
    ],
)
def test_graphemes(text, clusters):
    assert graphemes(text) == clusters


def test_graphemes_say_what_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ImportError, match="need the package regex: pip install regex"):
        graphemes("a")


@given(st.text(max_size=12))
def test_graphemes_join_to_the_text(text):
    assert "".join(graphemes(text)) == text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: ok.confusions(t.drop(columns="text")), "no column 'text'"),
        (lambda t: ok.confusions(t, "word"), "'codepoint', 'grapheme', 'text'"),
        (lambda t: ok.confusions(t.head(0)), "no texts to compare"),
        (ok.top_losses, "label_losses"),
        (ok.likely_mislabelled, "label_losses"),
        (lambda t: ok.slices(t, "color"), "no column 'color'"),
    ],
)
def test_messages(call, words):
    with pytest.raises(ValueError, match=words):
        call(RESULTS)


def test_label_losses_are_those_of_the_lattice(reader, plates, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    samples = plates.head(6).copy()
    samples.index = [3, 1, 4, 1, 5, 9]  # an index may hold a row twice
    samples["text"] = [*samples["text"][:2], "", "皖a", "皖A" + "8" * 60, "皖A25V59"]
    samples["image"] = [*samples["image"][:5], str(tmp_path / "empty.jpg")]
    reader.model.train()
    try:
        losses = ok.label_losses(reader, samples, batch_size=2)
        assert reader.model.training
    finally:
        reader.model.eval()
    assert losses.index.tolist() == samples.index.tolist()
    images = np.stack(samples["image"].iloc[:3]).transpose(0, 3, 1, 2)
    log_probs = reader.logits(torch.from_numpy(images.copy())).log_softmax(-1)
    for i in range(3):
        _, expected = forward_lattice(log_probs[:, i], reader.tokenizer.encode(samples["text"].iloc[i]))
        assert losses.iloc[i] == pytest.approx(-expected.item(), abs=1e-3)
    assert np.isposinf(losses.iloc[3:5]).all() and np.isnan(losses.iloc[5])


def test_top_losses_and_confidently_wrong():
    results = table(("A", "A"), ("B", "8"), ("C", "G"), ("D", ""), confidence=[1, 0.2, 0.9, 0.5]).assign(
        loss=[0.1, 2.0, np.nan, np.inf]
    )
    assert ok.top_losses(results, 2).index.tolist() == [3, 1]
    assert ok.top_losses(results, 2, largest=False).index.tolist() == [0, 1]
    assert ok.confidently_wrong(results, 2).index.tolist() == [2, 3]
    assert ok.likely_mislabelled(results).index.tolist() == [3, 1]


def spoil(text, rng):
    """Another character of the same kind in one place, so the label is still a plate."""
    place = rng.integers(len(text))
    kind = next((k for k in (DIGITS, PLATE_LETTERS, PROVINCES) if text[place] in k), DIGITS)
    return text[:place] + rng.choice([c for c in kind if c != text[place]]) + text[place + 1 :]


def test_planted_wrong_labels_are_found(reader, plates, results):
    """Precision at 50 with 5% wrong labels, as many as 50; printed, so that `pytest -s` reports it."""
    rng = np.random.default_rng(0)
    planted = rng.choice(len(plates), len(plates) // 20, replace=False)
    labels = plates["text"].copy()
    labels.iloc[planted] = [spoil(text, rng) for text in labels.iloc[planted]]
    changed = results.assign(text=labels)
    changed["loss"] = ok.label_losses(reader, changed)
    rankings = {
        "loss x confidence": ok.likely_mislabelled(changed, 50),
        "loss": ok.top_losses(changed, 50),
        "confidence": ok.confidently_wrong(changed, 50),
    }
    precision = {name: float(np.isin(ranked.index, planted).mean()) for name, ranked in rankings.items()}
    print(f"precision at 50 of {len(planted)} planted among {len(plates)}: {precision}")
    assert precision["loss x confidence"] >= 0.7
    assert precision["loss x confidence"] >= max(precision.values()) - 0.1


def test_near_duplicates_name_both_and_their_texts(plates, tmp_path):
    some = plates.head(40)
    again = some.iloc[[7]].assign(text="京A00000", image=[np.asarray(Image.fromarray(some["image"][7]).convert("L"))])
    (tmp_path / "bad.jpg").write_text("no image")
    bad = some.iloc[[0]].assign(image=str(tmp_path / "bad.jpg"))
    pairs = ok.near_duplicates(pd.concat([some, again, bad], ignore_index=True))
    assert pairs[["first", "second", "first_text", "second_text"]].values.tolist() == [
        [7, 40, some["text"][7], "京A00000"]
    ]
    assert pairs["correlation"][0] > 0.99
    assert ok.near_duplicates(bad).empty


def test_brightness_blur_and_tilt_are_measured():
    clean = Image.fromarray(ok.render_plate("皖A25V59", degrade=False))
    ground = clean.getpixel((30, 8))
    turned = {angle: clean.rotate(-angle, Image.Resampling.BICUBIC, True, fillcolor=ground) for angle in (-9, -4, 5)}
    blurred = [clean.filter(ImageFilter.GaussianBlur(radius)) for radius in (2, 5, 9)]
    dark = clean.point(lambda v: v // 2)
    images = [np.asarray(image) for image in (clean, *turned.values(), *blurred, dark)]
    table = ok.image_facts(pd.DataFrame({"image": images, "text": "皖A25V59"}))
    assert table["tilt"][:4].to_numpy() == pytest.approx([0, *turned], abs=1)
    assert table["blur"][[0, 4, 5, 6]].is_monotonic_increasing
    assert table["blur"][7] == pytest.approx(table["blur"][0], rel=0.02)  # darkness is not blur
    assert table["brightness"][7] == pytest.approx(table["brightness"][0] / 2, abs=1)
    assert table["length"].eq(7).all() and table["province"].eq("皖").all()


def test_facts_of_odd_images_and_own_columns(tmp_path):
    images = [np.full((20, 60), 128, np.uint8), str(tmp_path / "none.png"), np.zeros((1, 1, 3), np.uint8)]
    samples = pd.DataFrame({"image": images, "text": ["", "x", "京A1"], "province": ["own", "", ""]}, index=[2, 2, 8])
    table = ok.image_facts(samples)
    assert table.index.tolist() == [2, 2, 8] and table["province"].tolist() == ["own", "", ""]
    assert table["brightness"].isna().tolist() == [False, True, False]
    assert table["length"].tolist() == [0, 1, 3]
    assert "province" not in measures.image_facts(samples[["image"]])


def test_slices_cover_every_image_and_go_upward():
    results = table(*[("A1", "A1")] * 6, *[("A1", "")] * 2)
    results = results.assign(light=range(8), color=["blue"] * 5 + ["red"] * 3, length=[2, 2, 2, 2, 10, 10, 10, None])
    slices = ok.slices(results, ["light", "color", "length"], bins=2)
    assert slices["by"].tolist() == ["light"] * 2 + ["color"] * 2 + ["length"] * 3
    assert slices.groupby("by")["n"].sum().eq(8).all()
    assert slices["slice"].tolist()[2:] == ["blue", "red", "2", "10", "(missing)"]
    assert slices["accuracy"].tolist()[:4] == [1.0, 0.5, 1.0, pytest.approx(1 / 3)]
    assert (slices["accuracy_low"] <= slices["accuracy"]).all() and (
        slices["accuracy"] <= slices["accuracy_high"]
    ).all()


def test_the_counts_agree_with_jiwer_on_real_readings(results):
    counted = jiwer.process_characters(list(results["text"]), list(results["prediction"]))
    edits = counted.substitutions + counted.insertions + counted.deletions
    assert ok.confusions(results)["count"].sum() == edits == results["distance"].sum()


def test_slices_of_near_numbers_stay_apart():
    results = table(*[("A", "A")] * 6).assign(big=[1000001, 1000002, 1000003, 1000004, 1000005, 1000006])
    parts = ok.slices(results, "big", bins=3)
    assert parts["n"].tolist() == [2, 2, 2] and parts["slice"].is_unique
    assert parts["slice"][2].endswith("to 1000006")
    assert ok.slices(results.assign(big=2.5), "big")["slice"].tolist() == ["2.5"]
