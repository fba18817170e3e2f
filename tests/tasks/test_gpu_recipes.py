"""The recipes for a graphics card: one a track, each checked, and each run for one tiny epoch."""

import json

import pytest

from ocrkit.tasks import run
from ocrkit.tasks.letters import detector_run
from ocrkit.tasks.run import run_recipe
from ocrkit.training.recipe import RECIPES, find_recipe

NAMES = sorted(path.stem for path in RECIPES.glob("*-gpu.toml"))
#: Recipe -> the one for a laptop of the same track.
LAPTOP = {
    "plates-gpu": "plates-large",
    "glyphs-gpu": "persian-glyphs",
    "letters-gpu": "letters-detector",
    "dates-gpu": "persian-dates",
    "words-gpu": "persian-words",
    "look-alikes-gpu": "look-alikes",
}
TINY = {"epochs": 1, "batch_size": 4, "amp": "off", "rendered": 8, "half": False}


def test_every_track_has_one():
    assert {*LAPTOP, "names-gpu"} == set(NAMES)


@pytest.mark.parametrize("name", LAPTOP)
def test_it_does_the_task_of_the_laptop_recipe_with_more_work(name):
    gpu, laptop = find_recipe(name), find_recipe(LAPTOP[name])
    assert type(gpu) is type(laptop)
    for setting in ("renderer", "alphabet", "image_size", "mode", "resize", "augment", "samples"):
        assert getattr(gpu, setting, None) == getattr(laptop, setting, None), setting
    assert gpu.batch_size > laptop.batch_size
    assert gpu.epochs * gpu.rendered > laptop.epochs * laptop.rendered


@pytest.mark.parametrize("name", LAPTOP)
def test_one_tiny_epoch(name, tmp_path, monkeypatch):
    monkeypatch.setattr(detector_run, "RENDERED_VALID", 2)
    monkeypatch.setattr(run, "RENDERED_VALID", 4)
    monkeypatch.setattr(run, "rendered_figures", lambda *_: None)  # 4,000 pictures
    monkeypatch.setattr(run, "split_figures", lambda *_: None)
    changes = dict(TINY)
    if name == "glyphs-gpu":
        changes |= {"head_epochs": 0, "start": "", "backbone": "resnet18-short", "image_size": (32, 32)}
    if name == "letters-gpu":
        changes |= {"image_size": (128, 96), "rendered": 4, "batch_size": 2}
    run_recipe(find_recipe(name, **changes), tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert facts["best"]["epoch"] == 1 and (tmp_path / "run" / "model.safetensors").is_file()
