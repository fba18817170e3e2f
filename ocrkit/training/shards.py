"""Shards: packed images in files of some thousand records each, for sets that are larger than memory.

A folder with `shards.json` (the shape of an image; of each shard its records, bytes, checksum and source) and files
`shard-00000.bin`. Such a file is the images, uint8 (n, C, H, W) without a header, so that `numpy.memmap` can read them,
and behind them one JSON text in UTF-8 with the rows.

To shuffle all records would read the disk in all places at once. Here the shards are shuffled, and the records within a
window of some shards, which alone are in memory: read from front to back, each once an epoch. They are read into
memory of our own and not mapped, so that what the process holds does not grow. Taught in notebook 12.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ocrkit.data.batches import Batch, collate, label_problem
from ocrkit.data.packed import Packed
from ocrkit.data.store import StoreError, from_columns
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.shard_order import ShardOrder

FORMAT = "ocrkit shards 1"
#: Shards that are in memory at a time.
WINDOW = 4


class ShardError(StoreError):
    """A shard that is missing, cut off or damaged; the message names it and how to make it anew."""


def open_shards(folder: str | Path, window: int = WINDOW) -> Shards:
    """Open what `shard_files.write_shards` wrote. Only sizes are compared here; a checksum when its shard is read.

    Args:
        window: how many shards are shuffled together, and are in memory at a time.

    Raises:
        ShardError: the folder is none of shards, its writing was broken off, or a shard is missing or cut off.
        ValueError: `window` is less than 1.
    """
    folder, facts = Path(folder), read_facts(folder)
    if facts is None:
        raise ShardError(f"{folder} holds no shards: shards.json is missing or not of the format {FORMAT!r}")
    if not facts["done"]:
        raise ShardError(
            f"the writing of {folder} was broken off after {len(facts['shards'])} shards: "
            "write them again with the same call, it goes on from there"
        )
    if window < 1:
        raise ValueError(f"window={window}: at least 1 shard must be in memory")
    store = Shards(folder, facts, window)
    for number, shard in enumerate(store.shards):
        path = shard_path(folder, number)
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise store.damage(number)
    return store


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard, counted from 0."""
    return folder / f"shard-{number:05d}.bin"


