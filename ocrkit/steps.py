"""One training step: model, augmentation, CTC loss, optimizer and 16-bit precision.

Taught in notebook 03.
"""

from __future__ import annotations

import ctypes
import sys

import torch
from torch import Tensor, nn

from ocrkit.batches import Batch
from ocrkit.images import augment, augmentation
from ocrkit.recipes import Recipe
from ocrkit.recognizer import Recognizer, normalize_images


def autocast_dtype(device: torch.device, amp: str = "auto") -> torch.dtype | None:
    """The 16-bit type to compute in, or None for plain float32.

    "auto" takes bf16 on CUDA from Ampere on and fp16 on older cards; on a CPU it takes bf16 where
    the processor has instructions for it, since without them it is slower than float32.
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

    The C library of Linux gives large blocks back at once, and each new step must then have them again, page
    by page: on a CPU that is a tenth of the training time. Taught in notebook 03.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc lack it
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, 2**31 - 1))


def _optimizer(model: nn.Module, recipe: Recipe, extra: nn.Module | None) -> torch.optim.Optimizer:
    groups = [{"params": list(model.parameters())}]
    if learned := list(extra.parameters()) if extra is not None else []:
        groups.append({"params": learned, "weight_decay": 0.0})  # decay would pull centers to the origin
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, recipe.learning_rate)
    return torch.optim.AdamW(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)


class Stepper:
    """One training step, shared by `fit`, `lr_find` and `overfit_one_batch`: model, loss, optimizer, precision.

    Call it with a `Batch`; it returns the batch's loss (a tensor, so that nothing waits for the device).

    Args:
        extra: a loss that is added to CTC in training, such as `centers.AlignedLoss`: a module that is called with
            features `(T, N, D)`, logits `(T, N, K)`, targets `(N, L)` and lengths `(N,)` and gives one number. What it
            has in parameters is learned too.
    """

    def __init__(self, recognizer: Recognizer, recipe: Recipe, extra: nn.Module | None = None):
        self.model, self.device, self.clip_norm = recognizer.model, recognizer.device, recipe.clip_norm
        self.trim = recognizer.trim
        self.extra = None if extra is None else extra.to(self.device).train()
        self.optimizer = _optimizer(self.model, recipe, self.extra)
        self.augmentation = augmentation(recipe.augment)
        self.dtype = autocast_dtype(self.device, recipe.amp)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        # Infinite losses (a label longer than the time steps) count as zero instead of spoiling the batch.
        self.criterion = nn.CTCLoss(blank=0, zero_infinity=True)

    def loss(self, batch: Batch) -> Tensor:
        """The mean CTC loss of a batch; if the model is in training mode, of augmented images and with `extra`."""
        images, steps = self.trim(batch.images)
        images = images.to(self.device, non_blocking=True)
        if self.model.training:
            images = augment(images, self.augmentation)
        extra = self.extra if self.model.training else None
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            if extra is None:
                logits = self.model(normalize_images(images), steps)
            else:
                features, logits = self.model.features_and_logits(normalize_images(images), steps)
        targets = batch.targets.to(self.device)
        # Some convolutions give a step or two less than their share of the width.
        steps = torch.full((logits.shape[1],), len(logits)) if steps is None else steps.clamp(max=len(logits))
        loss = self.criterion(logits.float().log_softmax(-1), targets, steps, batch.lengths)
        return loss if extra is None else loss + extra(features, logits, targets, batch.lengths)

    def __call__(self, batch: Batch) -> Tensor:
        loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()
