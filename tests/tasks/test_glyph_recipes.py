"""Recipes of glyph models, run small: from another script to Persian, and with a folder of classes."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ocrkit.synth import THESIS_CLASSES, render_characters
from ocrkit.synth.faces import load_faces
from ocrkit.synth.store import GLYPHS, RENDERERS, rendered_store
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.run import recipe_data, run_recipe
from ocrkit.text.alphabets import ALPHABETS
from ocrkit.training.recipe import find_recipe

SMALL = {"epochs": 1, "batch_size": 8, "amp": "off", "rendered": 60, "image_size": (32, 32)}


@pytest.fixture(scope="module")
def other_script(tmp_path_factory):
    """A model of Chinese characters that has learned next to nothing."""
    place = tmp_path_factory.mktemp("runs")
    run_recipe(find_recipe("chinese-glyphs", **SMALL), place / "chinese-glyphs", command="make chinese")
    return place / "chinese-glyphs"


def test_characters_are_drawn_by_seed_and_number_alone():
    images, table = render_characters(12, 3, (40, 48))
    later, rest = render_characters(4, 3, (40, 48), first=8)
    assert images.shape == (12, 40, 48, 3) and set("".join(table["text"])) <= set(ALPHABETS["look-alikes"])
    assert np.array_equal(images[8:], later) and table["text"][8:].tolist() == rest["text"].tolist()
    test_faces = set(render_characters(40, 3, split="test")[1]["face"])
    assert test_faces <= set(load_faces()[1]["test"]["chinese"])
    with pytest.raises(ValueError, match="no split is named 'valid'; there are: train, test"):
        render_characters(1, split="valid")


def test_a_recipe_goes_from_another_script_to_persian(other_script):
    before = GlyphClassifier.load(other_script)
    recipe = find_recipe("persian-glyphs", start=str(other_script), head_epochs=1, **SMALL)
    reader = run_recipe(recipe, other_script.parent / "persian", command="make persian")
    assert set(reader.classes) <= set(THESIS_CLASSES) and reader.mode == "L"
    first = before.model.features.conv1.weight
    assert (reader.model.features.conv1.weight - first).abs().mean() < 0.3 * first.abs().mean()
    facts = json.loads((other_script.parent / "persian" / "run.json").read_text(encoding="utf-8"))
    history = pd.read_csv(other_script.parent / "persian" / "history.csv").set_index("epoch")
    assert facts["best"] == {"epoch": 2, "valid_accuracy": history["valid_accuracy"][2]}
    assert [t["samples"] for t in facts["tests"]][0] == "persian-glyphs" and facts["tests"][0]["n"] == 288
    card = (other_script.parent / "persian" / "README.md").read_text(encoding="utf-8")
    assert "| samples | images | accuracy |" in card and "in other fonts for validation" in card
    assert len((other_script.parent / "persian" / "history.csv").read_text().splitlines()) == 3


def test_validation_is_drawn_in_fonts_of_its_own(tmp_path):
    train, valid, _ = recipe_data(find_recipe("persian-letters", **SMALL | {"samples": "", "rendered": 20}), tmp_path)
    faces = [set(p.samples["face"]) for p in (train.parts[0], valid)]
    assert not faces[0] & faces[1] and len(valid) == 2000
    assert valid.images.shape[1:] == (1, 32, 32)


def test_a_folder_of_classes_joins_and_lends_its_test_split(tmp_path, other_script):
    for k, klass in enumerate(("33-zero", "34-one", "2-b")):
        (tmp_path / "real" / klass).mkdir(parents=True)
        for i in range(12):
            image = np.full((40, 40), 255, np.uint8)
            image[5 + 8 * k : 20 + 8 * k, 5 + i : 20 + i] = 0
            Image.fromarray(image).save(tmp_path / "real" / klass / f"{i}.png")
    changes = SMALL | {"samples": str(tmp_path / "real"), "start": str(other_script)}
    parts = {}
    for whole in (False, True):
        train, _, lines = recipe_data(find_recipe("persian-letters", use_test=whole, **changes), tmp_path)
        parts[whole] = len(train.parts[0])
        assert f"real: {parts[whole]} for training" in lines[0]
    assert parts[True] > parts[False]


def test_what_a_glyph_recipe_refuses(tmp_path):
    recipe = find_recipe("chinese-glyphs", **SMALL)
    with pytest.raises(ValueError, match="keeps no checkpoint"):
        run_recipe(recipe, tmp_path / "r", resume=True)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match="holds a model already"):
        run_recipe(recipe, tmp_path / "r")
    with pytest.raises(ValueError, match="head_epochs=-1"):
        find_recipe("persian-glyphs", head_epochs=-1)
    assert set(GLYPHS) <= set(RENDERERS)
    with pytest.raises(ValueError, match="empty"):
        rendered_store(0, 1, tmp_path / "s", renderer="persian-glyphs")
