"""Layouts: the ways in which data sets lie on disk, each with its reader.

A reader gives one plain `dict` an image; `samples` makes them a table. A file that should have been a
sample and is not (no label in its name, not an image) gives a row with `problem` and without `text`.

Taught in notebook 01.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ocrkit.layout_glyphs import has_cdb, has_class_folders, read_cdb_files, read_class_folders
from ocrkit.layout_names import NAME_COLUMNS, has_names, read_name_list, read_names
from ocrkit.listing import SPLIT_NAMES, csv_header, csv_problem, csv_rows, is_csv, is_image, read_lists, split_of_path
from ocrkit.text import PLATE_MARKS, PROVINCES, normalize, plate_kind

# --- plates: [split/]ANYTHING-皖A25V59.jpg ---


def has_plate_labels(folder: Path, files: list[str]) -> bool:
    """Some image is named `ANYTHING-LABEL.jpg` with a province or another plate character in LABEL."""
    marks = set(PROVINCES + PLATE_MARKS)
    return any(is_image(f) and marks & set(_plate_label(f)) for f in files)


def read_plates(folder: Path, files: list[str]) -> Iterator[dict]:
    """The label stands between the last `-` and the `.` of the name. Adds `province`, `length`, `kind`."""
    for file in files:
        row = {"image": folder / file, "text": "", "split": split_of_path(folder.name, file)}
        row.update(plate_columns(""))
        label = _plate_label(file)
        if not is_image(file):
            yield {**row, "problem": "not an image file"}
        elif not label:
            yield {**row, "problem": "no label between the last '-' and the '.' of the name"}
        else:
            yield {**row, "text": label, **plate_columns(label)}


def _plate_label(file: str) -> str:
    _, dash, label = PurePosixPath(file).stem.rpartition("-")
    return label if dash else ""


def plate_columns(label: str) -> dict:
    text = normalize(label)
    province = text[0] if text and text[0] in PROVINCES else ""
    return {"province": province, "length": len(text), "kind": plate_kind(text) or ""}


# --- CCPD's own names (https://github.com/detectRecog/CCPD, "Dataset Annotations") ---

# The O that ends each table is a letter and means "no character".
CCPD_PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O"
CCPD_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZO"
CCPD_ADS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O"
_POINT = r"(-?\d+)&(-?\d+)"
_CCPD_NAME = re.compile(
    rf"(?P<area>\d+)-(?P<tilt>\d+_\d+)-(?P<box>{_POINT}_{_POINT})-(?P<corners>{'_'.join([_POINT] * 4)})"
    r"-(?P<codes>\d+(?:_\d+)+)-(?P<brightness>\d+)-(?P<blur>\d+)"
)


def has_ccpd_names(folder: Path, files: list[str]) -> bool:
    """Some image is named in CCPD's own way."""
    return any(is_image(f) and _CCPD_NAME.fullmatch(PurePosixPath(f).stem) for f in files)


def read_ccpd(folder: Path, files: list[str]) -> Iterator[dict]:
    """Area, tilt, box, corners, label, brightness and blur, separated by `-`.

    Adds `corners`, (x, y) clockwise from top left; `box`, (x1, y1, x2, y2); `tilt_horizontal` and
    `tilt_vertical` in degrees; `area`, the plate's share of the photo; `brightness`; `blur`; `part`, the
    sub-folder (`ccpd_base`, `ccpd_blur`, ...); and the columns of `read_plates`. The split is that of CCPD's
    lists (`splits/train.txt`, `val.txt`, `test.txt`, `ccpd_blur.txt`, ...) or of the folder.
    """
    lists = sorted(f for f in files if re.fullmatch(r"(.*/)?splits?/\w+\.txt", f))
    official = {}
    for name in lists:
        base = PurePosixPath(name).parent.parent
        # The lists of the hard parts, ccpd_blur.txt and so on, belong to CCPD's test set.
        split = SPLIT_NAMES.get(PurePosixPath(name).stem, "test")
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            official[str(base / line.strip())] = split
    for file in sorted(set(files) - set(lists)):
        path = PurePosixPath(file)
        split = official.get(file) or split_of_path(folder.name, file)
        row = {"image": folder / file, "text": "", "split": split, **plate_columns("")}
        row["part"] = path.parent.name or folder.name
        match = _CCPD_NAME.fullmatch(path.stem)
        if not is_image(file):
            yield {**row, "problem": "not an image file"}
        elif match is None:
            yield {**row, "problem": "the name has no CCPD label"}
        else:
            yield {**row, **_ccpd_columns(match)}


def _ccpd_columns(match: re.Match) -> dict:
    def points(field: str) -> list[tuple[int, int]]:
        return [(int(x), int(y)) for x, y in re.findall(_POINT, match[field])]

    right_bottom, left_bottom, left_top, right_top = points("corners")
    horizontal, vertical = match["tilt"].split("_")
    columns = {
        "corners": (left_top, right_top, right_bottom, left_bottom),
        "box": sum(points("box"), ()),
        "tilt_horizontal": int(horizontal),
        "tilt_vertical": int(vertical),
        "area": float(f"0.{match['area']}"),
        "brightness": int(match["brightness"]),
        "blur": int(match["blur"]),
    }
    codes = [int(code) for code in match["codes"].split("_")]
    tables = [CCPD_PROVINCES, CCPD_LETTERS] + [CCPD_ADS] * (len(codes) - 2)
    for code, table in zip(codes, tables, strict=True):
        if code >= len(table):
            return {**columns, "problem": f"character number {code} is not in CCPD's table of {len(table)}"}
    text = "".join(table[code] for code, table in zip(codes, tables, strict=True) if code < len(table) - 1)
    return {**columns, "text": text, **plate_columns(text)}


# --- word lists: *.csv with file_name,text[,writer_id,split,...] ---

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


# --- the registry ---


class Layout(NamedTuple):
    """A way in which data sets lie on disk. Both functions take the folder and the files of `list_files`."""

    name: str
    looks_like: str
    recognize: Callable[[Path, list[str]], bool]
    read: Callable[[Path, list[str]], Iterable[dict]]


#: Tried in this order. A new layout is one more line here.
LAYOUTS = [
    Layout("names", "a .csv file with FILENAME,IDENTITY, and folders of images beside it", has_names, read_names),
    Layout("word list", "a .csv file with file_name,text beside the images", has_word_list, read_word_lists),
    Layout("CCPD", "025-95_113-154&383_386&473-...-0_0_22_27_27_33_16-37-15.jpg", has_ccpd_names, read_ccpd),
    Layout("plates", "[split/]ANYTHING-皖A25V59.jpg", has_plate_labels, read_plates),
    Layout("Hoda", "a .cdb file, such as 'Train 60000.cdb'", has_cdb, read_cdb_files),
    Layout("glyphs", "[split/]CLASS/file, two classes or more, each a folder", has_class_folders, read_class_folders),
]


def find_layout(folder: Path, files: list[str]) -> Layout:
    """Return the first of `LAYOUTS` that recognizes the files.

    Raises:
        ValueError: none does; the message tells what was found and which layouts are read.
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

    Raises:
        ValueError: the file is empty, not UTF-8, not a table, or lacks a column.
    """
    return read_name_list(path) if _list_columns(path) == NAME_COLUMNS else read_word_list(path)


def _list_columns(path: Path) -> tuple[str, str]:
    """The columns that a CSV file should have, by those that it has."""
    return max(WORD_COLUMNS, NAME_COLUMNS, key=lambda columns: len(csv_header(path) & set(columns)))
