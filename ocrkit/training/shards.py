"""Sets larger than memory: packed images in WebDataset shards, tar files of some thousand records each.

A record is `000000042.png`, a packed image, and `000000042.json`, its text and its row, as of WebDataset
(https://github.com/webdataset/webdataset); `store.json` has numbers of records and checksums. Taught in notebook 12.
"""

import copy
import io
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ocrkit.data.batches import Batch, collate, label_problem
from ocrkit.data.files import crc32
from ocrkit.data.packed import Packed
from ocrkit.data.sizes import Buckets, used_columns
from ocrkit.data.store import CHUNK, StoreError, digest, make_once, plain, source_and_packs
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.tokenizer import Tokenizer

#: Shards that are in memory at a time.
WINDOW = 4


class ShardError(StoreError):
    """What cannot be read as shards; the message says why, and how to write them anew."""


def write_shards(packs: Iterable[Packed], folder: str | Path, per_shard: int = CHUNK, source: str = "") -> "Shards":
    """Write packs of one image size, maybe of different sets, as shards of `per_shard` records.

    `packs` may be a generator. `source` says what they are made from, such as a path and a seed: shards of it that are
    there and whole are not written again. Raises ValueError (no image, sizes differ, other files in the folder),
    OSError (the disk is full; what was in the folder stays) and RuntimeError (webdataset is missing).
    """
    if per_shard < 1:
        raise ValueError(f"per_shard={per_shard}: a shard needs at least 1 record")
    source, place = digest("shards", source or time.time_ns(), per_shard), _current(folder)
    if place.is_dir() and any(place.iterdir()) and not (place / "store.json").exists():
        raise ShardError(f"{folder} holds other files, which would be lost: give the shards a folder of their own")
    make_once(place, source, lambda fresh: _write(packs, fresh, per_shard, folder), None)
    return open_shards(folder)


def packed_shards(
    samples: pd.DataFrame,
    folder: str | Path,
    size: tuple[int, int] = (32, 128),
    mode: str = "RGB",
    resize: str = "squeeze",
    per_shard: int = CHUNK,
) -> "Shards":
    """As `store.packed_store`, in shards; errors are those of `write_shards`."""
    source, packs = source_and_packs(samples, size, mode, resize)
    return write_shards(packs, folder, per_shard, source)


def _write(packs: Iterable[Packed], fresh: Path, per_shard: int, folder: str | Path) -> dict:
    """Fill the folder `fresh`; returns what `store.json` says beyond checksums."""
    rejected, shapes, counts = [], set(), []

    def records() -> Iterator[dict]:
        number = 0
        for packed in packs:
            shapes.add(tuple(packed.images.shape[1:]))
            if len(shapes) > 1:
                raise ValueError(f"these packs cannot be written together, images (C, H, W) differ: {sorted(shapes)}")
            rejected.extend(_rows(packed.rejected))
            facts = zip(packed.texts, used_columns(packed.images).tolist(), packed.widths, _rows(packed.samples))
            for image, (text, used, width, row) in zip(packed.images.numpy(), facts):
                text = json.dumps({"text": text, "used": used, "width": width, "row": row}, default=plain)
                image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
                yield {"__key__": f"{number:09d}", "png": image, "json": text}
                number += 1

    stream = records()
    while (first := next(stream, None)) is not None:
        with open(fresh / f"shard-{len(counts):05d}.tar", "wb") as file, _webdataset().TarWriter(file, mtime=0) as tar:
            counts.append(0)
            for record in chain([first], islice(stream, per_shard - 1)):
                tar.write(record)
                counts[-1] += 1
    if not counts:
        raise ValueError(f"there is no image to write into {folder}: no pack came, or nothing in it could be read")
    return {"image": [*shapes.pop()], "records": counts, "rejected": json.loads(json.dumps(rejected, default=plain))}


def _rows(table: pd.DataFrame) -> list[dict]:
    """The rows of a table, with a name in place of an image that is in memory: the record has it already."""
    rows = zip(table.index, table.astype(object).where(table.notna(), None).to_dict("records"))
    return [row | {"image": f"in memory {i}"} if isinstance(row.get("image"), np.ndarray) else row for i, row in rows]


