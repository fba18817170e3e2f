"""The single measurements of `make bench`, each run in a process of its own, so that its memory is its own.

`python -m tools.benchmarks.measures NAME key=value ...` prints one JSON object as its last line.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.augmentation import augment, augmentation
from ocrkit.data.batches import Batch
from ocrkit.data.images import read_sample
from ocrkit.data.packed import pack
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.data.store import packed_store
from ocrkit.errors.intervals import wilson_interval
from ocrkit.errors.metrics import cer
from ocrkit.reader.crnn import CRNN
from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth import render_plates
from ocrkit.training.step import keep_memory
from tools.benchmarks.browser import browser_times
from tools.benchmarks.lprnet import LPRNet
from tools.benchmarks.names import names
from tools.benchmarks.systems import SIZE, Laptop, Rebuilt, system
from tools.samples import write_plates


def per_second(n: int, work: Callable[[], object], tries: int = 3) -> float:
    """`work` handles n things; how many a second, best of `tries` after one to warm up."""
    work()
    seconds = []
    for _ in range(tries):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return n / min(seconds)


def own_memory() -> float:
    """MB that this process holds for itself. Pages of mapped files, which the system may drop, do not count."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    line = next(x for x in status.read_text().splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) / 1000


def rendered_files(n: int, folder: Path) -> pd.DataFrame:
    """`n` rendered plates as JPEG files, written once."""
    target = folder / f"plates-{n}"
    done = folder / f"plates-{n}.done"  # beside the folder: in it, everything counts as an image
    if not done.exists():
        write_plates(target, n, 7, "train")
        done.touch()
    return load_samples(target)


def small_steps(folder: Path) -> dict:
    """Rendering, decoding, packing and augmenting, in images a second."""
    samples = load_samples("plates")
    torch.set_num_threads(1)
    speeds = {"render_plates, 1 process": per_second(400, lambda: render_plates(400, seed=1))}
    speeds["render_plates, 2 processes"] = per_second(1600, lambda: render_plates(1600, seed=1, workers=2))
    torch.set_num_threads(2)
    rows = list(samples.itertuples())
    speeds["decode a JPEG file"] = per_second(len(rows), lambda: [read_sample(r) for r in rows])
    speeds["decode, resize and pack"] = per_second(len(rows), lambda: pack(samples))
    packed, pipeline = packed_store(samples, folder / "small-store"), augmentation("plates")
    order = np.random.default_rng(0).permutation(len(packed))
    speeds["take from the packed store"] = per_second(len(packed), lambda: packed.__getitems__(order))
    speeds["augment, in batches of 128"] = per_second(128, lambda: augment(packed.images[:128], pipeline))
    return speeds


def train_on(run, batches: Iterable[Batch]) -> tuple[float, float, Batch]:
    """Train on `batches`: images a second, the most memory held in MB, and the last batch."""
    started, n, most = time.perf_counter(), 0, 0.0
    for batch in batches:
        run(batch)
        n += len(batch.texts)
        most = max(most, own_memory())
    return n / (time.perf_counter() - started), most, batch


def training(folder: Path, name: str, steps: int) -> dict:
    """Training images a second with loading and without, best of three times `steps` batches, and the most memory."""
    samples = rendered_files(4096, folder)
    run = system(name, samples, folder)
    if name == "light":
        keep_memory()  # as `fit` does
    batches = run.batches()
    run(next(batches))  # warm up
    most, with_loading, alone = 0.0, [], []
    for _ in range(3):
        speed, held, batch = train_on(run, islice(batches, steps))
        with_loading.append(speed)
        alone.append(train_on(run, [batch] * steps)[0])
        most = max(most, held)
    speeds = {"images_per_second": max(with_loading), "without_loading": max(alone)}
    return {**speeds, "memory_mb": most, "batch": run.batch_size}


