"""A detector of fields, trained small by its recipe: store, model folder, card, and what is refused."""

import json

import numpy as np
import pytest
import torch

from ocrkit.synth import render_letters
from ocrkit.tasks.letters import detector_run, detector_training
from ocrkit.tasks.letters.detector import FieldDetector
from ocrkit.tasks.letters.detector_run import letter_store
from ocrkit.tasks.letters.detector_training import cut_windows
from ocrkit.tasks.run import run_recipe
from ocrkit.training.recipe import find_recipe

SMALL = {"rendered": 4, "image_size": (128, 96), "epochs": 1, "batch_size": 2, "window": 64, "amp": "off"}


def test_a_store_holds_the_letters_with_their_boxes_and_is_kept(tmp_path):
    detector = FieldDetector.create(image_size=(128, 96))
    made = letter_store(3, 5, tmp_path / "s", detector, "valid")
    written = (tmp_path / "s" / "images.npy").stat().st_mtime_ns
    again = letter_store(3, 5, tmp_path / "s", detector, "valid")
    assert (tmp_path / "s" / "images.npy").stat().st_mtime_ns == written
    assert torch.equal(made.images, again.images) and made.images.shape == (3, 1, 128, 96)
    _, table = render_letters(3, 5, split="valid")
    scale = 128 / 1170
    for boxes, labels, fields in zip(again.boxes, again.labels, table["fields"]):
        assert [detector.kinds[k - 1] for k in labels] == [f.kind for f in fields]
        assert np.allclose(boxes.numpy().reshape(-1, 4), np.reshape([f.box for f in fields], (-1, 4)) * scale, atol=0.5)
    before = made.images.clone()  # it is mapped from the files that are about to be written anew
    assert not torch.equal(letter_store(3, 6, tmp_path / "s", detector, "valid").images, before)


def test_the_recipe_makes_a_detector_with_a_card(tmp_path, monkeypatch):
    monkeypatch.setattr(detector_run, "RENDERED_VALID", 2)
    recipe = find_recipe("letters-detector", **SMALL)
    detector = run_recipe(recipe, tmp_path / "detector", command="make it")
    assert isinstance(detector, FieldDetector) and detector.image_size == (128, 96)
    facts = json.loads((tmp_path / "detector" / "run.json").read_text(encoding="utf-8"))
    assert facts["tests"][-1]["kind"] == "all"
    card = (tmp_path / "detector" / "README.md").read_text(encoding="utf-8")
    assert "make it" in card and "4 rendered letters, fonts and layouts of train" in card
    assert (tmp_path / "detector" / "history.csv").is_file()
    with pytest.raises(FileExistsError, match="another --out"):
        run_recipe(recipe, tmp_path / "detector")


def test_a_detector_learns_from_rendered_letters_alone(tmp_path):
    for wrong in ({"samples": "plates"}, {"start": "letters"}):
        with pytest.raises(ValueError, match="no samples and no start"):
            run_recipe(find_recipe("letters-detector", **wrong, **SMALL), tmp_path / "d")


def test_windows_keep_the_boxes_on_their_ink(monkeypatch):
    monkeypatch.setattr(detector_training, "HEAD", 0.5)
    page = torch.full((1, 1, 256, 64), 255, dtype=torch.uint8)
    page[..., 30:40, 10:50] = 0
    box, label = torch.tensor([[10.0, 30.0, 50.0, 40.0]]), torch.tensor([2])
    torch.manual_seed(0)
    seen = 0
    for _ in range(60):
        pieces, boxes, labels = cut_windows(page, [box], [label], 96)
        assert pieces.shape == (1, 1, 96, 64) and len(boxes[0]) == len(labels[0])
        if len(boxes[0]):
            seen += 1
            x0, y0, x1, y1 = boxes[0][0].int().tolist()
            assert (pieces[0, 0, y0:y1, x0:x1] == 0).all() and y1 - y0 >= 6
            assert int((pieces == 0).sum()) == (y1 - y0) * (x1 - x0)
    assert 30 < seen < 60
