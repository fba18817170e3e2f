"""Packed stores: images decoded and resized once, kept on disk as one block that is mapped into memory.

Training then only copies bytes, and a set may be larger than memory. A store is a folder with `images.npy`
(uint8, (N, C, H, W)), `samples.json` (the rows) and `store.json` (what it was made from, and checksums).
Taught in notebook 03.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ocrkit.data.files import crc32, fits_on_disk, write_json
from ocrkit.data.packed import Packed, pack

_FORMAT = "ocrkit store 1"

CHUNK = 8192  # images that are in memory at a time while a store is made


class StoreError(ValueError):
    """A store that is damaged; the message says where, and deleting the folder is always safe."""


def packed_store(
    samples: pd.DataFrame,
    folder: str | Path,
    size: tuple[int, int] = (32, 128),
    mode: str = "RGB",
    resize: str = "squeeze",
) -> Packed:
    """`packed.pack` with its result kept in `folder`, a `Packed` whose images are mapped from disk.

    It is made anew where a row of `samples`, the size or the date of an image file, `size`, `mode` or `resize` has
    changed; until the new store is whole, the old one stays. Raises ValueError: `samples` is empty.
    """
    source, chunks = source_and_packs(samples, size, mode, resize)
    return open_or_make(Path(folder), source, len(samples), size, mode, chunks)


def source_and_packs(samples: pd.DataFrame, *how) -> tuple[str, Iterator[Packed]]:
    """A digest of all that `packed.pack(samples, *how)` is made from, and its packs, `CHUNK` images at a time."""
    source = digest("samples", samples.to_dict("list"), [file_mark(p) for p in samples["image"]], *how)
    parts = (samples.iloc[first : first + CHUNK] for first in range(0, len(samples), CHUNK))
    return source, (pack(part, *how) for part in parts)


def open_store(folder: str | Path, check: bool = True) -> Packed:
    """Map a store into memory; to `check` its checksums first reads it once (about 1 GB a second).

    Raises StoreError: a file is missing, of another size, or its bytes are not those that were written.
    """
    folder = Path(folder)
    n = _checked(folder, check)["n"]
    tables = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    samples, rejected = map(from_columns, (tables["kept"], tables["rejected"]))
    return Packed(mapped_images(folder)[:n], samples, tables["widths"], rejected)


def open_or_make(
    folder: Path, source: str, n: int, size: tuple[int, int], mode: str, chunks: Iterable[Packed]
) -> Packed:
    if not n:
        raise ValueError(f"there is no image to pack into {folder}: the samples table is empty")
    shape = (n, 1 if mode == "L" else 3, *size)

    def write(fresh: Path) -> dict:
        kept, rejected, widths = [], [], []

        def blocks() -> Iterator[np.ndarray]:
            for part in chunks:
                kept.append(part.samples)
                rejected.append(part.rejected)
                widths.extend(part.widths)
                yield part.images.numpy()

        write_images(fresh, shape, blocks())
        tables = {"kept": as_columns(pd.concat(kept)), "rejected": as_columns(pd.concat(rejected)), "widths": widths}
        (fresh / "samples.json").write_text(json.dumps(tables, ensure_ascii=False, default=plain), encoding="utf-8")
        return {"n": len(widths)}

    make_once(folder, source, write, needed=math.prod(shape))
    return open_store(folder, check=False)


def make_once(folder: Path, source: str, write: Callable[[Path], dict], needed: int | None) -> None:
    """Make a store in `folder`, unless one from the same `source` is there and whole.

    Args:
        source: a `digest` of all that the store is made from.
        write: fills the empty folder that it is given and returns facts for its `store.json`. Until it is done, the
            old store stays.
        needed: about how many bytes it writes, for the `OSError` of a full disk; None where nobody knows before.
    """
    if _facts(folder).get("source") == source:
        try:
            _checked(folder)
            return
        except StoreError as error:
            print(f"{error}: it is made anew")
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with fits_on_disk(folder, needed):
        try:
            more = write(fresh)
            crcs = {path.name: crc32(path) for path in sorted(fresh.iterdir())}
            write_json(fresh / "store.json", {"format": _FORMAT, "source": source, **more, "crc32": crcs})
            # A folder cannot be replaced in one step where another stands: the old one is moved away first.
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
            if folder.exists():
                os.replace(folder, old)
            os.replace(fresh, folder)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def write_images(folder: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Write blocks of uint8 images, one after the other, as `images.npy` of `shape`; what lacks at the end is 0."""
    # Not through mapped memory: where the disk is full, that ends the process without a word.
    with open(folder / "images.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        start = file.tell()
        for block in blocks:
            file.write(np.ascontiguousarray(block))
        file.truncate(start + math.prod(shape))


def mapped_images(folder: Path) -> Tensor:
    """The images of a store, mapped into memory; raises StoreError where the file is cut off or no array."""
    path = folder / "images.npy"
    try:
        # "c": torch wants memory it may write to; a write would stay in this process and never reach the file.
        return torch.from_numpy(np.load(path, mmap_mode="c"))
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); delete the folder and pack again") from error


def _checked(folder: Path, check: bool = True) -> dict:
    """The facts of a store whose files are there and, with `check`, hold the bytes that were written."""
    facts = _facts(folder)
    if not facts:
        raise StoreError(f"{folder} is no packed store: store.json is missing or not of the format {_FORMAT!r}")
    for name, crc in facts["crc32"].items():
        if not (folder / name).is_file() or (check and crc32(folder / name) != crc):
            raise StoreError(f"{folder / name} is missing or damaged; delete the folder and pack again")
    return facts


def as_columns(table: pd.DataFrame) -> dict:
    """A table as JSON can hold it, together with `plain`."""
    return {"columns": table.to_dict("list"), "index": table.index.tolist()}


def from_columns(kept: dict) -> pd.DataFrame:
    """The table that `as_columns` took apart; JSON has made lists of the tuples of an index with levels."""
    index = pd.Index([tuple(i) if isinstance(i, list) else i for i in kept["index"]])
    return pd.DataFrame(kept["columns"], index=index)


def plain(value):
    """What JSON does not know: arrays, numpy's numbers, paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _facts(folder: Path) -> dict:
    """What `store.json` says, or {} where it is none of ours."""
    try:
        facts = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("format") == _FORMAT else {}


def digest(*parts) -> str:
    """A text that changes when one of `parts` does: plain values, or arrays."""

    def short(value):
        return hashlib.sha256(value.tobytes()).hexdigest() if isinstance(value, np.ndarray) else str(value)

    return hashlib.sha256(json.dumps([_FORMAT, *parts], default=short).encode()).hexdigest()


def file_mark(path) -> tuple[int, int]:
    """Size and date of a file; zeros where it is in memory, or not there: `pack` will say so."""
    try:
        stat = os.stat(os.fspath(path))
    except (OSError, TypeError, ValueError):
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