def race(folder: Path, name: str, plates: str, minutes: float, rendered: int, repeat: int) -> dict:
    """Train for at most `minutes` and read held-out real plates now and then: the CER over the time spent.

    The time for packing counts; the time for measuring does not.
    """
    real = load_samples(plates)
    held_out, train = real[real["split"] != "train"], real[real["split"] == "train"]
    samples = pd.concat([rendered_files(rendered, folder), *[train] * repeat], ignore_index=True)
    shutil.rmtree(folder / "store", ignore_errors=True)  # packing counts, so it must not be there from another run
    started = time.perf_counter()
    run = system(name, samples, folder)
    if name == "light":
        keep_memory()
    epochs = run.recipe.epochs if name == "light" else float("inf")
    spent, curve, epoch, pause = time.perf_counter() - started, [], 0, 8.0 if name == "light" else 60.0
    following = pause
    while spent < minutes * 60 and epoch < epochs:
        batches = run.batches(epoch)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            if batch is not None:
                run(batch)
            spent += time.perf_counter() - started
            if spent >= min(following, minutes * 60) or batch is None:
                following = spent + pause
                curve.append((round(spent, 1), cer(held_out["text"].tolist(), run.read(held_out))))
                print(f"{name}: {curve[-1][0]:.0f} s, CER {curve[-1][1]:.4f}", flush=True)
            if batch is None or spent >= minutes * 60:
                break
        epoch += 1
    return {"curve": curve, "n": len(held_out)}


def reading(folder: Path, name: str) -> dict:
    """Images read a second, from uint8 arrays of camera size to texts, one by one and 64 at a time."""
    images = [read_sample(r) for r in load_samples("plates", split="test").itertuples()][:64]
    if name == "light":
        reader = Recognizer.load("plates", device="cpu")
        read = dict.fromkeys((1, 64), reader.read)
    elif name == "lprnet":
        model = LPRNet().eval()

        def forward(part: list[np.ndarray]) -> None:
            packed = pack(pd.DataFrame({"image": part}), (24, 94))
            with torch.inference_mode():
                model(packed.images.float().sub_(127.5).mul_(1 / 128)).argmax(1).tolist()

        read = dict.fromkeys((1, 64), forward)
    else:
        read = {b: rapidocr(b) for b in (1, 64)}

    def all_of_them(b: int) -> list:
        return [read[b](images[i : i + b]) for i in range(0, 64, b)]

    return {f"batch {b}": per_second(64, partial(all_of_them, b), tries=5) for b in read}


def rapidocr(batch: int) -> Callable[[list[np.ndarray]], list[str]]:
    """RapidOCR's reader of text lines, on two threads as the others, without its search for lines in a page."""
    from rapidocr import RapidOCR
    from rapidocr.ch_ppocr_rec import TextRecInput

    logging.disable(logging.INFO)
    settings = {"EngineConfig.onnxruntime.intra_op_num_threads": 2, "Rec.rec_batch_num": batch}
    engine = RapidOCR(params=settings)
    engine(np.zeros((32, 128, 3), np.uint8), use_det=False, use_cls=False, use_rec=True)  # loads the reader of lines
    recognize = engine.text_rec
    return lambda images: recognize(TextRecInput(img=[np.ascontiguousarray(i[..., ::-1]) for i in images])).txts


def exam(folder: Path, name: str, plates: str) -> dict:
    """Exact matches and CER on the test split of real plates, which nothing here was trained on.

    RapidOCR writes the dot after the second character and now and then a space; neither is counted.
    """
    samples = load_samples(plates)
    # A folder that is one split for its owner has a test part here all the same, by text.
    part = samples if (samples["split"] == "test").any() else assign_splits(samples)
    part = part[(part["split"] == "test") & (part["text"] != "")]
    images = [read_sample(r) for r in part.itertuples()]
    if name == "light":
        texts = Recognizer.load("plates", device="cpu").read(part)["prediction"].tolist()
    else:
        texts = [re.sub(r"[^\w]", "", t) for t in rapidocr(6)(images)]
    right = sum(a == b for a, b in zip(part["text"], texts, strict=True))
    interval = wilson_interval(right, len(part))
    return {"n": len(part), "accuracy": right / len(part), "interval": interval, "cer": cer(part["text"], texts)}


