"""One training step: model, augmentation, CTC loss, optimizer, 16-bit precision. Taught in notebook 03."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from ocrkit.data.augmentation import augment, augmentation
from ocrkit.data.batches import Batch
from ocrkit.reader.device import normalize_images
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.processes import accelerator, own_part, rank_and_world
from ocrkit.training.recipe import Recipe


def autocast_dtype(device: torch.device, amp: str = "auto") -> torch.dtype | None:
    """The 16-bit type to compute in, or None for plain float32.

    "auto": bf16 where the device has instructions for it (CUDA from Ampere on), fp16 on older cards, else float32.
    """
    if amp != "auto":
        return {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    # No public call answers this for CPUs; where a version of torch lacks it, float32 is safe.
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if device.type == "cpu" and has_bf16() else None


def keep_memory() -> bool:
    """Let the memory of freed tensors stay with this process; returns whether the system was one where that works.

    The C library of Linux gives large blocks back at once, and each new step must have them again, page by page: on a
    CPU that is a tenth of the training time. Taught in notebook 03.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc lack it
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, 2**31 - 1))


@contextmanager
def on_trial(recognizer: Recognizer) -> Iterator[None]:
    """A block in training mode, after which weights, mode and random numbers are as they were."""
    model, training = recognizer.model, recognizer.model.training
    before = copied_weights(model)
    try:
        with torch.random.fork_rng([recognizer.device] if recognizer.device.type == "cuda" else []):
            model.train()
            yield
    finally:
        model.load_state_dict(before)
        model.train(training)
        model.zero_grad(set_to_none=True)


class Stepper:
    """One training step: call it with a `Batch`, and it returns the loss (a tensor: nothing waits for the device).

    Each of several processes is given the whole batch and computes its part; loss and step are those of all, and the
    weights at the start those of the first. `extra`, such as `centers.AlignedLoss`, is added to CTC in training: a
    module of features `(T, N, D)`, logits `(T, N, K)`, targets `(N, L)` and lengths `(N,)` that gives one number, and
    whose parameters are learned too. Raises ValueError for `extra` where a batch is in parts, and for a batch of fewer
    images than parts.
    """

    def __init__(self, recognizer: Recognizer, recipe: Recipe, extra: nn.Module | None = None):
        parts = recipe.accumulate * rank_and_world()[1]
        where = f"{parts} parts ({rank_and_world()[1]} processes, accumulate={recipe.accumulate})"
        if extra is not None and parts > 1:
            raise ValueError(
                f"extra={type(extra).__name__} compares the characters of a whole batch, which is in {where} here: "
                "train with it in one process, with accumulate=1"
            )
        if recipe.batch_size < parts:
            raise ValueError(
                f"batch_size={recipe.batch_size} is the batch of all processes together, too small for {where}: "
                f"set batch_size to {parts} or more"
            )
        self.model, self.trim, self.accumulate = recognizer.model, recognizer.trim, recipe.accumulate
        self.accelerator, self.forward = accelerator(), self.model
        if self.accelerator:
            recognizer.device = self.accelerator.device
            if recognizer.device.type == "cuda":
                nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # torch has none for CPUs
            self.forward = self.accelerator.prepare(self.model)
        self.device, self.clip_norm = recognizer.device, recipe.clip_norm
        self.extra = None if extra is None else extra.to(self.device).train()
        groups = [{"params": [*self.model.parameters()]}]
        if extra is not None and (learned := [*self.extra.parameters()]):
            groups.append({"params": learned, "weight_decay": 0.0})  # decay would pull centers to the origin
        adam = recipe.optimizer == "adam"
        kind, decay = (torch.optim.Adam, 0.0) if adam else (torch.optim.AdamW, recipe.weight_decay)
        self.optimizer = kind(groups, recipe.learning_rate, weight_decay=decay)
        self.augmentation = None if recipe.augment == "none" else augmentation(recipe.augment)
        self.dtype = autocast_dtype(self.device, recipe.amp)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        # Infinite losses (a label longer than the time steps) count as zero instead of spoiling the batch.
        self.criterion = nn.CTCLoss(blank=0, zero_infinity=True)

    def loss(self, batch: Batch) -> Tensor:
        """The mean CTC loss of a batch, in this process; in training mode of augmented images and with `extra`."""
        every = slice(0, len(batch.texts))
        return self._loss(self._inputs(batch, every), every)

    def _inputs(self, batch: Batch, rows: slice) -> tuple[Tensor | None, ...]:
        """Images, time steps, targets and lengths of some rows of a batch."""
        images, steps = self.trim(batch.images)
        images = images[rows].to(self.device, non_blocking=True)
        if self.model.training and self.augmentation:
            images = augment(images, self.augmentation)
        steps = None if steps is None else steps[rows]
        return images, steps, batch.targets[rows].to(self.device), batch.lengths[rows]

    def _loss(self, inputs: tuple[Tensor | None, ...], piece: slice) -> Tensor:
        images, steps, targets, lengths = (None if part is None else part[piece] for part in inputs)
        images, extra = normalize_images(images), self.extra if self.model.training else None
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            if extra is not None:
                features, logits = self.model.features_and_logits(images, steps)
            else:
                logits = (self.forward if self.model.training else self.model)(images, steps)
        # Some convolutions give a step or two less than their share of the width.
        steps = torch.full((logits.shape[1],), len(logits)) if steps is None else steps.clamp(max=len(logits))
        loss = self.criterion(logits.float().log_softmax(-1), targets, steps, lengths)
        return loss if extra is None else loss + extra(features, logits, targets, lengths)

    def __call__(self, batch: Batch) -> Tensor:
        n, world = len(batch.texts), rank_and_world()[1]
        rows = own_part(n) if n >= world else slice(0, n)  # of fewer images than processes each computes all
        own = rows.stop - rows.start
        inputs, total = self._inputs(batch, rows), torch.zeros((), device=self.device)
        self.optimizer.zero_grad(set_to_none=True)
        ends = sorted({own * k // self.accumulate for k in range(self.accumulate + 1)})
        for start, stop in zip(ends, ends[1:]):
            # The gradients travel with the last piece.
            waits = self.accelerator and stop < own
            with self.accelerator.no_sync(self.forward) if waits else nullcontext():
                # CTC's mean counts every image alike, so these parts add up to the mean over the batch; over the
                # processes, DistributedDataParallel takes the mean.
                loss = self._loss(inputs, slice(start, stop)) * ((stop - start) / (n / world if n >= world else n))
                self.scaler.scale(loss).backward()
            total = total + loss.detach()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.accelerator.reduce(total, "mean") if self.accelerator else total
