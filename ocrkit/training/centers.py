"""Center loss: the features of a character, what the last linear layer sees, are drawn to one point.

CTC does not say to which character the feature of a time step belongs; `align_features` does. Taught in notebook 07.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from ocrkit.ctc.alignment import forced_alignment
from ocrkit.ctc.lattice import BLANK
from ocrkit.data.batches import collate
from ocrkit.data.packed import Packed
from ocrkit.reader.device import evaluating, normalize_images
from ocrkit.reader.recognizer import Recognizer


class Aligned(NamedTuple):
    """Features `(M, D)`; of each its class, the place of its image, and its highest probability (no gradient)."""

    features: Tensor
    classes: Tensor
    images: Tensor
    confidence: Tensor


#: Of which image, from which frame, to which frame (excluded), of which class.
_Found = tuple[int, int, int, int]


def _merged(logits: Tensor, targets: list[list[int]]) -> Iterator[_Found]:
    for n, (path, target) in enumerate(zip(logits.argmax(-1).T.tolist(), targets)):
        runs = [[t for t, _ in run] for c, run in groupby(enumerate(path), key=lambda tc: tc[1]) if c != BLANK]
        if len(runs) == len(target):
            yield from ((n, run[0], run[-1] + 1, c) for run, c in zip(runs, target))


def _frames(logits: Tensor, targets: list[list[int]]) -> Iterator[_Found]:
    for n, path in enumerate(logits.argmax(-1).T.tolist()):
        yield from ((n, t, t + 1, c) for t, c in enumerate(path) if c != BLANK)


def _forced(logits: Tensor, targets: list[list[int]]) -> Iterator[_Found]:
    for n, (frames, path, _) in enumerate(forced_alignment(logits.log_softmax(-1), targets)):
        yield from ((n, start, end, path[start]) for start, end in frames)


ALIGNMENTS = {"merged": _merged, "frames": _frames, "forced": _forced}


def align_features(
    features: Tensor, logits: Tensor, targets: Tensor, lengths: Sequence[int] | Tensor, alignment: str = "forced"
) -> Aligned:
    """Give each feature its character; a character of several frames has the mean of their features.

    Args:
        features: `(T, N, D)`; gradients flow back to it, and none to `logits` `(T, N, K)`.
        targets: `(N, L)` class numbers, of which `lengths` `(N,)` count.
        alignment: `"merged"`: the characters of the best path, of images where they are as many as in the label.
            `"frames"`: each frame has its best class, right or wrong, and blanks none (PaddleOCR takes them, too).
            `"forced"`: the best path that writes the label, so that every character of every image counts.

    Raises ValueError: there is no such alignment, or a label cannot be aligned (see `alignment.forced_alignment`).
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment={alignment!r}: it must be one of {', '.join(map(repr, ALIGNMENTS))}")
    logits = logits.detach().cpu()
    rows = [row[: int(length)] for row, length in zip(targets.tolist(), lengths)]
    found = torch.tensor(list(ALIGNMENTS[alignment](logits, rows)), dtype=torch.long).reshape(-1, 4)
    image, start, end, classes = found.T
    count = end - start
    owner = torch.arange(len(found)).repeat_interleave(count)  # of each frame that is used, its row in `found`
    step = torch.arange(len(owner)) - (count.cumsum(0) - count - start)[owner]
    heard = logits.softmax(-1)[step, image[owner], classes[owner]]
    confidence = heard.new_zeros(len(found)).scatter_reduce(0, owner, heard, "amax")
    device = features.device
    image, classes, owner, step = (t.to(device) for t in (image, classes, owner, step))
    total = features.new_zeros(len(found), features.shape[2]).index_add(0, owner, features[step, image[owner]])
    return Aligned(total / count.to(total)[:, None], classes, image, confidence.to(device))


@torch.no_grad()
def collect(
    recognizer: Recognizer, packed: Packed, alignment: str = "forced", correct_only: bool = False, batch_size: int = 128
) -> Aligned:
    """The aligned features of a pack, in evaluation mode, on the CPU; maybe only of images that are read correctly."""
    model, tokenizer, parts = recognizer.model, recognizer.tokenizer, []
    with evaluating(model):
        # Not by a `DataLoader`, which draws from the random generator: to measure shall not change a training run.
        for start in range(0, len(packed), batch_size):
            batch = collate(packed.__getitems__(range(start, min(start + batch_size, len(packed)))), tokenizer)
            images, steps = recognizer.trim(batch.images)
            features, logits = model.features_and_logits(normalize_images(images.to(recognizer.device)), steps)
            found = align_features(features.cpu(), logits.cpu(), batch.targets, batch.lengths, alignment)
            if correct_only:
                read = tokenizer.decode_batch(logits.argmax(-1).T.tolist(), collapse=True)
                right = torch.tensor([a == b for a, b in zip(read, batch.texts)])[found.images]
                found = Aligned(*(part[right] for part in found))
            parts.append(found._replace(images=found.images + start))
    return Aligned(*map(torch.cat, zip(*parts)))


