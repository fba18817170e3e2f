"""The systems that are compared: the laptop recipe, and the two plate systems that the course descends from.

The plate systems are built again as they were: their network, image size, batch size, optimizer and
augmentation; one process decodes every image anew in every epoch, and all is computed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from ocrkit.data.augmentation import augmentation
from ocrkit.data.batches import Batch, collate, loader, set_epoch
from ocrkit.data.store import packed_store
from ocrkit.reader.crnn import CRNN
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.loop import used_steps
from ocrkit.training.recipe import find_recipe
from ocrkit.training.step import Stepper

SIZE = (32, 128)


class Files(Dataset):
    """Each image is opened, decoded, resized and augmented whenever it is asked for."""

    def __init__(self, samples: pd.DataFrame, transform: nn.Module, mode: str):
        self.paths, self.texts = samples["image"].tolist(), samples["text"].tolist()
        self.transform, self.mode = transform, mode

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert(self.mode)), self.texts[index]


def file_batches(files: Files, tokenizer: Tokenizer, batch_size: int, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch, in an order of its own; one process makes them as they are asked for."""

    def join(items):
        return collate(items, tokenizer)

    order = torch.Generator().manual_seed(epoch)
    return iter(DataLoader(files, batch_size, shuffle=True, generator=order, collate_fn=join))


@dataclass(frozen=True)
class PlateSystem:
    """What one of the two plate systems is made of."""

    mode: str
    batch_size: int
    clip_norm: float | None
    shift: tuple[float, float]  # mean and deviation of the pixel values


PLATE_SYSTEMS = {
    "resnet": PlateSystem("RGB", 128, 2.0, (0.0, 1.0)),
    "vgg": PlateSystem("L", 256, None, (0.5, 0.5)),
}


class Rebuilt:
    """A plate system, trained batch by batch. Call it with a batch; `batches()` gives those of one epoch."""

    def __init__(self, name: str, samples: pd.DataFrame):
        self.system, self.name = PLATE_SYSTEMS[name], name
        self.tokenizer = Tokenizer.from_name(f"plates-{name}", "oov")
        self.batch_size = self.system.batch_size
        torch.manual_seed(0)
        self.model = CRNN(self.tokenizer.num_classes, name, 1 if self.system.mode == "L" else 3, SIZE)
        to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        self.plain = v2.Compose([v2.Resize(SIZE), *to_tensor, v2.Normalize(*([v] for v in self.system.shift))])
        changed = v2.Compose([v2.Resize(SIZE), augmentation(f"plates-{name}"), *self.plain.transforms[1:]])
        self.files = Files(samples, changed, self.system.mode)
        if name == "resnet":
            self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3, weight_decay=0.01)
        else:
            self.optimizer = torch.optim.Adam(self.model.parameters())
        self.criterion = nn.CTCLoss(blank=0, zero_infinity=name == "resnet")

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        return file_batches(self.files, self.tokenizer, self.batch_size, epoch)

    def __call__(self, batch: Batch) -> None:
        self.model.train()
        logits = self.model(batch.images)
        steps = torch.full((logits.shape[1],), logits.shape[0])
        loss = self.criterion(logits.log_softmax(-1), batch.targets, steps, batch.lengths)
        self.optimizer.zero_grad()
        loss.backward()
        if self.system.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.system.clip_norm)
        self.optimizer.step()

    @torch.no_grad()
    def read(self, samples: pd.DataFrame) -> list[str]:
        self.model.eval()
        files = Files(samples, self.plain, self.system.mode)
        images = torch.stack([files[i][0] for i in range(len(files))])
        paths = torch.cat([self.model(part).argmax(-1) for part in images.split(32)], dim=1).T.tolist()
        return [self.tokenizer.decode(path, collapse=True) for path in paths]


class Laptop:
    """A recipe of the course over a packed store; `store` is its folder."""

    name = "light"

    def __init__(self, samples: pd.DataFrame, store: Path, recipe: str = "plates", **changes):
        self.recipe = r = find_recipe(recipe, **changes)
        self.batch_size = r.batch_size
        self.recognizer = Recognizer.create(r.alphabet, r.backbone, r.image_size, r.mode, 0, "cpu", r.resize)
        self.packed = packed_store(samples, store, r.image_size, r.mode, r.resize)
        used = used_steps(self.packed, self.recognizer) if r.resize == "pad" else None
        self.loader = loader(self.packed, self.recognizer.tokenizer, self.batch_size, 0, used)
        self.stepper = Stepper(self.recognizer, r)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.stepper.optimizer, r.learning_rate, total_steps=r.epochs * len(self.loader)
        )

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        set_epoch(self.loader, epoch)
        return iter(self.loader)

    def __call__(self, batch: Batch) -> None:
        self.recognizer.model.train()
        self.stepper(batch)
        if self.schedule.last_epoch < self.schedule.total_steps - 1:
            self.schedule.step()

    def read(self, samples: pd.DataFrame) -> list[str]:
        return self.recognizer.read(samples)["prediction"].tolist()


def system(name: str, samples: pd.DataFrame, folder: Path, **changes) -> Laptop | Rebuilt:
    """One of `"light"`, `"vgg"`, `"resnet"`, ready to train on `samples`."""
    return Laptop(samples, folder / "store", **changes) if name == "light" else Rebuilt(name, samples)
