"""Predictions: how long a training will take and how much memory it needs, on a device that is not there.

A device that did nothing else would need at least `FLOPs / peak` and at least `bytes / bandwidth` seconds for an
operation; the larger of the two is the bound of the roofline model (Williams, Waterman, Patterson 2009,
https://doi.org/10.1145/1498765.1498785). No device reaches its peaks, so each is multiplied by the share of it that
such work gets. A share is a range, and so is a prediction. `tools/benchmarks/costs.py` puts predictions beside
measured runs. Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import pandas as pd
import torch
from torch import Tensor, nn

from ocrkit.data.batches import Batch
from ocrkit.training.costs import memory_bytes, operations
from ocrkit.training.devices import DEVICES, GIGA, Device
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper, autocast_dtype

#: Bytes that the graphics driver and the libraries take besides the tensors: an assumption.
CONTEXT = (0.4 * GIGA, 1.0 * GIGA)
#: Bytes in use at the peak over those that are saved for the backward pass, as gradients are on their way and gaps are
#: between tensors: an assumption.
PASSING = (1.0, 1.5)
#: Bytes a second at which batches are gathered, and seconds an image for its label. A third of what is measured on a
#: laptop's processor, up to what is measured.
GATHER = (0.6 * GIGA, 2.0 * GIGA)
LABEL = (15e-6, 45e-6)


def recipe_step(
    recipe: Recipe, bits: int = 32, used: float = 1.0, device: str = "cpu"
) -> tuple[nn.Module, Callable[[int], object]]:
    """The model of a recipe, new, and what takes one training step with n made-up images.

    Args:
        bits: 16 computes in the 16-bit type that suits the device, bf16 on a CPU; 32 in float32.
        used: the share of the width up to which padded images have ink.
    """
    from ocrkit.reader.recognizer import Recognizer
    from ocrkit.tasks.glyphs.classifier import GlyphClassifier
    from ocrkit.tasks.glyphs.network import BACKBONES
    from ocrkit.tasks.glyphs.training import GlyphStepper
    from ocrkit.tasks.letters.detector import FieldDetector
    from ocrkit.tasks.letters.detector_models import DETECTORS
    from ocrkit.tasks.letters.detector_training import DetectorStepper

    half = autocast_dtype(torch.device(device)) or torch.bfloat16
    amp = {torch.bfloat16: "bf16", torch.float16: "fp16"}[half] if bits == 16 else "off"
    height, width = recipe.image_size
    channels = 3 if recipe.mode == "RGB" else 1

    def images(n: int) -> Tensor:
        made = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8)
        made[..., max(1, round(width * used)) :] = 255
        return made

    if recipe.backbone in DETECTORS:
        detector = FieldDetector.create(recipe.backbone, image_size=recipe.image_size, device=device)
        stepper, channels = DetectorStepper(detector, amp=amp, window=recipe.window or None), 1
        box, kind = torch.tensor([[0.5 * width, 10.0, 0.6 * width, 20.0]]), torch.tensor([1])
        return detector.model, lambda n: stepper(recipe.learning_rate, images(n), [box] * n, [kind] * n)
    if recipe.backbone in BACKBONES:
        names = [str(k) for k in range(43)]  # the number of classes hardly counts
        form = recipe.image_size, recipe.mode, recipe.resize
        classifier = GlyphClassifier.create(names, recipe.backbone, *form, device=device)
        stepper = GlyphStepper(classifier, recipe.learning_rate, recipe.augment, amp=amp)
        return classifier.model, lambda n: stepper(images(n), torch.zeros(n, dtype=torch.long))
    form = recipe.image_size, recipe.mode, recipe.seed, device, recipe.resize
    alphabet = "names" if recipe.alphabet == "samples" else recipe.alphabet  # as above
    recognizer = Recognizer.create(alphabet, recipe.backbone, *form)
    stepper = Stepper(recognizer, replace(recipe, amp=amp))
    for group in stepper.optimizer.param_groups:
        group["foreach"] = True  # as on a graphics card: a few operations for all weights at once

    def step(n: int) -> Tensor:
        recognizer.model.train()
        targets = torch.arange(1, 8).repeat(n, 1) % (recognizer.model.num_classes - 1) + 1
        return stepper(Batch(images(n), targets, torch.full((n,), 7), [""] * n))

    return recognizer.model, step


def predict(
    recipe: Recipe, images: int, device: str | Device = "T4", bits: int | None = None, used: float = 1.0
) -> dict[str, object]:
    """Predict a training of `images` images an epoch by `recipe` on a device: from the lowest to the highest.

    Args:
        device: a key of `DEVICES`, or what `measure_device` gives.
        bits: of the computation; by default 16 where the recipe and the device allow it.
        used: the share of the width up to which padded images have ink, on average: batches are cut to it.

    Returns:
        One value a key, so that a list of them makes a table: `device`, `bits`, `batch_size`, `images_per_second_low`
        and `_high`, `epoch_seconds_low` and `_high`, `hours_low` and `_high` (all epochs), `gigabytes_low` and `_high`,
        `largest_batch` (that surely fits), and `limit`, what takes most of the time: "compute" or "memory traffic" of
        the device, "LSTM steps", "launches" (the host cannot start operations faster), or "loader". Packing, rendering
        and validation come on top.

    Raises:
        ValueError: no device has that name, or there are no images.

    Taught in notebook 12.
    """
    if isinstance(device, str):
        if device not in DEVICES:
            raise ValueError(f"no device is named {device!r}; there are: {', '.join(DEVICES)}, or measure_device()")
        device = DEVICES[device]
    if images < 1:
        raise ValueError(f"images={images}: there must be at least 1")
    bits = bits or (32 if recipe.amp == "off" or 16 not in device.peak else 16)
    n, (table, memory) = recipe.batch_size, _counted(recipe, bits, used)
    pixels = n * recipe.image_size[0] * recipe.image_size[1] * (3 if recipe.mode == "RGB" else 1)
    bounds = [_bounds(table, device, bits, pixels, n, end) for end in (0, 1)]  # slowest, fastest
    speeds = [n / _total(parts, device) * device.scaling[end] for end, parts in enumerate(bounds)]
    fixed = memory["total"] - memory["activations"]
    held = [fixed + memory["activations"] * PASSING[end] + CONTEXT[end] * device.beside for end in (0, 1)]
    spare = device.memory - fixed - CONTEXT[1] * device.beside
    epochs = recipe.epochs + recipe.head_epochs
    return {
        "device": device.name, "bits": bits, "batch_size": n,
        "images_per_second_low": speeds[0], "images_per_second_high": speeds[1],
        "epoch_seconds_low": images / speeds[1], "epoch_seconds_high": images / speeds[0],
        "hours_low": epochs * images / speeds[1] / 3600, "hours_high": epochs * images / speeds[0] / 3600,
        "gigabytes_low": held[0] / GIGA, "gigabytes_high": held[1] / GIGA,
        "largest_batch": max(0, int(spare / (memory["activations"] / n * PASSING[1]))),
        "limit": _limit(pd.DataFrame(bounds).mean().to_dict(), device),
    }  # fmt: skip


@lru_cache(maxsize=32)
def _counted(recipe: Recipe, bits: int, used: float) -> tuple[pd.DataFrame, dict[str, float]]:
    """The operations of a step and the memory it needs; they are the same for all devices."""
    model, step = recipe_step(recipe, bits, used)
    table = _step_operations(model, step, recipe.batch_size)
    return table, memory_bytes(model, (recipe.batch_size,), bits, step=step)


def _step_operations(model: nn.Module, step: Callable[[int], object], n: int, rounds: int = 2) -> pd.DataFrame:
    """`costs.operations` of a step with n images, continued in a straight line from two steps with few.

    Augmentation works on 16 parts of a batch, however large it is, and draws what it does: so a mean over some rounds.
    """
    torch.manual_seed(0)
    few = max(2, min(16, n // 2))
    step(few)  # the first step also makes the state of the optimizer
    tables = []
    for images in (few, 2 * few):
        found = pd.concat([operations(model, partial(step, images)) for _ in range(rounds)])
        tables.append(found.groupby(level=0).sum() / rounds)
    kinds = tables[0].index.union(tables[1].index)
    first, second = (table.reindex(kinds, fill_value=0.0) for table in tables)
    table = (first + (second - first) / few * (n - few)).clip(lower=0)
    return table.assign(calls=second["calls"], steps=second["steps"])


def _kind(operation: str) -> str:
    return "convolution" if "conv" in operation else "lstm" if operation == "lstm" else "matrix"


def _bounds(table: pd.DataFrame, device: Device, bits: int, pixels: int, n: int, end: int) -> dict[str, float]:
    """Seconds of a step by what they are spent on; `end` 0 is the slow end of all ranges, 1 the fast one."""
    late = 1 - end  # of ranges that are seconds, the second value is the slow one
    parts = dict.fromkeys(("compute", "memory traffic", "LSTM steps"), 0.0)
    for row in table.itertuples():
        own = {
            "compute": row.flops / device.peak[bits] / device.shares[_kind(row.Index)][end],
            "memory traffic": row.bytes / device.bandwidth / device.shares["traffic"][end],
            "LSTM steps": row.steps * device.step[late],
        }
        limit = max(own, key=own.get)
        parts[limit] += own[limit]
    parts["launches"] = table["calls"].sum() * device.call[late]
    return parts | {"loader": pixels / GATHER[end] + n * LABEL[late]}


def _host(parts: dict[str, float]) -> dict[str, float]:
    return {name: parts[name] for name in ("launches", "loader")}


def _total(parts: dict[str, float], device: Device) -> float:
    host = sum(_host(parts).values())
    work = sum(parts.values()) - host
    return max(work, host) if device.beside else work + host


def _limit(parts: dict[str, float], device: Device) -> str:
    host = _host(parts)
    if device.beside:
        parts = host if sum(host.values()) > sum(parts.values()) / 2 else {k: parts[k] for k in parts.keys() - host}
    return max(parts, key=parts.get)
