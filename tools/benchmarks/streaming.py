"""`python -m tools.benchmarks.streaming`: does the memory of an epoch stay flat, however large the set is?

Writes a set of a million small images as shards into a temporary folder (about 2.6 GB), then goes over one epoch of it
in batches and notes what this process holds (resident memory, Linux only). The images are few and repeated, the texts
are all different. Result: `data/records/streaming.json`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.batches import loader, set_epoch
from ocrkit.data.files import write_json
from ocrkit.data.packed import Packed
from ocrkit.data.platforms import COURSE
from ocrkit.synth import render_plates
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.shards import WINDOW, open_shards, write_shards

RESULTS = COURSE / "data" / "records" / "streaming.json"
SIZE = (16, 64)
CHUNK = 8192
BATCH = 128


def resident() -> int:
    """Bytes of memory that this process holds, with the pages of mapped files."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def packs(n: int, seed: int) -> Iterator[Packed]:
    """`n` records in packs of `CHUNK`: the same pictures again and again, each time with texts of their own."""
    images, _ = render_plates(CHUNK, seed, SIZE)
    block = torch.from_numpy(images.mean(axis=3).astype(np.uint8)[:, None])
    for first in range(0, n, CHUNK):
        count = min(CHUNK, n - first)
        numbers = range(first, first + count)
        table = pd.DataFrame(
            {"image": [f"picture {i % CHUNK}" for i in numbers], "text": [f"{i:07d}" for i in numbers]}
        )
        yield Packed(block[:count], table, [float(SIZE[1])] * count)


def one_epoch(folder: Path, seed: int) -> dict:
    """Go over one epoch; the memory at its start, at every tenth of it, and the most, in MB."""
    store = open_shards(folder)
    batches = loader(store, Tokenizer.from_name("digits"), BATCH, seed)
    set_epoch(batches, 0)
    tenth, held, most, seen, texts = -(-len(batches) // 10), [resident()], 0, 0, set()
    started = time.perf_counter()
    for step, batch in enumerate(batches, 1):
        seen += len(batch.texts)
        most = max(most, resident())
        if step % tenth == 0 or step == len(batches):
            held.append(resident())
            print(f"{seen} records, {held[-1] / 1e6:.1f} MB", flush=True)
        texts.update(batch.texts[:1])
    seconds = time.perf_counter() - started
    if seen != len(store) or len(texts) != len(batches):
        raise RuntimeError(
            f"{seen} of {len(store)} records came, and {len(texts)} texts of {len(batches)} batches differ"
        )
    return {
        "memory_mb_at_each_tenth": [round(n / 1e6, 1) for n in held],
        "memory_mb_most": round(most / 1e6, 1),
        "seconds": round(seconds, 1),
        "records_per_second": round(seen / seconds),
        "disk_mb": round(sum(path.stat().st_size for path in store.files) / 1e6),
        "shards": len(store.files),
    }


def main(options: argparse.Namespace) -> None:
    """Write, read, note."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        started = time.perf_counter()
        write_shards(packs(options.records, options.seed), folder, CHUNK)
        writing = time.perf_counter() - started
        print(f"written in {writing:.0f} s", flush=True)
        facts = one_epoch(Path(folder), options.seed)
    shape = {"records": options.records, "image": [1, *SIZE], "per_shard": CHUNK, "window": WINDOW, "batch_size": BATCH}
    facts = shape | {"rendering_and_writing_seconds": round(writing, 1)} | facts | {"torch": torch.__version__}
    print(facts)
    if options.records == 1_000_000:
        write_json(RESULTS, facts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.streaming", description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="only this number goes into the result file")
    parser.add_argument("--folder", help="where there are 2.7 GB for a while; the system's temporary folder by default")
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
