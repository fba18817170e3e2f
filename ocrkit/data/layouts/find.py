"""Layouts: the ways in which data sets lie on disk, each with its reader.

A reader gives one plain `dict` an image; `samples` makes them a table. A file that should have been a sample and is not
(no label in its name, not an image) gives a row with `problem` and without `text`. Taught in notebook 01.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ocrkit.data.layouts.glyphs import has_cdb, has_class_folders, read_cdb_files, read_class_folders
from ocrkit.data.layouts.listing import is_image
from ocrkit.data.layouts.lists import WORD_COLUMNS, csv_problem, has_list, is_csv, read_word_list, read_word_lists
from ocrkit.data.layouts.names import NAME_COLUMNS, read_name_list, read_names
from ocrkit.data.layouts.plates import has_ccpd_names, has_plate_labels, read_ccpd, read_plates


class Layout(NamedTuple):
    """A way in which data sets lie on disk. Both functions take the folder and the files of `list_files`."""

    name: str
    looks_like: str
    recognize: Callable[[Path, list[str]], bool]
    read: Callable[[Path, list[str]], Iterable[dict]]


#: Tried in this order. A new layout is one more line here.
LAYOUTS = [
    Layout("names", "a .csv file with FILENAME,IDENTITY, and folders of images beside it",
           partial(has_list, NAME_COLUMNS), read_names),
    Layout("word list", "a .csv file with file_name,text beside the images",
           partial(has_list, WORD_COLUMNS), read_word_lists),
    Layout("CCPD", "025-95_113-154&383_386&473-...-0_0_22_27_27_33_16-37-15.jpg", has_ccpd_names, read_ccpd),
    Layout("plates", "[split/]ANYTHING-皖A25V59.jpg", has_plate_labels, read_plates),
    Layout("Hoda", "a .cdb file, such as 'Train 60000.cdb'", has_cdb, read_cdb_files),
    Layout("glyphs", "[split/]CLASS/file, two classes or more, each a folder", has_class_folders, read_class_folders),
]  # fmt: skip


def find_layout(folder: Path, files: list[str]) -> Layout:
    """Return the first of `LAYOUTS` that recognizes the files.

    Raises ValueError: none does; the message tells what was found and which layouts are read.
    """
    for layout in LAYOUTS:
        if layout.recognize(folder, files):
            return layout
    kinds = Counter(PurePosixPath(f).suffix.lower() or "no ending" for f in files)
    found = [", ".join(f"{n} {kind} file{'s' * (n > 1)}" for kind, n in kinds.most_common(5)) or "no files"]
    if any(map(is_image, files)):
        found.append("no label in the name")
    found += [csv_problem(folder / f, _list_columns(folder / f)) for f in files if is_csv(f)][:3]
    known = "".join(f"\n  {layout.name}: {layout.looks_like}" for layout in LAYOUTS)
    raise ValueError(f"the layout of {folder} is not known. Found: {', '.join(found)}. Layouts that are read:{known}")


def read_csv(path: Path) -> Iterator[dict]:
    """Rows of one CSV file on its own: a list of names where its columns are those of one, else a word list.

    Raises ValueError: the file is empty, not UTF-8, not a table, or lacks a column.
    """
    return read_name_list(path) if _list_columns(path) == NAME_COLUMNS else read_word_list(path)


def _list_columns(path: Path) -> tuple[str, str]:
    """The columns that a CSV file should have, by those that it has."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header = {name.strip() for name in next(csv.reader(file), [])}
    except (UnicodeDecodeError, csv.Error):
        header = set()
    return max(WORD_COLUMNS, NAME_COLUMNS, key=lambda columns: len(header & set(columns)))
