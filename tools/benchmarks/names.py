"""Handwritten names: the Keras system that the course descends from, built again in torch, beside our own recipe.

Both learn from the same rendered names for the same time, a part of `make bench`. The train hands write what is
learned, the test hands what is read; a name may occur in both.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from itertools import chain, count, islice
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from ocrkit.data.batches import Batch
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.errors.intervals import wilson_interval
from ocrkit.errors.metrics import accuracy, cer
from ocrkit.reader.crnn import CRNN
from ocrkit.synth import render_names
from ocrkit.text.strings import names_text
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.step import keep_memory
from tools.benchmarks.systems import Files, Laptop, file_batches

SIZE = (64, 256)
LONGEST = 22  # all labels are filled up to so many characters
UNUSED = 2  # time steps at the start that the loss leaves out
CURVE = 200  # images that are read now and then while a system trains


class KerasNames:
    """The Keras system for handwritten names: network, image size, optimizer, loss and early stopping as they were.

    Every image is decoded, squeezed to 64 x 256 and divided by 255 whenever it is asked for, in one process; there is
    no augmentation. It turns images by 90 degrees, so that time is the first axis; here the columns are time as they
    are, which is the same network. With the weights of one copied to the other, Keras and this give the same outputs.
    Of what is not known, Keras's defaults are taken (start values, ReLU behind the dense layer).

    Args:
        samples: a samples table, to train on.
        fill_counts: labels are filled up to 22 with the number 100, and the loss is told that all 22 count. That does
            no harm in TensorFlow, by luck: its loss ends a label at the first number from K - 1 on, and there are
            K = 31 classes, so it is the loss of the true lengths. That is what False gives. True shows what becomes of
            it where the fill is a class of the model: every name ends in a row of that character, PAD, with blanks
            between, which have to be learned too.

    Call it with a batch to train on that; `batches()` gives those of one epoch, `fit` trains as it was done.
    """

    name, batch_size = "lenet", 128

    def __init__(self, samples: pd.DataFrame, fill_counts: bool = False):
        self.fill_counts = fill_counts
        self.tokenizer = Tokenizer.from_name("names", "oov")
        torch.manual_seed(0)
        self.model = CRNN(self.tokenizer.num_classes, "lenet", 1, SIZE)
        self.plain = v2.Compose([v2.Resize(SIZE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        self.files = Files(samples, self.plain, "L")
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.002, momentum=0.9, nesterov=True)
        self.decay = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 1 / (1 + 1e-6 * step))

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        return file_batches(self.files, self.tokenizer, self.batch_size, epoch)

    def loss(self, batch: Batch) -> Tensor:
        """CTC loss, the mean over the images of what each costs: Keras does not divide by the length of the label."""
        logits, targets, lengths = self.model(batch.images)[UNUSED:], batch.targets, batch.lengths
        if self.fill_counts:
            longest = max(LONGEST, targets.shape[1])
            targets = F.pad(targets, (0, longest - targets.shape[1]), value=Tokenizer.PAD)
            lengths = torch.full_like(lengths, longest)
        steps = torch.full_like(lengths, len(logits))
        return F.ctc_loss(logits.log_softmax(-1), targets, steps, lengths, reduction="sum") / len(lengths)

    def __call__(self, batch: Batch) -> Tensor:
        self.model.train()
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        for weights in self.model.parameters():
            nn.utils.clip_grad_norm_([weights], 5.0)  # one by one: Keras's `clipnorm` looks at each tensor alone
        self.optimizer.step()
        self.decay.step()
        return loss.detach()

    def fit(self, valid: pd.DataFrame, epochs: int = 6, steps: int = 1000, patience: int = 5) -> pd.DataFrame:
        """Train and leave the weights of the epoch with the least loss on `valid`; an epoch is a number of steps.

        Returns a row an epoch: `epoch`, `train_loss`, `valid_loss`. It stops when `patience` epochs brought no less.
        """
        stream = chain.from_iterable(self.batches(k) for k in count())
        history, best, best_epoch = [], {}, 0
        for epoch in range(1, epochs + 1):
            losses = [self(batch).item() for batch in islice(stream, steps)]
            history.append((epoch, sum(losses) / steps, self.validate(valid)))
            if history[-1][2] == min(row[2] for row in history):
                best, best_epoch = {k: t.clone() for k, t in self.model.state_dict().items()}, epoch
            elif epoch - best_epoch >= patience:
                break
        self.model.load_state_dict(best)
        return pd.DataFrame(history, columns=["epoch", "train_loss", "valid_loss"])

    @torch.no_grad()
    def validate(self, samples: pd.DataFrame) -> float:
        """The mean loss on `samples`."""
        self.model.eval()
        parts = file_batches(Files(samples, self.plain, "L"), self.tokenizer, self.batch_size, 0)
        return sum(self.loss(part).item() * len(part.texts) for part in parts) / len(samples)

    @torch.no_grad()
    def read(self, samples: pd.DataFrame) -> list[str]:
        self.model.eval()
        files = Files(samples, self.plain, "L")
        images = torch.stack([files[i][0] for i in range(len(files))])
        paths = torch.cat([self.model(part)[UNUSED:].argmax(-1) for part in images.split(32)], dim=1).T.tolist()
        return [self.tokenizer.decode(path, collapse=True) for path in paths]


class NamesLaptop(Laptop):
    """The recipe `names-start` of the course, with its learning rate spread over a time instead of its epochs."""

    def __init__(self, samples: pd.DataFrame, store: Path):
        super().__init__(samples, store, "names-start")

    def __call__(self, batch: Batch) -> None:
        self.recognizer.model.train()
        self.stepper(batch)

    def pace(self, share: float) -> None:
        """Set the learning rate for the moment when `share` (0 to 1) of the time is over."""
        while self.schedule.last_epoch < min(share, 1.0) * (self.schedule.total_steps - 1):
            self.schedule.step()


def rendered_names(n: int, split: str, folder: Path) -> pd.DataFrame:
    """`n` rendered names in the hands of `split`, `"train"` or `"test"`, as JPEG files, written once."""
    target, labels = folder / f"names-{split}-{n}", folder / f"names-{split}-{n}.csv"
    if not labels.exists():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        parts = []
        for first in range(0, n, 4096):
            images, part = render_names(min(4096, n - first), 8, None, os.cpu_count() or 1, first, split)
            names = [f"{first + i:06d}.jpg" for i in range(len(part))]
            for name, image in zip(names, images, strict=True):
                Image.fromarray(image[..., 0]).save(target / name, quality=95)
            parts.append(part.assign(image=names))
        pd.concat(parts)[["image", "text", "split"]].to_csv(labels, index=False)
    samples = pd.read_csv(labels, keep_default_na=False)
    return samples.assign(image=[str(target / name) for name in samples["image"]])


def held_out(place: str) -> pd.DataFrame:
    """The test split of a folder of real names; a folder that is one split for its owner has one by text."""
    samples = load_samples(place)
    samples = samples if (samples["split"] == "test").any() else assign_splits(samples)
    samples = samples.assign(text=samples["text"].map(names_text))
    return samples[(samples["split"] == "test") & (samples["text"] != "")].reset_index(drop=True)


def figures(truth: list[str], read: list[str]) -> dict:
    """Number of images, exact matches with their 95% interval, and CER."""
    right = sum(a == b for a, b in zip(truth, read, strict=True))
    interval = wilson_interval(right, len(truth))
    return {"n": len(truth), "accuracy": accuracy(truth, read), "interval": interval, "cer": cer(truth, read)}


def names(folder: Path, name: str, seconds: float, rendered: int, tested: int, real: str = "") -> dict:
    """Train `"light"` or `"lenet"` for so many seconds on `rendered` names; what it reads now and then, and at the end.

    Args:
        tested: number of rendered names that are read at the end.
        real: a folder of real names, whose test split is read too.

    The time for packing counts, the time for rendering and reading does not. Early stopping would look at the
    validation loss after 1,000 steps, and two processor cores do not get so far in some minutes.
    """
    train, test = rendered_names(rendered, "train", folder), rendered_names(tested, "test", folder)
    exams = {"rendered names": test} | ({f"real: {Path(real).resolve().name}": held_out(real)} if real else {})
    store = folder / "names-store"
    shutil.rmtree(store, ignore_errors=True)  # packing counts, so it must not be there from another run
    started = time.perf_counter()
    if name == "light":
        keep_memory()
    run = NamesLaptop(train, store) if name == "light" else KerasNames(train)
    spent = packing = time.perf_counter() - started
    stream = chain.from_iterable(run.batches(k) for k in count())
    watched, curve, n, following = test[:CURVE], [], 0, 0.0
    while spent < seconds or not n:
        started = time.perf_counter()
        batch = next(stream)
        run(batch)
        if name == "light":
            run.pace(spent / seconds)
        spent += time.perf_counter() - started
        n += len(batch.texts)
        if spent >= min(following, seconds):
            following = spent + seconds / 25
            curve.append((round(spent, 1), cer(watched["text"].tolist(), run.read(watched))))
            print(f"{name}: {curve[-1][0]:.0f} s, CER {curve[-1][1]:.4f}", flush=True)
    found = {what: figures(part["text"].tolist(), run.read(part)) for what, part in exams.items()}
    speed = n / (spent - packing)
    return {"seconds": seconds, "batch": run.batch_size, "images_per_second": speed, "curve": curve, "exams": found}
