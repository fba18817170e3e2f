"""The three networks whose comparison chose the detector of fields, and training for a time."""

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.ops import box_iou

import ocrkit as ok
from ocrkit.data.layouts.pages import PageField
from ocrkit.tasks.letters.detector import FieldDetector, fit_page
from ocrkit.tasks.letters.detector_models import DETECTORS, build_detector
from tools.benchmarks import detectors


@pytest.mark.parametrize("name", list(DETECTORS))
def test_networks_give_losses_in_training_and_boxes_after_it(name):
    torch.manual_seed(0)
    model = build_detector(name, 4, (96, 128))
    images = torch.randn(2, 1, 96, 128)
    targets = [
        {"boxes": torch.tensor([[10.0, 20, 40, 25]]), "labels": torch.tensor([2])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)},
    ]
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.train()(images, targets)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        found = model.eval()(images)
    assert len(found) == 2 and {"boxes", "labels", "scores"} == found[0].keys()
    assert (found[0]["boxes"][:, 2] <= 128).all() and (found[0]["boxes"][:, 3] <= 96).all()
    assert sum(p.numel() for p in model.parameters()) < 1.2e6


@pytest.mark.parametrize("name", list(DETECTORS))
def test_one_of_the_anchors_fits_each_value_of_a_letter(name):
    """The boxes of shipped pages."""
    model = build_detector(name, 4, (704, 512))
    anchors = model.rpn.anchor_generator if name == "faster-rcnn" else model.anchor_generator
    maps = [torch.zeros(1, 1, 704 // s, 512 // s) for s in ((8, 16) if name == "ssdlite" else (4,))]
    (boxes,) = anchors(model.transform(torch.zeros(1, 1, 704, 512), None)[0], maps)
    fields = [f.box for row in ok.load_pages("letters").itertuples() for f in row.fields][::5]
    scale = fit_page(np.zeros((1170, 827), np.uint8), (704, 512))[1]
    best = box_iou(torch.tensor(fields) * scale, boxes).amax(1)
    # SSDlite has no finer map than one of stride 8.
    assert best.quantile(0.05) > (0.3 if name == "ssdlite" else 0.5)


@pytest.mark.parametrize("speed", [2.0, 30.0])
def test_as_many_pages_are_learned_as_the_time_allows(monkeypatch, speed):
    """Ten seconds are 20 of the 100 pages, or all of them three times."""
    page = np.zeros((64, 64), np.uint8), [PageField("date", "", (8, 8, 40, 16))]
    detector = FieldDetector.create(image_size=(64, 64), device="cpu")
    table = pd.DataFrame([page] * 100, columns=["image", "fields"])
    packed = detector.pack(table)
    calls = []

    def fit(one, train, valid, epochs, **settings):
        calls.append((one is detector, len(train.images), len(train.boxes), epochs))
        return pd.DataFrame({"images_per_second": [speed]})

    monkeypatch.setattr(detectors, "fit_detector", fit)
    detectors.train_for(10, detector, packed, packed, batch_size=4)
    pages, epochs = (20, 1) if speed == 2 else (100, 3)
    assert calls == [(False, detectors.PROBE, detectors.PROBE, 2), (True, pages, pages, epochs)]
