"""`make bench`: how fast the road is, as ratios measured in one run. Each figure is the best of three tries.

Absolute figures depend on the machine; the ratios are what to compare.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pandas as pd
import torch

from ocrkit.batches import Packed, loader, pack
from ocrkit.images import augment, augmentation, read_sample
from ocrkit.models import CRNN
from ocrkit.recipes import Recipe
from ocrkit.recognizer import Recognizer
from ocrkit.samples import load_samples
from ocrkit.steps import Stepper
from ocrkit.synth import render_plates
from ocrkit.text import Tokenizer


def per_second(n: int, work: Callable[[], object]) -> float:
    """`work` handles n things; how many a second, best of three after one to warm up."""
    work()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return n / min(seconds)


def training(backbone: str, amp: str, packed: Packed, batch_size: int, channels_last: bool = True) -> float:
    """Training images a second, augmentation and loading included."""
    alphabet = {"light": "plates", "vgg": "plates-vgg", "resnet": "plates-resnet"}[backbone]
    tokenizer = Tokenizer.from_name(alphabet, "oov")
    recognizer = Recognizer(CRNN(tokenizer.num_classes, backbone), tokenizer)
    if not channels_last:
        recognizer.model.to(memory_format=torch.contiguous_format)
    stepper = Stepper(recognizer, Recipe(amp=amp, augment="plates" if backbone == "light" else f"plates-{backbone}"))
    recognizer.model.train()
    part = packed.keep([i < batch_size for i in range(len(packed))])
    return per_second(batch_size, lambda: [stepper(b) for b in loader(part, tokenizer, batch_size)])


def main() -> None:
    """Measure and print one table."""
    rows: list[tuple[str, float, float]] = []

    def add(name: str, value: float, base: float | None = None) -> float:
        rows.append((name, value, value / base if base else 1.0))
        return value

    torch.manual_seed(0)
    samples = load_samples("plates")
    threads = torch.get_num_threads()

    torch.set_num_threads(1)
    base = add("render_plates, 1 process", per_second(400, lambda: render_plates(400, seed=1)))
    add("render_plates, 2 processes", per_second(1600, lambda: render_plates(1600, seed=1, workers=2)), base)
    torch.set_num_threads(threads)

    base = add(
        "read_sample (decode a JPEG)", per_second(len(samples), lambda: [read_sample(r) for r in samples.itertuples()])
    )
    add("pack (decode, resize, store)", per_second(len(samples), lambda: pack(samples)), base)
    packed = pack(samples)
    pipeline = augmentation("plates")
    add("augment a batch of 256", per_second(256, lambda: augment(packed.images[:256], pipeline)), base)

    base = add("train resnet, fp32", training("resnet", "off", packed, 32, channels_last=False))
    add("train vgg, fp32", training("vgg", "off", packed, 128, channels_last=False), base)
    add("train light, fp32", training("light", "off", packed, 128, channels_last=False), base)
    add("train light, fp32, channels last", training("light", "off", packed, 128), base)
    add("train light, automatic precision, channels last", training("light", "auto", packed, 128), base)

    reader = Recognizer.create()
    one = packed.images[:64]
    base = add("read, batch 1", per_second(64, lambda: reader.decode(one, batch_size=1)))
    add("read, batch 64", per_second(len(packed), lambda: reader.decode(packed.images, batch_size=64)), base)

    print(f"torch {torch.__version__}, {threads} threads, {reader.device}")
    table = pd.DataFrame(rows, columns=["what", "images a second", "times the first of its block"])
    print(table.to_string(index=False, float_format=lambda v: f"{v:,.1f}"))


if __name__ == "__main__":
    main()
