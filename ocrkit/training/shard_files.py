"""Writing shards: each file whole or not at all, so that what was broken off goes on, and what is damaged is mended.

Taught in notebook 12.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.files import atomic, crc32, write_json
from ocrkit.data.packed import Packed, pack
from ocrkit.data.sizes import used_columns
from ocrkit.data.store import as_columns, digest, file_mark, plain
from ocrkit.training.shards import FORMAT, Shards, open_shards, read_facts, shard_path

PER_SHARD = 8192


def write_shards(packs: Iterable[Packed], folder: str | Path, per_shard: int = PER_SHARD, source: str = "") -> Shards:
    """Write packs, one after the other, as shards of `per_shard` records; only about one shard is in memory at a time.

    Packs of one image size may come from different sets: this is how sets are mixed.

    Args:
        packs: for instance a generator that packs some thousand files at a time.
        source: a text that says what the packs are made from, such as a path and a seed. Shards that are there already,
            are whole and have this source are not written again: after a kill the same call goes on where it was,
            though `packs` gives all of them again. For files, `packed_shards` does not even read them again. Without a
            source, all is written anew.

    Raises:
        ValueError: there is no pack, the images differ in size, or the folder holds shards of another image size.
        OSError: the disk is full; the shards that are whole stay.

    Taught in notebook 12.
    """
    writer, number = ShardWriter(folder), -1
    for number, part in enumerate(_cut(packs, per_shard)):
        own = digest("packs", source, per_shard, len(part))
        if not (source and writer.has(number, own)):
            writer.write(number, part, own)
    if number < 0:
        raise ValueError(f"there is no image to write into {folder}: no pack came")
    writer.finish(number + 1)
    return open_shards(folder)


def packed_shards(
    samples: pd.DataFrame,
    folder: str | Path,
    size: tuple[int, int] = (32, 128),
    mode: str = "RGB",
    resize: str = "squeeze",
    per_shard: int = PER_SHARD,
) -> Shards:
    """As `store.packed_store`, in shards: `per_shard` rows of the samples table are packed and written at a time.

    A shard is made anew only where it is missing or damaged, or one of its rows, the size or date of one of its image
    files, or a setting has changed. Arguments and errors are those of `store.packed_store` and `write_shards`.

    Taught in notebook 12.
    """
    if not len(samples):
        raise ValueError(f"there is no image to write into {folder}: the samples table is empty")
    writer, firsts = ShardWriter(folder), range(0, len(samples), per_shard)
    for number, first in enumerate(firsts):
        part = samples.iloc[first : first + per_shard]
        marks = [file_mark(path) for path in part["image"]]
        source = digest("samples", part.to_dict("list"), marks, size, mode, resize)
        if not writer.has(number, source):
            writer.write(number, pack(part, size, mode, resize), source)
    writer.finish(len(firsts))
    return open_shards(folder)


class ShardWriter:
    """A folder of shards that is being written. Until `finish`, `open_shards` refuses it."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        facts = read_facts(self.folder) or {"image": None, "shards": []}
        self.image, self.shards = facts["image"], facts["shards"]

    def has(self, number: int, source: str) -> bool:
        """Whether shard `number` is there, made from `source`, and whole; its checksum is compared."""
        if number >= len(self.shards) or self.shards[number]["source"] != source:
            return False
        path = shard_path(self.folder, number)
        return path.is_file() and crc32(path) == self.shards[number]["crc32"]

    def write(self, number: int, packed: Packed, source: str) -> None:
        """Write shard `number`, which replaces one that is there, or is the next.

        Raises:
            ValueError: its images are not of the size of the others.
            OSError: the disk is full.
        """
        image = list(packed.images.shape[1:])
        if self.image not in (None, image):
            raise ValueError(
                f"{self.folder} holds shards of images (C, H, W) = {tuple(self.image)}, these are {tuple(image)}: "
                "choose another folder, or delete it"
            )
        rows = {
            "texts": packed.texts,
            "widths": packed.widths,
            "used": used_columns(packed.images).tolist(),
            "kept": as_columns(_named(packed.samples)),
            "rejected": as_columns(_named(packed.rejected)),
        }
        images = np.ascontiguousarray(packed.images.numpy()).reshape(-1)
        tail = json.dumps(rows, ensure_ascii=False, default=plain).encode()
        size = images.nbytes + len(tail)
        with atomic(shard_path(self.folder, number), size) as temporary, open(temporary, "wb") as file:
            file.write(images)
            file.write(tail)
        crc = zlib.crc32(tail, zlib.crc32(images))
        self.image = image
        self.shards[number : number + 1] = [{"n": len(packed), "bytes": size, "crc32": crc, "source": source}]
        self._note(done=False)

    def finish(self, count: int) -> None:
        """Say that all `count` shards are there; what an older, larger set left behind goes."""
        for number in range(count, len(self.shards)):
            shard_path(self.folder, number).unlink(missing_ok=True)
        del self.shards[count:]
        self._note(done=True)

    def _note(self, done: bool) -> None:
        facts = {"format": FORMAT, "image": self.image, "done": done, "shards": self.shards}
        write_json(self.folder / "shards.json", facts)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a name where it holds an image itself, which is in the shard already."""
    if "image" not in table:
        return table
    names = [f"in memory {i}" if isinstance(v, np.ndarray) else v for i, v in zip(table.index, table["image"])]
    return table.assign(image=pd.Series(names, index=table.index, dtype=object))


def _cut(packs: Iterable[Packed], per_shard: int) -> Iterator[Packed]:
    """The same records in packs of `per_shard`; the last one has what is left."""
    waiting, n = [], 0
    for packed in packs:
        waiting.append(packed)
        n += len(packed)
        while n >= per_shard:
            whole = _join(waiting)
            yield _part(whole, 0, per_shard)
            waiting, n = [_part(whole, per_shard, n, rejected=False)], n - per_shard
    if n or any(len(packed.rejected) for packed in waiting):
        yield _join(waiting)


def _join(packs: list[Packed]) -> Packed:
    shapes = sorted({tuple(p.images.shape[1:]) for p in packs})
    if len(shapes) > 1:
        raise ValueError(f"these packs cannot be written together, their images (C, H, W) differ: {shapes}")
    joined = Packed(
        torch.cat([p.images for p in packs]),
        pd.concat([p.samples for p in packs]),
        [w for p in packs for w in p.widths],
        pd.concat([p.rejected for p in packs]),
    )
    joined.texts = [text for p in packs for text in p.texts]
    return joined


def _part(packed: Packed, first: int, end: int, rejected: bool = True) -> Packed:
    rows = slice(first, end)
    part = Packed(
        packed.images[rows],
        packed.samples.iloc[rows],
        packed.widths[rows],
        packed.rejected if rejected else packed.rejected.iloc[:0],
    )
    part.texts = packed.texts[rows]
    return part