def _webdataset() -> ModuleType:
    try:
        import webdataset
    except ImportError as error:
        raise RuntimeError(
            "webdataset is missing, which reads and writes shards: run `pip install webdataset`, or install ocrkit "
            "with its extra [scale]"
        ) from error
    return webdataset


def open_shards(folder: str | Path, window: int = WINDOW) -> "Shards":
    """Open what `write_shards` or `packed_shards` wrote; `window` shards are in memory, and shuffled, at a time.

    Raises ShardError where the folder holds no shards, or those of an older ocrkit; ValueError for `window` below 1.
    """
    if window < 1:
        raise ValueError(f"window={window}: at least 1 shard must be in memory")
    try:
        return Shards(Path(folder), json.loads((_current(folder) / "store.json").read_text(encoding="utf-8")), window)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{folder} holds no shards ({error!r}): write them with packed_shards") from error


def _current(folder: str | Path) -> Path:
    if Path(folder, "shards.json").exists():
        raise ShardError(
            f"{folder} holds shards of an older ocrkit (shards.json and .bin files), which are read no more: delete it "
            "and write the set again with packed_shards or write_shards, which make tar files"
        )
    return Path(folder)


class Shards(Dataset):
    """A data set on disk, which `fit` and `lr_find` take as `train`; made by `open_shards`.

    A shard that is missing, cut off or damaged is named in a warning, and an epoch goes on without it. Of each of the
    `files`, `kept` has the places of the records that are in the set, and `ends` the index after the last one.
    """

    def __init__(self, folder: Path, facts: dict, window: int):
        self.facts, self.window, self.shape = facts, window, tuple(facts["image"])
        self.files = [folder / f"shard-{number:05d}.tar" for number in range(len(facts["records"]))]
        self._keep([np.arange(n) for n in facts["records"]])

    def _keep(self, kept: list[np.ndarray]) -> None:
        self.kept, self.ends = kept, np.cumsum([len(places) for places in kept])
        self._load = lru_cache(self.window)(self._records)

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_load"}  # no shard that is in memory

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._keep(self.kept)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        images, texts = self.__getitems__([index])
        return images[0], texts[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, list[str]]:
        """A whole batch: images `(N, C, H, W)` uint8, and N texts; raises ShardError where a shard is damaged."""
        indices, images, texts = np.asarray(indices, dtype=np.int64), [], []
        owners = np.searchsorted(self.ends, indices, side="right")
        # In this order: what is left of the last window comes first, and is still in memory.
        shards = {number: self._load(number) for number in dict.fromkeys(owners.tolist())}
        for number, index in zip(owners.tolist(), indices - self.ends[owners]):
            record = shards[number][self.kept[number][index]]  # counted from the end: negative
            image = torch.from_numpy(np.array(Image.open(io.BytesIO(record["png"]))))
            images.append(image.reshape(*self.shape[1:], -1).permute(2, 0, 1))
            texts.append(json.loads(record["json"])["text"])
        return torch.stack(images) if images else torch.empty((0, *self.shape), dtype=torch.uint8), texts

    def _records(self, number: int) -> list[dict]:
        """The records of a shard as they are in the file: `png` and `json`."""
        if not self.is_whole(number):
            raise ShardError(f"{self.files[number]} is missing, cut off or damaged: write the shards again")
        # No part of the files is for this process alone: it takes its share of every batch.
        options = {"shardshuffle": False, "nodesplitter": None, "workersplitter": None, "empty_check": False}
        return list(_webdataset().WebDataset([self.files[number].resolve().as_uri()], **options))

    def is_whole(self, number: int) -> bool:
        """Whether a shard has the bytes that were written; a warning names one that has not."""
        path, n = self.files[number], self.facts["records"][number]
        if path.is_file() and crc32(path) == self.facts["crc32"][path.name]:
            return True
        warnings.warn(
            f"{path} (shard {number + 1} of {len(self.files)}) is missing, cut off or damaged: its {n} records are "
            "left out; to have them back, write the shards again",
            stacklevel=1,
        )
        return False

    def set_aside(self, recognizer: Recognizer) -> "tuple[Shards, pd.DataFrame]":
        """`loop.set_aside` of a sharded set, without the images; a damaged shard is lost as a whole."""
        kept, lost = [], [*self.facts["rejected"]]
        for number, (places, rows, steps) in enumerate(self._rows_and_steps(recognizer)):
            reasons = [label_problem(recognizer.tokenizer, row["text"], n) for row, n in zip(rows, steps)]
            lost += [row["row"] | {"reason": reason} for row, reason in zip(rows, reasons) if reason]
            if len(rows) < len(places):
                lost += [{"image": str(self.files[number]), "reason": "its shard is damaged"}] * len(places)
            kept.append(places[: len(rows)][[not reason for reason in reasons]])
        usable = copy.copy(self)
        usable._keep(kept)
        return usable, pd.DataFrame(lost)

    def steps(self, recognizer: Recognizer) -> np.ndarray:
        """How many time steps of each image count, `(N,)`; noted when the shards were written."""
        return np.concatenate([steps for _, _, steps in self._rows_and_steps(recognizer)])

    def _rows_and_steps(self, recognizer: Recognizer) -> Iterator[tuple[np.ndarray, list[dict], np.ndarray]]:
        """Of each shard the places, rows and time steps of the records that are kept; of a damaged one no rows."""
        for number, places in enumerate(self.kept):
            records = []
            with suppress(ShardError):  # which a warning has told
                records = self._records(number) if len(places) else []
            rows = [json.loads(records[place]["json"]) for place in places[: len(records)]]
            yield places, rows, recognizer.steps_of_columns(torch.tensor([row["used"] for row in rows]).long()).numpy()

    def batch_order(self, batch_size: int, seed: int, used: np.ndarray | None = None) -> "ShardOrder":
        """What `batches.loader` shuffles by."""
        return ShardOrder(self.ends, self.window, batch_size, seed, used, self.is_whole)