def alignment_report(recognizer: Recognizer, packed: Packed) -> pd.DataFrame:
    """How much of the labels each alignment uses, a row an alignment.

    Columns: `alignment`, `features`, `images` that take part, `characters` of the labels that get a feature of their
    class, their `share` of all, and `wrong`, features whose class is not in their image's label.
    """
    labels = [Counter(recognizer.tokenizer.encode(text)) for text in packed.texts]
    rows = []
    for alignment in ALIGNMENTS:
        _, classes, images, _ = collect(recognizer, packed, alignment)
        found: dict[int, Counter] = {}
        for image, c in zip(images.tolist(), classes.tolist()):
            found.setdefault(image, Counter())[c] += 1
        used = sum((labels[n] & there).total() for n, there in found.items())
        wrong = sum(k for n, there in found.items() for c, k in there.items() if c not in labels[n])
        rows.append((alignment, len(classes), len(found), used, used / sum(n.total() for n in labels), wrong))
    return pd.DataFrame(rows, columns=["alignment", "features", "images", "characters", "share", "wrong"])


def class_means(features: Tensor, classes: Tensor) -> dict[int, Tensor]:
    """Class -> mean of its features `(D,)`: the centers of a model that was trained without any."""
    return {int(c): features[classes == c].mean(0) for c in classes.unique()}


class CenterLoss(nn.Module):
    """Half the squared distance of features to the center of their class: `(M, D)`, `(M,)` -> the mean over M.

    Centers, K of size D = `CRNN.feature_size`, start by chance, normal with deviation `std`; `initialize` is the better
    start. By the `rule` "moving" they go, in training, by `rate` of the way to the mean of their features (and of one
    more in the center's own place, so that rare classes move less), by "learned" the optimizer moves them.
    Raises ValueError for another rule or rate. Wen et al. (2016), https://doi.org/10.1007/978-3-319-46478-7_31.
    """

    def __init__(
        self, num_classes: int, dim: int, rule: str = "moving", rate: float = 0.05, std: float = 0.1, seed: int = 0
    ):
        super().__init__()
        if rule not in ("moving", "learned"):
            raise ValueError(f'rule={rule!r}: it must be "moving" or "learned"')
        if not 0 < rate <= 1:
            raise ValueError(f"rate={rate}: it must be above 0 and at most 1; 0.05 moves a center slowly")
        self.rule, self.rate = rule, rate
        centers = std * torch.randn(num_classes, dim, generator=torch.Generator().manual_seed(seed))
        self.centers: Tensor
        if rule == "learned":
            self.centers = nn.Parameter(centers)
        else:
            self.register_buffer("centers", centers)

    @torch.no_grad()
    def initialize(self, features: Tensor, classes: Tensor) -> None:
        """Put each center in the mean of its features, best of those read correctly; without any, of all."""
        if not len(features):
            raise ValueError("there are no features to put centers in: no character was read correctly; train first")
        self.centers.copy_(features.mean(0))
        for c, mean in class_means(features, classes).items():
            self.centers[c] = mean

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        kept = classes != BLANK
        features, classes = features[kept], classes[kept]
        away = features - self.centers[classes]
        if self.training and self.rule == "moving":
            count = torch.bincount(classes, minlength=len(self.centers))
            total = torch.zeros_like(self.centers).index_add_(0, classes, away.detach().to(self.centers))
            self.centers += self.rate * total / (1 + count[:, None])
        return away.square().sum() / (2 * max(len(features), 1))

    def extra_repr(self) -> str:
        return f"{len(self.centers)}, {self.centers.shape[1]}, rule={self.rule!r}, rate={self.rate}"


class AlignedLoss(nn.Module):
    """The `extra` of `loop.fit`: `weight * criterion(features, classes)`, of `(M, D)` and `(M,)`.

    The weight grows from 0, in a straight line, over `warmup` steps; `alignment` as in `align_features`.
    """

    def __init__(self, criterion: nn.Module, weight: float, alignment: str = "forced", warmup: int = 0):
        super().__init__()
        self.criterion, self.weight, self.alignment, self.warmup = criterion, weight, alignment, warmup
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @property
    def current_weight(self) -> float:
        """The weight after the steps so far."""
        return self.weight * min(1.0, self.steps.item() / self.warmup) if self.warmup else self.weight

    def forward(self, features: Tensor, logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        self.steps += 1
        aligned = align_features(features, logits, targets, lengths, self.alignment)
        return self.current_weight * self.criterion(aligned.features, aligned.classes)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, alignment={self.alignment!r}, warmup={self.warmup}"
