"""Listing: the files below a folder, and the rows of the CSV files among them, for the readers of `layouts`.

Taught in notebook 01.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from posixpath import splitext

import pandas as pd

from ocrkit.text.strings import require_columns

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def list_files(folder: Path) -> list[str]:
    """Files below `folder`, relative and with `/`, sorted; without hidden ones, `Thumbs.db` and read-mes."""
    files, seen = [], set()
    for base, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        inside = Path(base).relative_to(folder).as_posix()
        start = "" if inside == "." else f"{inside}/"
        files += [start + name for name in names if not _is_clutter(name)]
    return sorted(files)


def _is_clutter(name: str) -> bool:
    lower = name.lower()
    stem, suffix = splitext(lower)
    if name.startswith(".") or lower in ("thumbs.db", "desktop.ini") or suffix == ".md":
        return True
    return stem in ("readme", "license", "licence") and suffix in ("", ".txt", ".rst")


def is_image(file: str) -> bool:
    """The name ends like that of an image."""
    return splitext(file)[1].lower() in IMAGE_SUFFIXES


def is_csv(file: str) -> bool:
    """The name ends in `.csv`."""
    return file.lower().endswith(".csv")


def split_of_path(top: str, file: str) -> str:
    """The split named by the nearest folder of `file`, up to the folder `top`, or `""`."""
    folders = [top, *PurePosixPath(file).parts[:-1]]
    return next((SPLIT_NAMES[f.lower()] for f in reversed(folders) if f.lower() in SPLIT_NAMES), "")


def start_of(folder: Path) -> str:
    """What stands before a file of `list_files` in its path: a `Path` for each of 400,000 files takes seconds."""
    return str(folder / "_")[:-1]


def read_lists(
    folder: Path, files: list[str], columns: tuple[str, str], read: Callable[[Path], Iterable[dict]]
) -> Iterator[dict]:
    """The rows that `read` gives of each CSV file with `columns`, then a row with `problem` for all other files."""
    listed = set()
    for file in filter(is_csv, files):
        if problem := csv_problem(folder / file, columns):
            yield {"image": folder / file, "split": split_of_path(folder.name, file), "problem": problem}
            continue
        for row in read(folder / file):
            listed.add(os.path.normcase(row["image"]))
            yield row
    start = start_of(folder)
    for file in files:
        if not is_csv(file) and os.path.normcase(start + file) not in listed:
            problem = "in no row of the CSV" if is_image(file) else "not an image file"
            yield {"image": folder / file, "split": split_of_path(folder.name, file), "problem": problem}


def csv_header(path: Path) -> set[str]:
    """The columns of a CSV file; none where it is empty or its first line cannot be read."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return {name.strip() for name in next(csv.reader(file), [])}
    except (UnicodeDecodeError, csv.Error):
        return set()


def csv_problem(path: Path, columns: tuple[str, str]) -> str:
    """Why `path` is no CSV file with `columns`, or `""`: it is read as far as its first row."""
    try:
        next(csv_rows(path, columns))
    except ValueError as error:
        return str(error)
    return ""


def csv_rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of a CSV file, each with the reason why it cannot be used, or `""`. Every value stays a string.

    Args:
        columns: what the file must have, in any order and beside others: file name first, then text.

    Raises:
        ValueError: the file is empty, not UTF-8, not a table, or has not both columns.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            if not header:
                raise ValueError(f"{path} is empty: its first line must be '{','.join(columns)}'")
            cure = "" if len(header) > 1 else "put a comma between the columns"
            require_columns(header, *columns, what=str(path), cure=cure)
            empty = True
            for row in reader:
                empty = False
                values = len(header) + len(row.pop(None, [])) - list(row.values()).count(None)
                problem = ""
                if values != len(header):
                    problem = f"has {values} values for {len(header)} columns: quote a text with a comma"
                elif not row[columns[0]]:
                    problem = "has no file name"
                yield (
                    {key: value or "" for key, value in row.items()},
                    problem and f"line {reader.line_num} of {path.name} {problem}",
                )
            if empty:
                raise ValueError(f"{path} has a first line and no rows below it")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file that can be read: {error}") from error


def one_split(table: pd.DataFrame, split: str | None, place: Path, things: str) -> pd.DataFrame:
    """The rows of `table` that are in `split`, by any of its `SPLIT_NAMES`; None keeps all.

    Raises:
        ValueError: the split does not exist; the message says how many `things` from `place` are in which.
    """
    if split is None:
        return table
    wanted = SPLIT_NAMES.get(split, split)
    if wanted not in set(table["split"]):
        there = ", ".join(f"{name!r} ({n} {things})" for name, n in table["split"].value_counts().items())
        raise ValueError(f"{place} has no split {split!r}; it has {there}")
    return table[table["split"] == wanted].reset_index(drop=True)
