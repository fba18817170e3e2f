"""The recipe for one's own labeled lines, with the alphabet of their labels."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ocrkit.reader.recognizer import Recognizer
from ocrkit.tasks.run import recipe_samples, run_recipe
from ocrkit.training.recipe import find_recipe

SMALL = {"repeat": 1, "epochs": 1, "batch_size": 8, "amp": "off"}


@pytest.fixture
def meters(tmp_path):
    """24 noisy pictures with labels of capitals, a point and small letters, as a person would hand them in."""
    rng, rows = np.random.default_rng(0), [("file_name", "text")]
    for i in range(24):
        rows.append((f"{i:02}.png", "".join(rng.choice(list("kWh.AZ"), 4)) + f"{i:02}"))
        Image.fromarray(rng.integers(0, 255, (30, 90, 3), dtype=np.uint8)).save(tmp_path / rows[-1][0])
    write(tmp_path / "labels.csv", rows)
    return tmp_path


def write(path: Path, rows: list) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def read(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def card_of(run: Path) -> str:
    return (run / "README.md").read_text(encoding="utf-8")


def test_the_alphabet_comes_from_the_training_labels(meters, tmp_path):
    recipe = find_recipe("own", samples=str(meters), **SMALL)
    reader = run_recipe(recipe, tmp_path / "runs" / "own", command="train own")
    assert set("kWh.AZ") <= set(reader.tokenizer.alphabet) <= set("kWh.AZ0123456789")
    again = Recognizer.load(tmp_path / "runs" / "own")
    assert again.tokenizer.alphabet == reader.tokenizer.alphabet
    card = card_of(tmp_path / "runs" / "own")
    assert "shipped sample" not in card and f"| {meters} |" in card and "whose texts no other image shows" in card


def test_without_samples_it_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="names no data"):
        run_recipe(find_recipe("own"), tmp_path / "own")


def test_the_body_comes_from_the_start(meters, tmp_path):
    begun = Recognizer.load("plates", device="cpu").model.state_dict()
    for mode in ("RGB", "L"):
        recipe = find_recipe("own", samples=str(meters), mode=mode, learning_rate=1e-12, **SMALL)
        weights = run_recipe(recipe, tmp_path / "runs" / mode).model.state_dict()
        first, last = list(weights)[0], "lstm.weight_hh_l0"
        assert torch.allclose(weights[last], begun[last], atol=1e-3)  # the file has 16-bit floats
        expected = begun[first] if mode == "RGB" else begun[first].sum(1, keepdim=True)
        assert torch.allclose(weights[first], expected, atol=1e-3)


def test_a_body_that_does_not_fit_is_refused(meters, tmp_path):
    recipe = find_recipe("own", samples=str(meters), backbone="vgg", **SMALL)
    with pytest.raises(ValueError, match="cannot start from 'plates'.*or start empty"):
        run_recipe(recipe, tmp_path / "runs" / "vgg")


def test_the_card_says_how_many_test_texts_training_knows(meters, tmp_path):
    """A set that brings its own splits may have the same word in two of them."""
    rows = read(meters / "labels.csv")[1:]
    (meters / "labels.csv").unlink()
    rows[20][1] = rows[0][1]
    for split, part in (("train", rows[:20]), ("test", rows[20:])):
        write(meters / f"{split}.csv", [("file_name", "text"), *part])
    run_recipe(find_recipe("own", samples=str(meters), **SMALL), tmp_path / "runs" / "own")
    card = card_of(tmp_path / "runs" / "own")
    assert f"Of the test images of {meters}, 25% show a text that other splits show, too." in card


def test_sets_that_are_split_anew_are_measured_on_the_new_test_split(meters, tmp_path):
    rows = read(meters / "labels.csv")
    writers = ["writer_id", *(f"w{i // 2}" for i in range(24))]
    write(meters / "labels.csv", [[*row, writer] for row, writer in zip(rows, writers)])
    recipe = find_recipe("own", samples=str(meters), split_by="writer_id", **SMALL)
    run_recipe(recipe, tmp_path / "runs" / "own")
    test = recipe_samples(recipe, str(meters)).query("split == 'test'")
    card = card_of(tmp_path / "runs" / "own")
    assert f"| {meters} | {len(test)} |" in card and "split anew by `writer_id`" in card and "Again with" not in card
