"""The recipes of the names model, run small from start to end: words of other writers, rendered and spliced names."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth import render_names
from ocrkit.tasks.run import recipe_data, run_recipe
from ocrkit.training.recipe import find_recipe

SMALL = {"epochs": 1, "batch_size": 8, "amp": "off", "rendered": 12}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A word list with writers, a names set, and counts of names; all rendered."""
    place = tmp_path_factory.mktemp("data")
    images, table = render_names(36, 5)
    for folder, header in (("words", ("file_name", "text", "writer_id")), ("names", ("FILENAME", "IDENTITY"))):
        (place / folder / "dev").mkdir(parents=True)
        rows = []
        for i, (image, text) in enumerate(zip(images, table["text"])):
            name = f"{i:03d}.png"
            Image.fromarray(image).save(place / folder / "dev" / name)
            rows.append((f"dev/{name}", f"{text.lower()}é", str(i % 12)) if folder == "words" else (name, text))
        file = "words.csv" if folder == "words" else "written_name_dev.csv"
        with open(place / folder / file, "w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([header, *rows])
    lines = [f"{text}\t{1 + k}" for k, text in enumerate(dict.fromkeys(table["text"]))]
    (place / "counts.tsv").write_text("\n".join(["name\tcount", *lines]) + "\n", encoding="utf-8")
    return place


def test_both_recipes_from_start_to_end(place, capsys):
    changes = SMALL | {"words": str(place / "counts.tsv")}
    first = find_recipe("names-start", samples=str(place / "words"), **changes)
    train, valid, lines = recipe_data(first, place / "stores")
    assert train.parts[0].images.shape[1:] == (1, 64, 384)
    assert all(text.isupper() and text.endswith("E") for text in train.parts[0].texts)
    writers = [set(part.samples["writer_id"]) for part in (train.parts[0], valid)]
    assert not writers[0] & writers[1]
    run_recipe(first, place / "names-start")

    second = find_recipe(
        "names", samples=str(place / "names"), start=str(place / "names-start"), spliced=10, repeat=1, **changes
    )
    reader = run_recipe(second, place / "names-run")
    facts = json.loads((place / "names-run" / "run.json").read_text(encoding="utf-8"))
    assert any(line.startswith("10 spliced images") for line in facts["data"])
    assert reader.resize == "pad" and Recognizer.load(place / "names-run").image_size == (64, 384)
    assert np.isfinite(facts["best"]["valid_cer"])


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [("", ValueError, "start to align"), ("nowhere", FileNotFoundError, "no model 'nowhere'")],
)
def test_spliced_needs_a_start_before_anything_is_rendered(tmp_path, place, start, error, words):
    changes = SMALL | {"words": str(place / "counts.tsv"), "rendered": 5}
    recipe = find_recipe("names", spliced=5, start=start, samples=str(place / "names"), **changes)
    with pytest.raises(error, match=words):
        recipe_data(recipe, tmp_path / "stores")
    assert not (tmp_path / "stores").exists()
