"""Words: a CSV file that lists images and their texts.

Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ocrkit.data.layouts.listing import SPLIT_NAMES, csv_problem, csv_rows, is_csv, read_lists, split_of_path

WORD_COLUMNS = ("file_name", "text")


def has_word_list(folder: Path, files: list[str]) -> bool:
    """Some CSV file has the columns `file_name` and `text`."""
    return any(not csv_problem(folder / f, WORD_COLUMNS) for f in files if is_csv(f))


def read_word_lists(folder: Path, files: list[str]) -> Iterator[dict]:
    """All CSV files of a folder; other columns are kept. Images that no row names are reported too."""
    return read_lists(folder, files, WORD_COLUMNS, read_word_list)


def read_word_list(path: Path) -> Iterator[dict]:
    """Rows of one word list. Every value stays the string that it is: 'NA' and 'NULL' are texts.

    The split is the row's own, or that of the nearest folder of the image, the CSV's name or its folder.

    Raises:
        ValueError: the file is empty, not UTF-8, not a table, or has no `file_name` and `text`.
    """
    for row, problem in csv_rows(path, WORD_COLUMNS):
        name = row.pop("file_name").replace("\\", "/")
        given = row.get("split", "").strip().lower()
        own = split_of_path(path.parent.name, f"{path.stem}/{name}")
        row.update(image=path.parent / name, split=SPLIT_NAMES.get(given, given) or own)
        yield {**row, "text": "", "problem": problem} if problem else row
