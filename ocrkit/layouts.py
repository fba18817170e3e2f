"""Layouts: the ways in which data sets lie on disk, each with its reader.

A reader gives one plain `dict` an image; `samples` makes them a table. A file that should have been a
sample and is not (no label in its name, not an image) gives a row with `problem` and without `text`.

Taught in notebook 01.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ocrkit.text import PLATE_MARKS, PROVINCES, normalize, plate_kind

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
        inside = Path(base).relative_to(folder)
        files += [(inside / name).as_posix() for name in names if not _is_clutter(name)]
    return sorted(files)


# --- plates: [split/]ANYTHING-皖A25V59.jpg ---


def has_plate_labels(folder: Path, files: list[str]) -> bool:
    """Some image is named `ANYTHING-LABEL.jpg` with a province or another plate character in LABEL."""
    marks = set(PROVINCES + PLATE_MARKS)
    return any(_is_image(f) and marks & set(_plate_label(f)) for f in files)


def read_plates(folder: Path, files: list[str]) -> Iterator[dict]:
    """The label stands between the last `-` and the `.` of the name. Adds `province`, `length`, `kind`."""
    for file in files:
        row = {"image": folder / file, "text": "", "split": _split_of_path(folder.name, file)}
        row.update(plate_columns(""))
        label = _plate_label(file)
        if not _is_image(file):
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
    return any(_is_image(f) and _CCPD_NAME.fullmatch(PurePosixPath(f).stem) for f in files)


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
        split = official.get(file) or _split_of_path(folder.name, file)
        row = {"image": folder / file, "text": "", "split": split, **plate_columns("")}
        row["part"] = path.parent.name or folder.name
        match = _CCPD_NAME.fullmatch(path.stem)
        if not _is_image(file):
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


def has_word_list(folder: Path, files: list[str]) -> bool:
    """Some CSV file has the columns `file_name` and `text`."""
    return any(not csv_problem(folder / f) for f in files if _is_csv(f))


def read_word_lists(folder: Path, files: list[str]) -> Iterator[dict]:
    """All CSV files of a folder; other columns are kept. Images that no row names are reported too."""
    listed = set()
    for file in filter(_is_csv, files):
        if problem := csv_problem(folder / file):
            yield {"image": folder / file, "split": _split_of_path(folder.name, file), "problem": problem}
            continue
        for row in read_csv(folder / file):
            listed.add(row["image"])
            yield row
    for file in files:
        if not _is_csv(file) and folder / file not in listed:
            problem = "in no row of the CSV" if _is_image(file) else "not an image file"
            yield {"image": folder / file, "split": _split_of_path(folder.name, file), "problem": problem}


def csv_problem(path: Path) -> str:
    """Why `path` is no word list, or `""`: it is read as far as its first line."""
    try:
        next(read_csv(path))
    except ValueError as error:
        return str(error)
    return ""


def read_csv(path: Path) -> Iterator[dict]:
    """Rows of one word list. Every value stays the string that it is: 'NA' and 'NULL' are texts.

    The split is the row's own, or that of the nearest folder of the image, the CSV's name or its folder.

    Raises:
        ValueError: the file is empty, not UTF-8, not a table, or has no `file_name` and `text`.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            if not header:
                raise ValueError(f"{path} is empty: its first line must be 'file_name,text'")
            if missing := [c for c in ("file_name", "text") if c not in header]:
                found = ", ".join(header)
                hint = "" if len(header) > 1 else "; put a comma between the columns"
                raise ValueError(f"{path} has no column {' and no '.join(missing)}; it has: {found}{hint}")
            empty = True
            for row in reader:
                empty = False
                values = len(header) + len(row.pop(None, [])) - list(row.values()).count(None)
                row = {key: value or "" for key, value in row.items()}
                name = row.pop("file_name").replace("\\", "/")
                given = row.get("split", "").strip().lower()
                own = _split_of_path(path.parent.name, f"{path.stem}/{name}")
                row.update(image=path.parent / name, split=SPLIT_NAMES.get(given, given) or own)
                if values != len(header):
                    problem = f"has {values} values for {len(header)} columns: quote a text with a comma"
                    row.update(text="", problem=f"line {reader.line_num} of {path.name} {problem}")
                elif not name:
                    row.update(text="", problem=f"line {reader.line_num} of {path.name} has no file name")
                yield row
            if empty:
                raise ValueError(f"{path} has a first line and no rows below it")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file that can be read: {error}") from error


# --- the registry ---


class Layout(NamedTuple):
    """A way in which data sets lie on disk. Both functions take the folder and the files of `list_files`."""

    name: str
    looks_like: str
    recognize: Callable[[Path, list[str]], bool]
    read: Callable[[Path, list[str]], Iterable[dict]]


#: Tried in this order. A new layout is one more line here.
LAYOUTS = [
    Layout("word list", "a .csv file with file_name,text beside the images", has_word_list, read_word_lists),
    Layout("CCPD", "025-95_113-154&383_386&473-...-0_0_22_27_27_33_16-37-15.jpg", has_ccpd_names, read_ccpd),
    Layout("plates", "[split/]ANYTHING-皖A25V59.jpg", has_plate_labels, read_plates),
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
    if any(map(_is_image, files)):
        found.append("no label in the name")
    found += [csv_problem(folder / f) for f in files if _is_csv(f)][:3]
    known = "".join(f"\n  {layout.name}: {layout.looks_like}" for layout in LAYOUTS)
    raise ValueError(f"the layout of {folder} is not known. Found: {', '.join(found)}. Layouts that are read:{known}")


def _is_clutter(name: str) -> bool:
    path = PurePosixPath(name.lower())
    if name.startswith(".") or path.name in ("thumbs.db", "desktop.ini") or path.suffix == ".md":
        return True
    return path.stem in ("readme", "license", "licence") and path.suffix in ("", ".txt", ".rst")


def _is_image(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES


def _is_csv(file: str) -> bool:
    return file.lower().endswith(".csv")


def _split_of_path(top: str, file: str) -> str:
    """The split named by the nearest folder of `file`, up to the folder `top`, or `""`."""
    folders = [top, *PurePosixPath(file).parts[:-1]]
    return next((SPLIT_NAMES[f.lower()] for f in reversed(folders) if f.lower() in SPLIT_NAMES), "")
