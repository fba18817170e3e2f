"""Training of a `FieldDetector`: pages moved and scaled with their boxes, one-cycle, the best epoch kept."""

import math
from collections.abc import Callable
from itertools import count

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample
from torchvision.ops import box_area, clip_boxes_to_image

from ocrkit.data.batches import shuffled_batches
from ocrkit.reader.device import normalize_images
from ocrkit.tasks.letters.detector import FieldDetector, PackedPages
from ocrkit.tasks.letters.scores import overlap
from ocrkit.training.loop import run_epochs
from ocrkit.training.step import autocast_dtype, keep_memory

#: A box that the edge of the page cuts to less than this share of its area is no field any more.
VISIBLE = 0.6
#: Share of the pieces of pages that are from the top, where letters have their fields. The others teach what is none.
HEAD = 0.75
WARM_UP = 0.25
CLIP_NORM = 5.0
#: Pages, boxes and labels: (N, 1, H, W), N of (B, 4) in pixels, N of (B,).
Pages = tuple[Tensor, list[Tensor], list[Tensor]]


def fit_detector(
    detector: FieldDetector,
    train: PackedPages,
    valid: PackedPages,
    epochs: int = 10,
    learning_rate: float = 2e-3,
    batch_size: int = 8,
    seed: int = 0,
    amp: str = "auto",
    weight_decay: float = 0.01,
    augment: bool = True,
    window: int | None = None,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train with AdamW and one-cycle, and leave the weights of the best epoch in `detector`.

    The best epoch finds the largest share of the validation fields, as a mean over the kinds, with a box that overlaps
    the right one by 0.5 (IoU); among equal ones, the one with the closest boxes.

    `train` and `valid` are made by `detector.pack`; `learning_rate` is the highest of the cycle; `augment` changes the
    pages, see `augment_pages`. With a `window` it learns from pieces of the pages, so many pixels high, in less time
    (`cut_windows`), and looks at whole pages all the same, as nothing in it depends on their size.

    Returns the history of `run_epochs`, with `valid_recall` and `valid_iou` (mean overlap, 0 for a field not found).
    Raises a ValueError where the pages do not fit the detector or a setting cannot work. All else is as in `fit`.
    Taught in notebook 10.
    """
    _check("train", train, detector)
    _check("valid", valid, detector)
    if window is not None and (window % 32 or not 64 <= window <= detector.image_size[0]):
        raise ValueError(f"window={window}: it must be a multiple of 32, from 64 to {detector.image_size[0]}")
    if epochs < 1 or batch_size < 1 or not learning_rate > 0:
        raise ValueError(f"{epochs=}, {batch_size=}, {learning_rate=}: all must be above 0")
    keep_memory()
    stepper = DetectorStepper(detector, weight_decay, amp, augment, window)
    steps, total = count(), epochs * -(-len(train.images) // batch_size)

    def step(order: list[int]) -> tuple[Tensor, int]:
        pages = train.images[order], [train.boxes[i] for i in order], [train.labels[i] for i in order]
        return stepper(learning_rate * one_cycle(next(steps) / total), *pages), len(order)

    return run_epochs(
        stepper,
        lambda epoch: [*shuffled_batches(len(train.images), batch_size, seed, epoch)],
        step,
        lambda: validate(detector, valid),
        lambda row: (row["valid_recall"], row["valid_iou"]),
        epochs=epochs,
        seed=seed,
        advice=f"lower learning_rate (now {learning_rate})",
        on_epoch=on_epoch,
    )


class DetectorStepper:
    """One training step; call it with a learning rate and `Pages` of uint8; it returns the loss."""

    def __init__(self, detector: FieldDetector, weight_decay: float, amp: str, augment: bool, window: int | None):
        self.model, self.device, self.augment, self.window = detector.model, detector.device, augment, window
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=weight_decay)
        self.dtype = autocast_dtype(self.device, amp)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def __call__(self, rate: float, images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Tensor:
        self.model.train()
        if self.window:
            images, boxes, labels = cut_windows(images, boxes, labels, self.window)
        images = images.to(self.device, non_blocking=True)
        if self.augment:
            images, boxes, labels = augment_pages(images, boxes, labels)
        targets = [{"boxes": b.to(self.device), "labels": k.to(self.device)} for b, k in zip(boxes, labels)]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            losses = self.model(normalize_images(images), targets)
        loss = torch.stack([part.float() for part in losses.values()]).sum()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()


def one_cycle(done: float) -> float:
    """The share of the highest learning rate where `done`, 0..1, of the training is over: up for a quarter, then down.

    Source: Smith and Topin (2017), https://arxiv.org/abs/1708.07120, with half cosines as in torch's `OneCycleLR`.
    """
    start, end = 1 / 25, 1 / 2500
    low, place = (start, done / WARM_UP) if done < WARM_UP else (end, (1 - done) / (1 - WARM_UP))
    return low + (1 - low) * (1 - math.cos(math.pi * place)) / 2


def augment_pages(images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Pages:
    """Move each page by up to 4% and scale each of its sides by up to 10%, fade or darken its ink, and add grain.

    Images are uint8 on any device, and come back as float32 from 0 to 255. The boxes go with the page; those that leave
    it are cut, or dropped where little is left. Never flipped: a mirrored page has no label that can be read.
    """
    n, device, (height, width) = len(images), images.device, images.shape[-2:]
    scale = 1 + 0.1 * (2 * torch.rand(n, 2) - 1)
    shift = 0.08 * (2 * torch.rand(n, 2) - 1)  # of half a page
    # The grid says for a place of the new page where it comes from, both from -1 to 1.
    zero = torch.zeros(n)
    across = torch.stack([1 / scale[:, 0], zero, -shift[:, 0] / scale[:, 0]], 1)
    down = torch.stack([zero, 1 / scale[:, 1], -shift[:, 1] / scale[:, 1]], 1)
    grid = affine_grid(torch.stack([across, down], 1), [n, 1, height, width], align_corners=False)
    # As ink on 0, so that what moves in from outside is paper.
    ink = grid_sample(255 - images.float(), grid.to(device), align_corners=False)
    strength, paper, grain = torch.rand(3, n, 1, 1, 1).to(device)
    ink = ink * (0.6 + 0.7 * strength) + 30 * paper + 8 * grain * torch.randn_like(ink)
    size = torch.tensor([width, height]).repeat(2)
    moves = zip(boxes, scale.repeat(1, 2), shift.repeat(1, 2))
    moved = [((2 * box / size - 1) * by + to + 1) / 2 * size for box, by, to in moves]
    return (255 - ink).clamp(0, 255), *_seen(moved, labels, (height, width))


def cut_windows(images: Tensor, boxes: list[Tensor], labels: list[Tensor], height: int) -> Pages:
    """A piece of each page, `height` pixels and as wide as the page: from its top or a little below, or anywhere."""
    room = images.shape[-2] - height
    pieces, moved = [], []
    for image, box in zip(images, boxes):
        highest = min(room, height // 5) if torch.rand(()) < HEAD else room
        top = int(torch.randint(highest + 1, ()))
        pieces.append(image[:, top : top + height])
        moved.append(box - torch.tensor([0, top, 0, top]))
    return torch.stack(pieces), *_seen(moved, labels, (height, images.shape[-1]))


def _seen(boxes: list[Tensor], labels: list[Tensor], size: tuple[int, int]) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes cut to a page of this height and width, and their labels, without those of which little is left."""
    cut = [clip_boxes_to_image(box, size) for box in boxes]
    seen = [box_area(small) >= VISIBLE * box_area(box) for small, box in zip(cut, boxes)]
    return [box[s] for box, s in zip(cut, seen)], [label[s] for label, s in zip(labels, seen)]


def validate(detector: FieldDetector, valid: PackedPages, iou: float = 0.5) -> dict[str, float]:
    """`valid_recall`, the mean over the kinds of the share of fields that are found, and `valid_iou`."""
    overlaps: dict[int, list[float]] = {}
    for found, boxes, labels in zip(detector.find(valid.images, 0.05), valid.boxes, valid.labels):
        by_kind = {detector.kinds.index(f.kind) + 1: f.box for f in found}
        for box, label in zip(boxes.tolist(), labels.tolist()):
            overlaps.setdefault(label, []).append(overlap(by_kind[label], box) if label in by_kind else 0.0)
    if not overlaps:
        raise ValueError("the validation pages have no field to find")
    return {
        "valid_recall": float(np.mean([np.mean(np.array(values) >= iou) for values in overlaps.values()])),
        "valid_iou": float(np.mean([np.mean(values) for values in overlaps.values()])),
    }


def _check(name: str, pages: PackedPages, detector: FieldDetector) -> None:
    images, boxes, labels = pages
    if not 0 < len(images) == len(boxes) == len(labels):
        raise ValueError(f"{name}: {len(images)} images, {len(boxes)} boxes, {len(labels)} labels: one each a page")
    if images.dtype != torch.uint8 or tuple(images.shape[1:]) != (1, *detector.image_size):
        takes = "the detector takes uint8 (N, 1, {}, {}): use detector.pack".format(*detector.image_size)
        raise ValueError(f"{name}: the images are {images.dtype} {tuple(images.shape)}, and {takes}")
    for page, (box, label) in enumerate(zip(boxes, labels)):
        if box.shape != (len(label), 4) or not (box[:, 2:] > box[:, :2]).all():
            raise ValueError(f"{name}: page {page} has {len(box)} boxes for {len(label)} labels, or a box of no area")
        if len(label) and not 1 <= int(label.min()) <= int(label.max()) <= len(detector.kinds):
            raise ValueError(f"{name}: page {page} has a label that is not from 1 to {len(detector.kinds)}")