def growth(folder: Path, n: int) -> dict:
    """Pack `n` files, load an epoch of them, train on 40 batches: seconds, images a second, MB on disk, MB held."""
    files = rendered_files(4096, folder)
    samples = pd.concat([files] * -(-n // len(files)), ignore_index=True)[:n]  # decoding costs the same each time
    store = folder / f"growth-{n}"
    started = time.perf_counter()
    Laptop(samples, store)
    packing, memory_packing = time.perf_counter() - started, own_memory()
    started = time.perf_counter()
    run = Laptop(samples, store)
    opening = time.perf_counter() - started
    started = time.perf_counter()
    for _ in run.batches():
        pass
    loading = time.perf_counter() - started
    speed, most, _ = train_on(run, islice(run.batches(), 40))
    size = sum(f.stat().st_size for f in store.iterdir()) / 1e6
    return {
        "packing_s": packing, "opening_s": opening, "loading_s": loading, "images_per_second": speed,
        "disk_mb": size, "packing_mb": memory_packing, "memory_mb": most,
    }  # fmt: skip


def anatomy(folder: Path) -> dict:
    """What each step of the laptop recipe is worth: training images a second, one change at a time."""
    files = rendered_files(4096, folder)
    slow = system("vgg", files, folder)
    smaller = system("vgg", files, folder)
    torch.manual_seed(0)
    smaller.model = CRNN(smaller.tokenizer.num_classes, "light", 1, SIZE)
    smaller.optimizer = torch.optim.Adam(smaller.model.parameters())

    def ours(**changes) -> Laptop:
        return Laptop(files, folder / ("store-wide" if "image_size" in changes else "store"), **changes)

    wide = {"image_size": SIZE}
    planes = ours(amp="off", augment="plates", **wide)
    planes.recognizer.model.to(memory_format=torch.contiguous_format)
    speeds = best_speeds({
        "VGG system: decode each epoch, float32": (slow, 1),
        "the light network instead": (smaller, 2),
        "packed store, augmentation of whole batches": (planes, 4),
        "channels last": (ours(amp="off", augment="plates", **wide), 4),
        "16-bit floats (bf16)": (ours(augment="plates", **wide), 8),
    })  # fmt: skip
    keep_memory()  # from here on: it cannot be taken back
    return speeds | best_speeds({
        "freed memory kept for the next step": (ours(augment="plates", **wide), 8),
        "no augmentation": (ours(**wide), 8),
        "images 96 pixels wide, not 128: the laptop recipe": (ours(), 8),
    })  # fmt: skip


def best_speeds(runs: dict[str, tuple[Laptop | Rebuilt, int]], tries: int = 5) -> dict[str, float]:
    """Training images a second, the best of `tries`; all take turns, so that a slow minute of the machine hits all."""
    speeds = dict.fromkeys(runs, 0.0)
    for run, _ in runs.values():
        run(next(run.batches()))  # warm up
    for _ in range(tries):
        for what, (run, steps) in runs.items():
            speeds[what] = max(speeds[what], train_on(run, islice(run.batches(), steps))[0])
    return speeds


def browser(folder: Path, n: int) -> dict:
    """The error browser over `n` results: milliseconds of each action."""
    return browser_times(n)


MEASURES = {f.__name__: f for f in (small_steps, training, race, reading, exam, growth, anatomy, browser, names)}


def main(name: str, *settings: str) -> None:
    """Run one measurement and print its result as JSON."""
    torch.manual_seed(0)
    values = dict(s.split("=", 1) for s in settings)
    folder = Path(values.pop("folder"))
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"name": str, "plates": str, "real": str, "minutes": float, "seconds": float}
    print(json.dumps(MEASURES[name](folder, **{k: kinds.get(k, int)(v) for k, v in values.items()})))


if __name__ == "__main__":
    main(*sys.argv[1:])
