"""The recipe for one's own labeled lines, with the alphabet of their labels."""

import csv

import numpy as np
import pytest
from PIL import Image

from ocrkit.recipes import find_recipe
from ocrkit.recognizer import Recognizer
from ocrkit.runs import run_recipe

SMALL = {"repeat": 1, "epochs": 1, "batch_size": 8}


@pytest.fixture
def meters(tmp_path):
    """24 noisy pictures with labels of capitals, a point and small letters, as a person would hand them in."""
    rng, rows = np.random.default_rng(0), [("file_name", "text")]
    for i in range(24):
        rows.append((f"{i:02}.png", "".join(rng.choice(list("kWh.AZ"), 4)) + f"{i:02}"))
        Image.fromarray(rng.integers(0, 255, (30, 90, 3), dtype=np.uint8)).save(tmp_path / rows[-1][0])
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path


def test_the_alphabet_comes_from_the_training_labels(meters, tmp_path):
    recipe = find_recipe("own", samples=str(meters), **SMALL)
    reader = run_recipe(recipe, tmp_path / "runs" / "own", command="train own")
    assert set("kWh.AZ") <= set(reader.tokenizer.alphabet) <= set("kWh.AZ0123456789")
    again = Recognizer.load(tmp_path / "runs" / "own")
    assert again.tokenizer.alphabet == reader.tokenizer.alphabet
    card = (tmp_path / "runs" / "own" / "README.md").read_text(encoding="utf-8")
    assert "shipped sample" not in card and f"| {meters} |" in card


def test_without_samples_it_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="names no data"):
        run_recipe(find_recipe("own"), tmp_path / "own")
