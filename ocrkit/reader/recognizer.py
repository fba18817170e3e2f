"""`Recognizer`: a model, its tokenizer and its image size, which belong together. Taught in notebook 03."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ocrkit.ctc.candidates import Choice, ctc_losses
from ocrkit.ctc.greedy import Reading, greedy_decode
from ocrkit.data.packed import Packed, pack_any
from ocrkit.data.sizes import RESIZES, batch_width, used_columns
from ocrkit.reader.crnn import CRNN, blank_logits
from ocrkit.reader.device import evaluating, normalize_images, pick_device
from ocrkit.reader.model_files import read_model, write_model
from ocrkit.reader.results import by_place, results_table
from ocrkit.text.edits import operations
from ocrkit.text.tokenizer import Tokenizer

_CHANNELS = {"RGB": 3, "L": 1}


class Recognizer:
    """Reads text in images.

    `mode`, `"RGB"` or `"L"`, is what the model was made for; `resize` how images are brought to its size, `"squeeze"`
    or `"pad"` (then only the columns with ink count), see `sizes.fit_size`; `device` the fastest one that is here by
    default. Raises a ValueError where model and tokenizer, mode or resize do not fit each other.
    """

    def __init__(
        self,
        model: CRNN,
        tokenizer: Tokenizer,
        mode: str = "RGB",
        device: str | torch.device | None = None,
        resize: str = "squeeze",
    ):
        if model.num_classes != (n := tokenizer.num_classes):
            raise ValueError(
                f"the model has {model.num_classes} classes and the tokenizer {n}: "
                "make the model with CRNN(tokenizer.num_classes)"
            )
        if _CHANNELS.get(mode) != (n := model.in_channels):
            raise ValueError(f'mode={mode!r} does not fit a model with {n} channels: "RGB" has 3, "L" has 1')
        if resize not in RESIZES:
            raise ValueError(f'resize={resize!r}: it must be "squeeze" or "pad"')
        if resize == "pad" and model.backbone == "resnet":
            raise ValueError(
                'resize="pad" does not fit the backbone "resnet", which stretches every image to as many time steps: '
                'take another backbone, or resize="squeeze"'
            )
        self.tokenizer, self.mode, self.resize = tokenizer, mode, resize
        self.device = torch.device(device) if device else pick_device()
        self.model = model.to(self.device, memory_format=torch.channels_last)

    @classmethod
    def create(
        cls,
        alphabet: str | Tokenizer = "plates",
        backbone: str = "light",
        image_size: tuple[int, int] = (32, 128),
        mode: str = "RGB",
        seed: int = 0,
        device: str | torch.device | None = None,
        resize: str = "squeeze",
    ) -> "Recognizer":
        """Make an untrained recognizer; `alphabet` is a key of `ALPHABETS` or a tokenizer. Same seed, same weights."""
        tokenizer = alphabet if isinstance(alphabet, Tokenizer) else Tokenizer.from_name(alphabet)
        torch.manual_seed(seed)
        model = CRNN(tokenizer.num_classes, backbone, _CHANNELS.get(mode, 3), image_size)
        return cls(model, tokenizer, mode, device, resize)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the model takes; `read` resizes to it."""
        return self.model.image_size

    def steps(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` uint8 images -> `(N,)`, how many time steps of each count: all, or those over its ink."""
        if self.resize == "squeeze":  # then no pixel is looked at, and `images` may be a large file
            return torch.full((len(images),), self.model.time_steps)
        return self.steps_of_columns(used_columns(images))

    def steps_of_columns(self, used: Tensor) -> Tensor:
        """As `steps`, of images whose `used_columns`, `(N,)`, are known."""
        if self.resize == "squeeze":
            return torch.full_like(used, self.model.time_steps)
        return (used * self.model.time_steps / self.image_size[1]).ceil().long()

    @torch.inference_mode()
    def logits(self, images: Tensor, batch_size: int = 64) -> Tensor:
        """`(N, C, H, W)` uint8 images to `(T, N, K)` float32 logits on the CPU; steps that do not count are blank."""
        logits = blank_logits(self.model.num_classes).repeat(self.model.time_steps, len(images), 1)
        used, widths = None, torch.zeros(len(images))
        if self.resize == "pad":
            used = used_columns(images)
            widths = torch.tensor([batch_width(columns, self.image_size[1]) for columns in used])
        with evaluating(self.model):
            for width in widths.unique():  # a batch has images that `trim` cuts to one width
                for some in torch.nonzero(widths == width).flatten().split(batch_size):
                    part, steps = self.trim(images[some], None if used is None else used[some])
                    found = self.model(normalize_images(part.to(self.device)), steps)
                    logits[: len(found), some] = found.cpu()
        return logits

    def trim(self, images: Tensor, used: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Images cut to the widest and `(N,)` steps that count, None if squeezed; `used` are their `used_columns`."""
        if self.resize == "squeeze":
            return images, None
        used = used_columns(images) if used is None else used
        return images[..., : batch_width(used, images.shape[-1])], self.steps_of_columns(used).to(self.device)

    def decode(self, images: Tensor, widths: Sequence[float] | None = None, batch_size: int = 64) -> list[Reading]:
        """`(N, C, H, W)` uint8 images to N `Reading`s; `widths` as in `greedy_decode`."""
        return greedy_decode(self.logits(images, batch_size), self.tokenizer, widths)

    def read(
        self,
        samples: pd.DataFrame | Packed | str | Path | np.ndarray | Sequence,
        batch_size: int = 64,
        decoder: Callable[..., Sequence[Reading | Choice]] | None = None,
    ) -> pd.DataFrame:
        """Read images and return the results table.

        Args:
            samples: a samples table, a `Packed`, one image or a list of them. An image is a path or a uint8 array
                `(H, W, 3)` or `(H, W)`. Anything else raises a TypeError.
            decoder: what finds the text, called with logits `(T, N, K)`, `steps` and `widths`, such as
                `partial(lexicon_decode, lexicon=...)`; `greedy_decode` by default.

        Returns the samples table, same rows and order, with `prediction`, `confidence` (0..1), `spans` (a list of
        `Span` in pixels of the image as it was), where the decoder gives `Choice`s `log_prob`, `runner_up` ("" where
        there is none) and `margin`, `error` (why an image could not be read, else ""), and, where the table has labels
        in `text`, `distance` (edit distance) and `operations` (the edits that are errors).
        """
        packed = samples if isinstance(samples, Packed) else self.pack(by_place(samples))
        if decoder is None:
            readings = self.decode(packed.images, packed.widths, batch_size)
        else:
            logits, steps = self.logits(packed.images, batch_size), self.steps(packed.images).tolist()
            widths = [width * s / len(logits) for width, s in zip(packed.widths, steps)]
            readings = decoder(logits, steps=steps, widths=widths)
        unread = {"confidence": 0.0, "spans": [[] for _ in range(len(packed.rejected))]}
        if decoder is not None and all(hasattr(r, "runner_up") for r in readings):
            unread |= {"log_prob": -np.inf, "runner_up": "", "margin": 0.0}
        columns = {"prediction": [r.text for r in readings]}
        columns |= {name: [getattr(r, name) for r in readings] for name in unread}
        if "runner_up" in columns:
            columns["runner_up"] = [text or "" for text in columns["runner_up"]]
        columns["error"], unread["prediction"] = "", ""
        return results_table(samples, packed, columns, unread, operations)

    def label_losses(self, packed: Packed, batch_size: int = 64) -> np.ndarray:
        """The CTC loss of each label, `(N,)` nats; inf where the label cannot be written in its image."""
        losses = np.full(len(packed), np.inf)
        known = np.array([not self.tokenizer.missing(text) for text in packed.texts], dtype=bool)
        if known.any():
            packed = packed.keep(known)
            log_probs = self.logits(packed.images, batch_size).log_softmax(-1)
            codes = [self.tokenizer.encode(text) for text in packed.texts]
            losses[known] = ctc_losses(log_probs, codes, self.steps(packed.images).tolist()).numpy()
        return losses

    def pack(self, samples: pd.DataFrame | str | Path | np.ndarray | Sequence) -> Packed:
        """Decode images and bring them to the model's size, mode and way of resizing; `samples` as in `read`."""
        return pack_any(samples, self.image_size, self.mode, self.resize)

    def save(self, folder: str | Path, half: bool = False) -> Path:
        """Write `model.safetensors` and `config.json` into `folder`; `half=True` stores 16-bit floats."""
        own = {"backbone": self.model.backbone, "image_size": list(self.image_size), "mode": self.mode}
        config = {**own, "resize": self.resize, **self.tokenizer.to_dict()}
        return write_model(folder, "Recognizer", config, self.model, "alphabet", self.tokenizer.alphabet, half)

    @classmethod
    def load(cls, where: str | Path, device: str | torch.device | None = None) -> "Recognizer":
        """Load what `save` wrote, from a folder or by the name of a shipped model (`"plates"`).

        Raises FileNotFoundError: nothing is there, or a file is missing; ValueError: damaged files, or of two models.
        """

        def build(config: dict) -> tuple[CRNN, str]:
            alphabet, channels = Tokenizer.from_dict(config), _CHANNELS.get(config["mode"], 3)
            return CRNN(alphabet.num_classes, config["backbone"], channels, config["image_size"]), alphabet.alphabet

        keys = "backbone", "image_size", "mode", "alphabet"
        model, config = read_model(where, "Recognizer", keys, build, "alphabet")
        tokenizer, resize = Tokenizer.from_dict(config), config.get("resize", "squeeze")
        return cls(model, tokenizer, config["mode"], device, resize)

    def __repr__(self) -> str:
        height, width = self.image_size
        millions = sum(p.numel() for p in self.model.parameters()) / 1e6
        form = f"{height} x {width} {self.mode}{' padded' * (self.resize == 'pad')}"
        characters = f"{len(self.tokenizer.alphabet)} characters"
        return f"Recognizer({self.model.backbone}, {millions:.1f}M parameters, {form}, {characters}, {self.device})"
