"""Lists: CSV files that name images and their texts. Taught in notebooks 01 and 08."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ocrkit.data.layouts.listing import SPLIT_NAMES, file_rows, is_image, split_of_path
from ocrkit.text.strings import require_columns

WORD_COLUMNS = ("file_name", "text")


def is_csv(file: str) -> bool:
    """The name ends in `.csv`."""
    return file.lower().endswith(".csv")


def has_list(columns: tuple[str, str], folder: Path, files: list[str]) -> bool:
    """Some CSV file has the `columns`."""
    return any(not csv_problem(folder / file, columns) for file in files if is_csv(file))


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
    for file, row in file_rows(folder, files):
        if not is_csv(file) and os.path.normcase(row["image"]) not in listed:
            yield {**row, "problem": "in no row of the CSV"} if is_image(file) else row


def read_word_lists(folder: Path, files: list[str]) -> Iterator[dict]:
    """All CSV files of a folder; other columns are kept. Images that no row names are reported too."""
    return read_lists(folder, files, WORD_COLUMNS, read_word_list)


def read_word_list(path: Path) -> Iterator[dict]:
    """Rows of one word list; raises as `csv_rows`.

    The split is the row's own, or that of the nearest folder of the image, the CSV's name or its folder.
    """
    for row, problem in csv_rows(path, WORD_COLUMNS):
        name = row.pop("file_name").replace("\\", "/")
        given = row.get("split", "").strip().lower()
        own = split_of_path(path.parent.name, f"{path.stem}/{name}")
        row.update(image=path.parent / name, split=SPLIT_NAMES.get(given, given) or own)
        yield {**row, "text": "", "problem": problem} if problem else row


def csv_problem(path: Path, columns: tuple[str, str]) -> str:
    """Why `path` is no CSV file with `columns`, or `""`: it is read as far as its first row."""
    try:
        next(csv_rows(path, columns))
    except ValueError as error:
        return str(error)
    return ""


def csv_rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of a CSV file, each with the reason why it cannot be used, or `""`; 'NA' and 'NULL' stay strings.

    `columns` are those of the file name and of the text, which may stand in any order and beside others.

    Raises ValueError: the file is empty, not UTF-8, not a table, or has not both columns.
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
                row = {key: value or "" for key, value in row.items()}
                yield row, problem and f"line {reader.line_num} of {path.name} {problem}"
            if empty:
                raise ValueError(f"{path} has a first line and no rows below it")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file that can be read: {error}") from error
