"""Listing: the files below a folder, and what their names tell, for the readers of `layouts`. Taught in notebook 01."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import splitext

import pandas as pd

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
    stem, suffix = splitext(name.lower())
    if name.startswith(".") or stem + suffix in ("thumbs.db", "desktop.ini") or suffix == ".md":
        return True
    return stem in ("readme", "license", "licence") and suffix in ("", ".txt", ".rst")


def is_image(file: str) -> bool:
    """The name ends like that of an image."""
    return splitext(file)[1].lower() in IMAGE_SUFFIXES


def split_of_path(top: str, file: str) -> str:
    """The split named by the nearest folder of `file`, up to the folder `top`, or `""`."""
    folders = [top, *PurePosixPath(file).parts[:-1]]
    return next((SPLIT_NAMES[f.lower()] for f in reversed(folders) if f.lower() in SPLIT_NAMES), "")


def start_of(folder: Path) -> str:
    """What stands before a file of `list_files` in its path: a `Path` for each of 400,000 files takes seconds."""
    return str(folder / "_")[:-1]


def file_rows(folder: Path, files: list[str]) -> Iterator[tuple[str, dict]]:
    """Each file with the beginning of its row: `image`, `split` and, where it is no image, `problem`."""
    start = start_of(folder)
    for file in files:
        row = {"image": start + file, "split": split_of_path(folder.name, file)}
        yield file, row if is_image(file) else {**row, "problem": "not an image file"}


def one_split(table: pd.DataFrame, split: str | None, place: Path, things: str) -> pd.DataFrame:
    """The rows of `table` that are in `split`, by any of its `SPLIT_NAMES`; None keeps all.

    Raises ValueError: the split does not exist; the message says how many `things` from `place` are in which.
    """
    if split is None:
        return table
    wanted = SPLIT_NAMES.get(split, split)
    if wanted not in set(table["split"]):
        there = ", ".join(f"{name!r} ({n} {things})" for name, n in table["split"].value_counts().items())
        raise ValueError(f"{place} has no split {split!r}; it has {there}")
    return table[table["split"] == wanted].reset_index(drop=True)
