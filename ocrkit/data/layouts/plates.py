"""Plates: the label stands in the file name, as in CCPD or after the last hyphen. Taught in notebook 01."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ocrkit.data.layouts.listing import SPLIT_NAMES, file_rows, is_image
from ocrkit.text.alphabets import PLATE_MARKS, PROVINCES, plate_kind
from ocrkit.text.strings import normalize


def has_plate_labels(folder: Path, files: list[str]) -> bool:
    """Some image is named `ANYTHING-LABEL.jpg` with a province or another plate character in LABEL."""
    marks = set(PROVINCES + PLATE_MARKS)
    return any(is_image(f) and marks & set(_plate_label(f)) for f in files)


def read_plates(folder: Path, files: list[str]) -> Iterator[dict]:
    """The label stands between the last `-` and the `.` of the name. Adds `province`, `length`, `kind`."""
    for file, row in file_rows(folder, files):
        label = "" if "problem" in row else _plate_label(file)
        if not label:
            row.setdefault("problem", "no label between the last '-' and the '.' of the name")
        yield {**row, "text": label, **plate_columns(label)}


def _plate_label(file: str) -> str:
    _, dash, label = PurePosixPath(file).stem.rpartition("-")
    return label if dash else ""


def plate_columns(label: str) -> dict:
    """What a plate's label tells: `province` (its character), `length` and `kind`, `""` where it has none."""
    text = normalize(label)
    province = text[0] if text and text[0] in PROVINCES else ""
    return {"province": province, "length": len(text), "kind": plate_kind(text) or ""}


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
    for file, row in file_rows(folder, sorted(set(files) - set(lists))):
        path = PurePosixPath(file)
        row.update(split=official.get(file) or row["split"], **plate_columns(""))
        row["part"] = path.parent.name or folder.name
        match = _CCPD_NAME.fullmatch(path.stem)
        if match is None:
            row.setdefault("problem", "the name has no CCPD label")
        yield row if "problem" in row else {**row, **_ccpd_columns(match)}


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
