"""`GlyphClassifier`: a network, the names of its classes and its image size, which belong together.

It is to single characters, or small words that count as one, what `Recognizer` is to texts. Taught in notebook 09.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ocrkit.data.packed import Packed, pack_any
from ocrkit.data.sizes import GLYPH_RESIZES
from ocrkit.reader.device import evaluating, normalize_images, pick_device
from ocrkit.reader.model_files import read_model, write_model
from ocrkit.reader.results import by_place, results_table
from ocrkit.tasks.glyphs.network import GlyphNet, imagenet_weights
from ocrkit.text.edits import operations
from ocrkit.text.strings import normalize

#: Pixels; a ResNet halves an image five times.
SMALLEST = 32


class GlyphClassifier:
    """Says which of its classes an image shows.

    `classes` are K names, as `"7"` or `"Date"`, in the order of the model's outputs. `image_size` is (height, width) in
    pixels, `mode` `"RGB"` or `"L"` (gray; the model sees three equal channels), `resize` as in `sizes.fit_size`.

    Raises a ValueError where model and classes do not fit, a class is there twice, or a setting cannot work.
    """

    def __init__(
        self,
        model: GlyphNet,
        classes: Sequence[str],
        image_size: tuple[int, int] = (64, 64),
        mode: str = "RGB",
        resize: str = "squeeze",
        device: str | torch.device | None = None,
    ):
        self.classes = tuple(map(normalize, classes))
        if len(self.classes) != model.num_classes:
            raise ValueError(f"the model has {model.num_classes} classes, and {len(self.classes)} names are given")
        if twice := sorted({c for c in self.classes if self.classes.count(c) > 1}):
            raise ValueError(f"class {twice[0]!r} is there twice")
        if mode not in ("RGB", "L"):
            raise ValueError(f'mode={mode!r}: it must be "RGB" or "L"')
        if resize not in GLYPH_RESIZES:
            raise ValueError(f'resize={resize!r}: it must be "squeeze", "pad" or "ink"')
        self.mode, self.resize, self.image_size = mode, resize, image_size
        self.device = torch.device(device) if device else pick_device()
        self.model = model.to(self.device, memory_format=torch.channels_last)

    @classmethod
    def create(
        cls,
        classes: Sequence[str],
        backbone: str = "resnet34",
        image_size: tuple[int, int] = (64, 64),
        mode: str = "RGB",
        resize: str = "squeeze",
        weights: str | None = None,
        start: "GlyphClassifier | str | Path | None" = None,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> "GlyphClassifier":
        """Make a classifier whose head is new; the same seed gives the same weights.

        `backbone` is a key of `network.BACKBONES`. The body is that of `start`, a glyph model or where it lies; with
        `weights="imagenet"` torchvision's, or where that cannot be had, as one line then says, that of `start` or new.
        """
        if weights not in (None, "imagenet"):
            raise ValueError(f'weights={weights!r}: it must be "imagenet" or None; a model of yours goes into start=')
        torch.manual_seed(seed)
        model = GlyphNet(len(classes), backbone)
        body = None
        if start is not None:
            other = start if isinstance(start, GlyphClassifier) else GlyphClassifier.load(start, "cpu")
            if other.model.backbone != backbone:
                raise ValueError(f"start= has the backbone {other.model.backbone!r}, not {backbone!r}: name that one")
            body = other.model.features.state_dict()
        if weights == "imagenet":
            try:
                body = imagenet_weights(backbone)
            except (OSError, RuntimeError) as error:
                instead = "training starts from scratch" if start is None else "the body of start= is taken"
                print(f"ImageNet weights for {backbone} cannot be had ({error}): {instead}")
        if body is not None:
            model.features.load_state_dict(body)
        return cls(model.eval(), classes, image_size, mode, resize, device)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels; `read` resizes to it. It may be changed: training goes on at a larger one."""
        return self._image_size

    @image_size.setter
    def image_size(self, size: tuple[int, int]) -> None:
        height, width = map(int, size)
        if min(height, width) < SMALLEST:
            raise ValueError(f"image_size={height, width}: both sides must be at least {SMALLEST} pixels")
        self._image_size = height, width

    def freeze(self, batch_norm: bool = True) -> None:
        """Keep the body as it is in training, so that only the head learns.

        `batch_norm=True` lets the body's batch norms learn all the same, as fastai does: they adapt the body to images
        of another kind. False keeps all of it, which also makes a step about twice as fast.
        """
        for module in self.model.features.modules():
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = batch_norm and isinstance(module, nn.BatchNorm2d)

    def unfreeze(self) -> None:
        """Let the whole model learn."""
        self.model.requires_grad_(True)

    def codes(self, texts: Sequence[str]) -> Tensor:
        """The number of the class of each text, `(N,)`; -1 for those that are no class."""
        numbers = {name: k for k, name in enumerate(self.classes)}
        return torch.tensor([numbers.get(normalize(text), -1) for text in texts], dtype=torch.long)

    @torch.inference_mode()
    def logits(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """`(N, C, H, W)` uint8 images to `(N, K)` float32 logits on the CPU, in evaluation mode."""
        with evaluating(self.model):
            parts = [self.model(normalize_images(part.to(self.device))).cpu() for part in images.split(batch_size)]
        return torch.cat(parts) if len(images) else torch.empty(0, len(self.classes))

    def pack(self, samples: pd.DataFrame | str | Path | np.ndarray | Sequence) -> Packed:
        """Decode images and bring them to `image_size`; `samples` as in `read`."""
        return pack_any(samples, self.image_size, self.mode, self.resize)

    def read(
        self, samples: pd.DataFrame | Packed | str | Path | np.ndarray | Sequence, batch_size: int = 256
    ) -> pd.DataFrame:
        """Classify images and return the results table.

        `samples` are those of `Recognizer.read`, which come back, same rows and order, with `prediction` (a class),
        `confidence` (its probability, 0..1), `second` (the next class), `margin` (how much less probable that one is),
        `error` (why an image could not be read, else ""), and, where the table has labels in `text`, `distance` (0
        right, 1 wrong) and `operations` (the one edit that is an error: a class counts as one symbol).
        """
        packed = samples if isinstance(samples, Packed) else self.pack(by_place(samples))
        chances, order = self.logits(packed.images, batch_size).softmax(-1).topk(2)
        first, second = order.unbind(1)
        columns = {
            "prediction": [self.classes[k] for k in first],
            "confidence": chances[:, 0].double().numpy(),
            "second": [self.classes[k] for k in second],
            "margin": (chances[:, 0] - chances[:, 1]).double().numpy(),
            "error": "",
        }
        unread = {"prediction": "", "confidence": 0.0, "second": "", "margin": 0.0}
        return results_table(samples, packed, columns, unread, _class_edits)

    def label_losses(self, packed: Packed, batch_size: int = 256) -> np.ndarray:
        """Minus the log probability of each label, `(N,)` nats; inf where the label is no class of the model."""
        codes = self.codes(packed.texts)
        losses = cross_entropy(self.logits(packed.images, batch_size), codes.clamp_min(0), reduction="none")
        return losses.masked_fill(codes < 0, float("inf")).numpy()

    def save(self, folder: str | Path, half: bool = False) -> Path:
        """Write `model.safetensors` and `config.json` into `folder`; `half=True` stores 16-bit floats."""
        own = {"backbone": self.model.backbone, "image_size": list(self.image_size), "mode": self.mode}
        config = {**own, "resize": self.resize, "classes": list(self.classes)}
        return write_model(folder, "GlyphClassifier", config, self.model, "classes", "\n".join(self.classes), half)

    @classmethod
    def load(cls, where: str | Path, device: str | torch.device | None = None) -> "GlyphClassifier":
        """Load what `save` wrote, from a folder or by the name of a shipped model; errors as of `Recognizer.load`."""

        def build(config: dict) -> tuple[GlyphNet, str]:
            return GlyphNet(len(config["classes"]), config["backbone"]), "\n".join(config["classes"])

        keys = "backbone", "image_size", "mode", "resize", "classes"
        model, config = read_model(where, "GlyphClassifier", keys, build, "classes")
        return cls(model, *(config[key] for key in ("classes", "image_size", "mode", "resize")), device)

    def __repr__(self) -> str:
        height, width = self.image_size
        millions, n = sum(p.numel() for p in self.model.parameters()) / 1e6, len(self.classes)
        form = f"{millions:.1f}M parameters, {height} x {width} {self.mode}, {self.resize}, {n} classes"
        return f"GlyphClassifier({self.model.backbone}, {form}, {self.device})"


def _class_edits(text: str, prediction: str) -> list:
    return operations([normalize(text)] if text else [], [prediction] if prediction else [])
