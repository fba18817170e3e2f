"""The checks on heat maps, on models and maps of which it is known what they are worth."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import ocrkit as ok
from ocrkit.maps import cam, checks


@pytest.fixture(scope="module")
def reader():
    return ok.Recognizer.load("plates", device="cpu")


@pytest.fixture(scope="module")
def packed():
    return ok.pack(ok.load_samples("plates").head(1))


def weights(model):
    return torch.cat([t.flatten().double() for t in model.state_dict().values()])


class Left(nn.Conv2d):
    """Class 0 is the sum of the left half of the image."""

    def forward(self, x):
        return x[..., :4].sum((1, 2, 3))[:, None]


def test_random_weights_give_other_maps(reader, packed):
    before = weights(reader.model)
    target, _ = ok.text_target(reader, packed.images, packed.texts)
    table = ok.randomized_check(reader.model, packed.images, "features.16", target)
    assert torch.equal(weights(reader.model), before)
    assert table.layer.tolist()[:2] == ["classifier.1", "lstm"] and table.layer.tolist()[-1] == "features.0"
    assert (table.rank_correlation.abs() < 0.6).all()
    again = ok.randomized_check(reader.model, packed.images, "features.16", target)
    pd.testing.assert_frame_equal(table, again)


def test_a_map_of_the_picture_alone_passes_no_check(monkeypatch):
    model, photos = (
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2)),
        torch.randn(3, 3, 8, 10),
    )
    monkeypatch.setitem(cam.METHODS, "edges", lambda model, images, layer, target: images.abs().mean(1).numpy())
    table = ok.randomized_check(model, photos, "0", 1, "edges")
    assert (table.rank_correlation > 0.999).all()


def test_measures_of_likeness():
    a = np.random.default_rng(0).random((16, 20))
    assert checks.rank_correlation(a, a**3) == pytest.approx(1)
    assert checks.rank_correlation(a, -a) == pytest.approx(-1)
    assert checks.rank_correlation(a, np.zeros_like(a)) == 0.0
    ties = np.array([[0, 0, 1, 2]]), np.array([[1, 1, 3, 9]])
    assert checks.rank_correlation(*ties) == pytest.approx(1)


def test_deletion_and_insertion_rank_what_is_known():
    """The true map of `Left`, the false one, and boxes without a meaning."""
    truth = np.zeros((1, 4, 8))
    truth[..., :4] = 1
    target = ok.class_target(0)
    table = ok.deletion_insertion(
        Left(1, 1, 1), torch.ones(1, 1, 4, 8), target, {"false": 1 - truth, "true": truth}, 32
    )
    assert table["map"].tolist() == ["true", "random boxes", "false"] and table["n"].tolist() == [1, 5, 1]
    # 16 pixels count 1 each: taken first, the score falls to 0 in half of the steps; taken last, it stays as long.
    true, false = table.set_index("map").loc["true"], table.set_index("map").loc["false"]
    assert (true.deletion, true.insertion) == pytest.approx((4, 12))
    assert (false.deletion, false.insertion) == pytest.approx((12, 4))


def test_maps_beat_random_boxes(reader, packed):
    images, texts = packed.images, packed.texts
    target, _ = ok.text_target(reader, images, texts, "probability")
    maps = {"hires": ok.hires_cam(reader.model, images, "features.16", target)}
    table = ok.deletion_insertion(reader.model, images, target, maps, steps=6, random=1).set_index("map")
    assert table.difference["hires"] > table.difference["random boxes"] + 0.2
    with pytest.raises(ValueError, match="the maps 'flat' have shape"):
        ok.deletion_insertion(reader.model, images, target, {"flat": maps["hires"][0]})