def read_facts(folder: str | Path) -> dict | None:
    """What `shards.json` says; None where it is missing, damaged or of another format."""
    try:
        facts = json.loads(Path(folder, "shards.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else None


class Shards(Dataset):
    """A data set on disk; `fit` and `lr_find` take it as `train`. Made by `open_shards`.

    Attributes:
        shards: for each, `n` (records), `bytes`, `crc32` and `source`.
        shape: `(C, H, W)` of all images.
        kept: for each shard the places of the records that are in the set, ascending.
    """

    def __init__(self, folder: Path, facts: dict, window: int):
        self.folder, self.shards, self.shape, self.window = folder, facts["shards"], tuple(facts["image"]), window
        self._keep([np.arange(shard["n"], dtype=np.int32) for shard in self.shards])

    def _keep(self, kept: list[np.ndarray]) -> None:
        self.kept = kept
        self.ends = np.cumsum([len(places) for places in kept])
        self._loaded: OrderedDict[int, tuple[np.ndarray, list[str]]] = OrderedDict()

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        images, texts = self.__getitems__([index])
        return images[0], texts[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, list[str]]:
        """A whole batch: images `(N, C, H, W)` uint8, and N texts."""
        indices = np.asarray(indices, dtype=np.int64)
        owners = np.searchsorted(self.ends, indices, side="right")
        images, texts = torch.empty((len(indices), *self.shape), dtype=torch.uint8), [""] * len(indices)
        # What is in memory goes first: a shard that is read takes the place of the one that waited longest.
        for number in sorted(np.unique(owners).tolist(), key=lambda k: k not in self._loaded):
            places = np.flatnonzero(owners == number)
            rows = self.kept[number][indices[places] - self.ends[number]]  # counted from the end: negative
            block, words = self._load(number)
            images[torch.from_numpy(places)] = block[torch.from_numpy(rows.astype(np.int64))]
            for place, row in zip(places.tolist(), rows.tolist()):
                texts[place] = words[row]
        return images, texts

    def _load(self, number: int) -> tuple[Tensor, list[str]]:
        if number in self._loaded:
            self._loaded.move_to_end(number)
            buffer, texts = self._loaded[number]
        else:
            if len(self._loaded) >= self.window:
                _, (buffer, _) = self._loaded.popitem(last=False)  # the same memory for the next one
            else:
                buffer = np.empty(max(shard["bytes"] for shard in self.shards), np.uint8)
            self._read(number, buffer)
            texts = self._rows(number, buffer)["texts"]
            self._loaded[number] = buffer, texts
        n = self.shards[number]["n"]
        return torch.from_numpy(buffer[: n * self._image_bytes].reshape(n, *self.shape)), texts

    @property
    def _image_bytes(self) -> int:
        return int(np.prod(self.shape))

    def _read(self, number: int, buffer: np.ndarray) -> None:
        """Read a shard into `buffer` and compare its checksum."""
        shard, path = self.shards[number], shard_path(self.folder, number)
        part = memoryview(buffer)[: shard["bytes"]]
        try:
            with open(path, "rb") as file:
                whole = file.readinto(part) == shard["bytes"]
        except FileNotFoundError:
            whole = False
        if not whole or zlib.crc32(part) != shard["crc32"]:
            raise self.damage(number)

    def _rows(self, number: int, buffer: np.ndarray | None = None) -> dict:
        """The rows of a shard, without its images; from the file, or from all of its bytes in `buffer`."""
        shard, start = self.shards[number], self.shards[number]["n"] * self._image_bytes
        try:
            if buffer is not None:
                return json.loads(buffer[start : shard["bytes"]].tobytes())
            with open(shard_path(self.folder, number), "rb") as file:
                file.seek(start)
                return json.loads(file.read())
        except (FileNotFoundError, ValueError) as error:
            raise self.damage(number) from error

    def damage(self, number: int) -> ShardError:
        """The error that says that this shard is damaged."""
        return ShardError(
            f"{shard_path(self.folder, number)} (shard {number + 1} of {len(self.shards)}) is missing, cut off or "
            "damaged: write the shards again with the same call; only those that are not whole are made anew"
        )

    def shard(self, number: int) -> Packed:
        """One shard with all that was packed, also the rejected rows and what is not in `kept`; counted from 0."""
        buffer = np.empty(self.shards[number]["bytes"], np.uint8)
        self._read(number, buffer)
        rows, n = self._rows(number, buffer), self.shards[number]["n"]
        images = torch.from_numpy(buffer[: n * self._image_bytes].reshape(n, *self.shape))
        packed = Packed(images, from_columns(rows["kept"]), rows["widths"], from_columns(rows["rejected"]))
        packed.texts = rows["texts"]
        return packed

    def set_aside(self, recognizer: Recognizer) -> tuple[Shards, pd.DataFrame]:
        """`loop.set_aside` of a sharded set: reads all rows, no image."""
        kept, lost = [], []
        for number, places in enumerate(self.kept):
            rows = self._rows(number)
            reasons = [
                label_problem(recognizer.tokenizer, rows["texts"][row], steps)
                for row, steps in zip(places.tolist(), self._steps(rows, recognizer)[places].tolist())
            ]
            bad = np.array([bool(reason) for reason in reasons], dtype=bool)
            kept.append(places[~bad])
            lost.append(from_columns(rows["rejected"]))
            if bad.any():
                lost.append(from_columns(rows["kept"]).iloc[places[bad]].assign(reason=[r for r in reasons if r]))
        usable = copy.copy(self)
        usable._keep(kept)
        return usable, pd.concat(lost, ignore_index=True)

    def steps(self, recognizer: Recognizer) -> np.ndarray:
        """How many time steps of each image count, `(N,)`; noted when the shards were written."""
        parts = [self._steps(self._rows(number), recognizer)[kept] for number, kept in enumerate(self.kept)]
        return np.concatenate(parts)

    def _steps(self, rows: dict, recognizer: Recognizer) -> np.ndarray:
        return recognizer.steps_of_columns(torch.tensor(rows["used"], dtype=torch.long)).numpy()

    def batch_order(self, batch_size: int, seed: int, used: np.ndarray | None = None) -> ShardOrder:
        """What `batches.loader` shuffles by; `used` as there."""
        return ShardOrder(self.ends, self.window, batch_size, seed, used)


def shard_batches(
    store: Shards,
    tokenizer: Tokenizer,
    batch_size: int,
    seed: int,
    epoch: int,
    part: tuple[int, int] = (0, 1),
    start_step: int = 0,
    used: np.ndarray | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch, in the order of `ShardOrder`.

    Args:
        part: (rank, number of processes). All processes go through the same batches of `batch_size`, and each gets its
            own piece of each; a piece may be empty.
        start_step: how many batches to leave out, for a run that goes on; what only they need is not read.
        used: see `batches.loader`.

    Raises:
        ShardError: a shard is damaged.
        ValueError: `part` is none.

    Taught in notebook 12.
    """
    rank, processes = part
    if not 0 <= rank < processes:
        raise ValueError(f"part={part}: the first number must be from 0 to {processes - 1}")
    order = store.batch_order(batch_size, seed, used)
    order.epoch = epoch
    for indices in islice(order, start_step, None):
        yield collate(store.__getitems__(np.array_split(indices, processes)[rank]), tokenizer)
