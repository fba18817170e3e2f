"""`python -m tools.benchmarks.detectors`: which of torchvision's detectors finds the fields of a letter on a laptop.

SSDlite, RetinaNet and Faster R-CNN learn the same rendered letters, as many pages as each can in the same number of
seconds, from new weights, and are measured on the same validation pages, whose fonts and layouts none has seen: the
share of the fields that is found (mean over the four kinds, IoU 0.5), the mean overlap, seconds a page on one thread,
and megabytes. The test pages are left alone: this table chooses the detector that is shipped. Result:
`data/records/detectors.json`.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection._utils import SSDMatcher
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssdlite import SSDLiteHead

from ocrkit.data.files import write_json
from ocrkit.data.platforms import COURSE
from ocrkit.tasks.letters.detector import FieldDetector, PackedPages
from ocrkit.tasks.letters.detector_models import (
    DETECTORS,
    MAP_CHANNELS,
    MATCH,
    NO_MATCH,
    Body,
    TextAnchors,
    group_norm,
)
from ocrkit.tasks.letters.detector_run import RENDERED_VALID, letter_store
from ocrkit.tasks.letters.detector_training import fit_detector, validate
from ocrkit.training.recipe import find_recipe

RESULTS = COURSE / "data" / "records" / "detectors.json"
PROBE = 64  # pages, on which the speed of a training is measured
#: Channels of MobileNetV3's maps of strides 8 and 16.
MOBILENET_CHANNELS = [240, 672]


def retinanet(num_classes: int, anchors: TextAnchors) -> nn.Module:
    """RetinaNet (Lin et al. 2017, https://arxiv.org/abs/1708.02002) over `Body`, with one hidden layer in its heads."""
    (number,) = anchors.num_anchors_per_location()
    head = RetinaNetHead(MAP_CHANNELS, number, num_classes, norm_layer=group_norm)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:1]  # of four, which would take several times as long as all the rest
    settings = {"fg_iou_thresh": MATCH, "bg_iou_thresh": NO_MATCH, "topk_candidates": 300}
    return detection.RetinaNet(Body(), num_classes, anchor_generator=anchors, head=head, **settings)


def ssdlite(num_classes: int, anchors: TextAnchors) -> nn.Module:
    """SSDlite over MobileNetV3 (Howard et al. 2019, https://arxiv.org/abs/1905.02244), as torchvision builds it.

    Of its six maps the coarsest four are dropped: a line of text is less than a pixel high on them. In place of the
    second stands a finer one, of stride 8, taken as the first is: where a block widens what the last one gave.
    """
    norm = partial(nn.BatchNorm2d, eps=0.001)
    whole = {"weights": None, "weights_backbone": None, "progress": False, "norm_layer": norm}
    model = detection.ssdlite320_mobilenet_v3_large(num_classes=num_classes, **whole)
    *blocks, last = model.backbone.features[0]
    fine = nn.Sequential(*blocks[:7], blocks[7].block[0])
    model.backbone.features = nn.Sequential(fine, nn.Sequential(*blocks[7].block[1:], *blocks[8:], last))
    model.backbone.extra = nn.ModuleList()
    anchors = TextAnchors(anchors.sizes[0], *anchors.aspect_ratios[0], maps=2)
    model.head = SSDLiteHead(MOBILENET_CHANNELS, anchors.num_anchors_per_location(), num_classes, norm)
    model.anchor_generator = anchors
    model.proposal_matcher = SSDMatcher(MATCH)
    model.score_thresh, model.nms_thresh = 0.05, 0.5
    # MobileNet takes colors; a gray page is three equal channels.
    model.backbone.register_forward_pre_hook(lambda _, inputs: (inputs[0].expand(-1, 3, -1, -1),))
    return model


DETECTORS |= {"retinanet": retinanet, "ssdlite": ssdlite}


def train_for(seconds: float, detector: FieldDetector, train: PackedPages, valid: PackedPages, **settings):
    """Train for about so many seconds; `detector` is new, and a copy of it tells how many pages that makes.

    Returns the history.
    """
    copy = FieldDetector.create(detector.model.architecture, detector.kinds, detector.image_size)
    few, one = (PackedPages(*(part[:n] for part in pages)) for pages, n in ((train, PROBE), (valid, 1)))
    speed = fit_detector(copy, few, one, 2, **settings)["images_per_second"].iloc[-1]
    epochs = math.ceil(seconds * speed / len(train.images))
    pages = max(1, round(seconds * speed / epochs))
    return fit_detector(detector, PackedPages(*(part[:pages] for part in train)), valid, epochs, **settings)


def page_seconds(detector: FieldDetector, images: torch.Tensor) -> float:
    """Median seconds in which one page is searched, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        detector.find(images[:1])
        seconds = []
        for k in range(len(images)):
            started = time.perf_counter()
            detector.find(images[k : k + 1])
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return median(seconds)


def main(options: argparse.Namespace) -> None:
    """Train and measure each detector, and print its row."""
    recipe, rows = find_recipe("letters-detector"), []
    for name in DETECTORS:
        detector = FieldDetector.create(name, image_size=recipe.image_size, seed=recipe.seed)
        shape = "x".join(map(str, recipe.image_size))
        train, valid = (
            letter_store(n, seed, options.runs / "stores" / f"letters-{split}-{n}-{seed}-{shape}", detector, split)
            for split, n, seed in (("train", recipe.rendered, 0), ("valid", RENDERED_VALID, 1_000_000))
        )
        settings = {"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size}
        settings |= {"seed": recipe.seed, "window": recipe.window or None}
        history = train_for(options.seconds, detector, train, valid, **settings)
        with tempfile.TemporaryDirectory() as folder:
            megabytes = Path(detector.save(folder, half=True), "model.safetensors").stat().st_size / 1e6
        scores = validate(detector, valid)
        rows.append({
            "detector": name,
            "recall": scores["valid_recall"],
            "overlap": scores["valid_iou"],
            "page_seconds": page_seconds(detector, valid.images[:20]),
            "training_pages_per_second": history["images_per_second"].median(),
            "trained_pages": round((history["images_per_second"] * history["seconds"]).sum()),
            "megabytes": megabytes,
        })  # fmt: skip
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    facts = {
        "image_size": list(recipe.image_size),
        "train_pages": recipe.rendered,
        "valid_pages": RENDERED_VALID,
        "seconds": options.seconds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "rows": rows,
    }
    write_json(RESULTS, facts)
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.detectors", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the rendered letters are kept")
    parser.add_argument("--seconds", type=float, default=180, help="how long each is trained")
    main(parser.parse_args())
