"""Samples: folders and CSV files of images and labels -> one table. Taught in notebook 01.

It has a row an image: `image` (absolute path; an array where it comes from a `.cdb` file), `text` (label, NFC), `split`
(`train`, `valid`, `test`), and whatever else the set says about it.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path

import numpy as np
import pandas as pd

from ocrkit.data import sources
from ocrkit.data.layouts.find import find_layout, read_csv
from ocrkit.data.layouts.glyphs import is_cdb, read_cdb_file
from ocrkit.data.layouts.listing import list_files, one_split
from ocrkit.text.strings import normalize, require_columns

#: Shares of a set that brings no splits of its own.
FRACTIONS = {"train": 0.6, "valid": 0.1, "test": 0.3}


def load_samples(where: str | os.PathLike, *, split: str | None = None) -> pd.DataFrame:
    """Read a data set into a samples table. Taught in notebook 01.

    Args:
        where: a name (`"plates"`, the shipped samples; `"ccpd"`, the full set), a folder in one of the
            layouts of `ocrkit.data.layouts`, or a file, `.csv` or `.cdb`. A name goes first: `"./plates"` is a folder.
        split: keep only this split, `"train"`, `"valid"` (or `"val"`) or `"test"`.

    Returns a table with `image`, `text`, `split` and the columns of its layout. A set that says nothing about splits
    gets those of `assign_splits`, by text or, for single characters, by file. `label_raw` is there where some label was
    not in NFC or not as its layout spells, and `problem` where some file has no usable label; such a row has the text
    `""`. Nothing is dropped: `lint` reports it.

    Raises FileNotFoundError: there is no such folder, file or registered set; ValueError: the layout is not known, a
    CSV cannot be used, or the split does not exist.
    """
    place = sources.locate(where) if where in sources.SOURCES else Path(where).expanduser()
    if not place.exists():
        raise FileNotFoundError(
            f"there is no folder or file {str(where)!r}; data sets with a name: {', '.join(sources.SOURCES)}"
        )
    place = Path(os.path.abspath(place))
    if place.is_dir():
        files = list_files(place)
        samples = _table(find_layout(place, files).read(place, files))
    elif place.suffix.lower() == ".csv":
        samples = _table(read_csv(place))
    elif is_cdb(place.name):
        samples = _table(read_cdb_file(place))
    else:
        raise ValueError(f"{place} is neither a folder nor a .csv or .cdb file: give the folder of the images")
    if not samples["split"].any():
        samples = assign_splits(samples, by="glyph_file" if "glyph_file" in samples else "text")
    return one_split(samples, split, place, "images")


def assign_splits(samples: pd.DataFrame, fractions: Mapping[str, float] = FRACTIONS, by: str = "text") -> pd.DataFrame:
    """Return a copy of `samples` whose `split` follows from the text alone, or from another column.

    The SHA-1 of the NFC text, read as a number from 0 to 1, falls in the share of one split; so the same text has the
    same split in every set and on every machine, and a test plate never leaks into training.
    `fractions` is split name -> share; rows that agree in the column `by`, such as `writer_id`, stay together.

    Raises ValueError: a share is negative, they do not add up to 1, or there is no column `by`. Taught in notebook 01.
    """
    if min(fractions.values(), default=-1) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(f"the shares {dict(fractions)} must each be at least 0 and add up to 1")
    require_columns(samples, by)
    return samples.assign(split=[_split_of_text(str(value), fractions) for value in samples[by]])


def _split_of_text(text: str, fractions: Mapping[str, float]) -> str:
    place = int.from_bytes(hashlib.sha1(normalize(text).encode()).digest()[:8], "big") / 2**64
    ends = accumulate(fractions.values())
    # The last split also takes what rounding leaves over.
    return next((name for name, end in zip(fractions, ends, strict=True) if place < end), [*fractions][-1])


def _table(rows: Iterable[dict]) -> pd.DataFrame:
    """The rows of a reader as a samples table: absolute paths, NFC, the columns in one order."""
    clean = []
    for row in rows:
        row = {"image": "", "text": "", "split": "", **row}
        if not isinstance(row["image"], np.ndarray):
            row["image"] = os.path.abspath(row["image"])
            readable = row["image"].encode(errors="backslashreplace").decode()
            if readable != row["image"]:  # Python stands for such bytes with characters that no table can hold
                problem = "the file name is not UTF-8: unpack its archive with the right encoding"
                row.update(image=readable, text="", problem=problem)
        raw, row["text"] = row["text"], normalize(row["text"])
        if raw != row["text"]:
            row["label_raw"] = raw
        clean.append(row)
    table = pd.DataFrame(clean)
    rare = [c for c in ("label_raw", "problem") if c in table]
    return table.fillna(dict.fromkeys(rare, ""))[[c for c in table if c not in rare] + rare]
