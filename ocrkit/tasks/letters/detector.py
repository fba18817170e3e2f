"""`FieldDetector`: a network that finds boxes, the kinds of fields it knows, and the size of its pages.

It is to whole pages what `Recognizer` is to lines; what it finds, a `LetterReader` reads. Taught in notebook 10.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ocrkit.data.images import ImageError, read_sample, resize
from ocrkit.data.layouts.pages import FIELDS, Box
from ocrkit.data.packed import as_table
from ocrkit.data.sizes import CONTRAST
from ocrkit.reader.device import evaluating, normalize_images, pick_device
from ocrkit.reader.model_files import read_model, write_model
from ocrkit.tasks.letters.scores import overlap

#: Two boxes of different kinds that overlap by more than this are one and the same value on the page.
SAME = 0.5
#: Pages in any form: a table with a column `image`, an image or a list of them; an image is a path or a uint8 array.
Pages = pd.DataFrame | str | Path | np.ndarray | Sequence


class PackedPages(NamedTuple):
    """Pages of one size in memory: `images` (N, 1, H, W) uint8, N `boxes` (B, 4) float32 and N `labels` (B,) from 1."""

    images: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]


class Found(NamedTuple):
    """One field that was found: its kind, its box (x0, y0, x1, y1) in pixels, and a score, 0..1."""

    kind: str
    box: Box
    score: float


class SeenPage(NamedTuple):
    """A row of a table of pages, its pixels (H, W) uint8 or None, why they could not be read or `""`, its fields."""

    row: NamedTuple
    gray: np.ndarray | None
    error: str
    found: Sequence[Found] = ()


class FieldDetector:
    """Finds the fields on a page.

    `model` is what `detector_models.build_detector` gives, `kinds` are K names of fields, in the order of its classes
    from 1 on, and `image_size` is (height, width) in pixels, to which pages are brought in proportion.

    Raises a ValueError where a kind is there twice.
    """

    def __init__(
        self,
        model: nn.Module,
        kinds: Sequence[str] = FIELDS,
        image_size: tuple[int, int] = (704, 512),
        device: str | torch.device | None = None,
    ):
        self.kinds, self.image_size = tuple(kinds), tuple(map(int, image_size))
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"a kind of field is there twice: {', '.join(self.kinds)}")
        self.device = torch.device(device) if device else pick_device()
        self.model = model.to(self.device, memory_format=torch.channels_last)

    @classmethod
    def create(
        cls,
        architecture: str = "faster-rcnn",
        kinds: Sequence[str] = FIELDS,
        image_size: tuple[int, int] = (704, 512),
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> "FieldDetector":
        """Make an untrained detector; the same seed gives the same weights. Raises as `build_detector`."""
        from ocrkit.tasks.letters.detector_models import build_detector

        torch.manual_seed(seed)
        return cls(build_detector(architecture, len(kinds), image_size).eval(), kinds, image_size, device)

    def pack(self, pages: pd.DataFrame) -> PackedPages:
        """Bring a pages table to `image_size`, for training; `image` may hold arrays (H, W) instead of paths.

        Raises an ImageError where an image cannot be read, and a ValueError where it has another size than the table
        says, or a field is of no kind of the detector.
        """
        images, boxes, labels = [], [], []
        for row in pages.itertuples():
            page = read_sample(row, "L")
            size = getattr(row, "height", page.shape[0]), getattr(row, "width", page.shape[1])
            if page.shape != size:
                which = f"the image of row {row.Index} has {page.shape[1]} x {page.shape[0]} pixels, and its boxes are"
                raise ValueError(f"{which} for {size[1]} x {size[0]}: scale them, or take the image they were made for")
            if strange := [field.kind for field in row.fields if field.kind not in self.kinds]:
                raise ValueError(f"row {row.Index} has a field {strange[0]!r}; the detector has {self.kinds}")
            image, scale = fit_page(page, self.image_size)
            images.append(torch.from_numpy(image)[None])
            boxes.append(torch.tensor([f.box for f in row.fields], dtype=torch.float32).reshape(-1, 4) * scale)
            labels.append(torch.tensor([self.kinds.index(f.kind) + 1 for f in row.fields], dtype=torch.long))
        return PackedPages(torch.stack(images), boxes, labels)

    @torch.inference_mode()
    def find(
        self, images: Tensor, min_score: float = 0.3, best_only: bool = True, batch_size: int = 8
    ) -> list[list[Found]]:
        """`(N, 1, H, W)` uint8 pages of `image_size` to N lists of `Found`, the highest score first.

        With `best_only` a page has each kind once at most, and no two kinds at one place.
        """
        lists = []
        with evaluating(self.model):
            for part in images.split(batch_size):
                for result in self.model(normalize_images(part.to(self.device))):
                    values = (result[name].cpu().tolist() for name in ("labels", "boxes", "scores"))
                    found = [Found(self.kinds[k - 1], tuple(b), s) for k, b, s in zip(*values) if s >= min_score]
                    found.sort(key=lambda f: -f.score)
                    lists.append(_best(found) if best_only else found)
        return lists

    def detect(self, pages: Pages, min_score: float = 0.3, batch_size: int = 8) -> pd.DataFrame:
        """Find the fields of pages of any size, gray or in color: each kind once a page at most, no two at one place.

        Args:
            pages: a table with a column `image`, one image or a list of them; an image is a path or a uint8 array
                `(H, W)` or `(H, W, 3)`; a TypeError is raised for what is none of these.
            min_score: what is less certain is left out.

        Returns:
            A row a field that was found, page after page: `page` (the index of its row in `pages`, or its place in
            the list), `image`, `kind`, `box` ((x0, y0, x1, y1) in pixels of the page as it was) and `score` (0..1).
            `attrs["set_aside"]` is a dict of page -> why its image could not be read.
        """
        seen = [page._replace(gray=None) for page in self.go_through(pages, min_score, True, batch_size)]
        rows = [(page.row.Index, page.row.image, *one) for page in seen for one in page.found]
        result = pd.DataFrame(rows, columns=["page", "image", "kind", "box", "score"])
        result.attrs["set_aside"] = {page.row.Index: page.error for page in seen if page.error}
        return result

    def go_through(self, pages: Pages, min_score: float, best_only: bool, batch_size: int) -> Iterator[SeenPage]:
        """One page after the other, with its pixels and what was found; arguments as in `find` and `detect`."""
        table = as_table(pages)
        for start in range(0, len(table), batch_size):
            some = [seen_page(row) for row in table.iloc[start : start + batch_size].itertuples()]
            # On a page without any contrast there is nothing to find, whatever a network makes of it.
            printed = [k for k, page in enumerate(some) if not page.error and np.ptp(page.gray) >= CONTRAST]
            if printed:
                fitted, scales = zip(*(fit_page(some[k].gray, self.image_size) for k in printed))
                images = torch.from_numpy(np.stack(fitted))[:, None]
                for k, scale, found in zip(printed, scales, self.find(images, min_score, best_only, batch_size)):
                    sides = some[k].gray.shape[::-1] * 2
                    boxes = (tuple(min(v / scale, side) for v, side in zip(one.box, sides)) for one in found)
                    some[k] = some[k]._replace(found=[one._replace(box=box) for one, box in zip(found, boxes)])
            yield from some

    def save(self, folder: str | Path, half: bool = False) -> Path:
        """Write `config.json` and `model.safetensors` to a folder; `half=True` stores 16-bit floats."""
        config = {"architecture": self.model.architecture, "image_size": self.image_size, "kinds": self.kinds}
        return write_model(folder, "FieldDetector", config, self.model, "kinds", "\n".join(self.kinds), half)

    @classmethod
    def load(cls, where: str | Path, device: str | torch.device | None = None) -> "FieldDetector":
        """Load what `save` wrote, from a folder or by the name of a shipped model; errors as of `Recognizer.load`."""
        from ocrkit.tasks.letters.detector_models import build_detector

        def build(config: dict) -> tuple[nn.Module, str]:
            kinds, size = config["kinds"], tuple(config["image_size"])
            return build_detector(config["architecture"], len(kinds), size), "\n".join(kinds)

        model, config = read_model(where, "FieldDetector", ("architecture", "image_size", "kinds"), build, "kinds")
        return cls(model, config["kinds"], config["image_size"], device)

    def __repr__(self) -> str:
        millions = sum(p.numel() for p in self.model.parameters()) / 1e6
        size, kinds = "{} x {}".format(*self.image_size), ", ".join(self.kinds)
        return f"FieldDetector({self.model.architecture}, {millions:.1f}M parameters, {size}, {kinds}, {self.device})"


def fit_page(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Bring a gray page (H, W) to `size` = (height, width), in proportion, at the top left; also the scale.

    What is left free has the gray of the paper, which is the median.
    """
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(scale * side)) for side in image.shape)
    canvas = np.full(size, np.median(image), np.uint8)
    canvas[:height, :width] = image if image.shape == (height, width) else resize(image, (height, width))
    return canvas, scale


def seen_page(row: NamedTuple) -> SeenPage:
    """Read the image of a row, as `itertuples` gives it."""
    try:
        return SeenPage(row, read_sample(row, "L"), "")
    except ImageError as error:
        return SeenPage(row, None, error.reason)


def _best(found: list[Found]) -> list[Found]:
    """The first of each kind, without those at the place of a better one."""
    kept: list[Found] = []
    for one in found:
        if all(one.kind != other.kind and overlap(one.box, other.box) <= SAME for other in kept):
            kept.append(one)
    return kept