class ShardOrder(Sampler):
    """Batches of indices that need only `window` shards at a time, each of which is read once an epoch.

    The shards are shuffled, and the records within a window; the order depends on (seed, epoch), window and `ends`, for
    each shard the index after its last record. With `used` `(N,)`, images of about one width come together, as in
    `sizes.Buckets`. Shards that are not whole are left out.
    """

    def __init__(
        self,
        ends: np.ndarray,
        window: int,
        batch_size: int,
        seed: int,
        used: np.ndarray | None = None,
        is_whole: Callable[[int], bool] = lambda number: True,
    ):
        self.ends, self.window, self.batch_size, self.seed = ends, window, batch_size, seed
        self.used, self.is_whole, self.epoch = used, is_whole, 0

    def __len__(self) -> int:
        return -(-int(self.ends[-1]) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng, size, pool = np.random.default_rng([self.seed, self.epoch]), self.batch_size, Buckets.POOL
        shards, order, rest = np.split(np.arange(self.ends[-1]), self.ends[:-1]), rng.permutation(len(self.ends)), []
        for start in range(0, len(order), self.window):
            window = [shards[k] for k in order[start : start + self.window] if len(shards[k]) and self.is_whole(k)]
            records = np.concatenate([rest, rng.permutation(np.concatenate([[], *window]))]).astype(int)
            batches, rest = np.split(records, [len(records) // size * size])
            batches = batches.reshape(-1, size)
            if self.used is not None:
                # Not the first: with records of the last window in it, it needs shards that are gone later.
                for k in range(1, len(batches), pool):
                    part = batches[k : k + pool].ravel()
                    batches[k : k + pool] = part[np.argsort(self.used[part], kind="stable")].reshape(-1, size)
                rng.shuffle(batches[1:])
            yield from batches.tolist()
        if len(rest):
            yield rest.tolist()


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
    """The batches of one epoch, in the order of `ShardOrder`; the first `start_step` are left out and not read.

    Of each batch, process `part` = (rank, number of processes) gets its own piece, which may be empty, and reads the
    images of that alone. `used`: see `batches.loader`. Raises ValueError: `part` is none.
    """
    rank, processes = part
    if not 0 <= rank < processes:
        raise ValueError(f"part={part}: the first number must be from 0 to {processes - 1}")
    order = store.batch_order(batch_size, seed, used)
    order.epoch = epoch
    for indices in islice(order, start_step, None):
        yield collate(store.__getitems__(np.array_split(indices, processes)[rank]), tokenizer)
