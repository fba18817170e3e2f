"""The layouts of single characters: a folder a class, as of ImageNet, and the `.cdb` files of Hoda.

A set that brings no splits is split by the column `glyph_file`, and not by text, which would put each class whole into
one split. Images of one file name stay together whatever their class: where the name is the number of a font, so do its
glyphs. Taught in notebook 09.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ocrkit.data.layouts.hoda import read_cdb
from ocrkit.data.layouts.listing import SPLIT_NAMES, file_rows, is_image


def has_class_folders(folder: Path, files: list[str]) -> bool:
    """There are two classes or more, and nine of ten images lie right in the folder of one; others are reported."""
    images = [file for file in files if is_image(file)]
    classes = [name for name in map(class_of, images) if name]
    return len(set(classes)) > 1 and len(classes) >= 0.9 * len(images)


def read_class_folders(folder: Path, files: list[str]) -> Iterator[dict]:
    """`[split/]CLASS/file`: the label is the folder's name. Adds `glyph_file`, the name of the file."""
    for file, row in file_rows(folder, files):
        row["glyph_file"] = PurePosixPath(file).name.encode(errors="backslashreplace").decode()  # whatever its encoding
        name = class_of(file)
        if not name:
            row.setdefault("problem", "lies in no class folder: [split/]CLASS/file")
        yield row if "problem" in row else {**row, "text": name}


def class_of(file: str) -> str:
    """`train/Date/01.jpg` and `Date/01.jpg` -> `Date`; `""` where the file lies elsewhere."""
    folders = PurePosixPath(file).parts[:-1]
    if folders and folders[0].lower() in SPLIT_NAMES:
        folders = folders[1:]
    return folders[0] if len(folders) == 1 else ""


def has_cdb(folder: Path, files: list[str]) -> bool:
    """There is some `.cdb` file."""
    return any(map(is_cdb, files))


def is_cdb(file: str) -> bool:
    """The name ends in `.cdb`."""
    return file.lower().endswith(".cdb")


def read_cdb_files(folder: Path, files: list[str]) -> Iterator[dict]:
    """All `.cdb` files of a folder, as `read_cdb_file` reads one."""
    for file in files:
        if is_cdb(file):
            yield from read_cdb_file(folder / file)
        else:
            yield {"image": folder / file, "glyph_file": file, "problem": "not a .cdb file"}


def read_cdb_file(path: Path) -> Iterator[dict]:
    """The images of one `.cdb` file, in memory: `image` is a uint8 array, and the label is the number of its class.

    The split is that of the first word of the file's name (`Train 60000.cdb`). Adds `glyph_file`, such as
    `Train 60000.cdb#17`, counted from 1. Where the file is damaged, the images before that place are given, and a row
    with its `problem`. `hoda.write_images` makes files of them, to look at in a folder and to `lint`.
    """
    split = SPLIT_NAMES.get((path.stem.lower().split() or [""])[0], "")
    number = 0
    try:
        for number, glyph in enumerate(read_cdb(path), start=1):
            row = {"image": glyph.image, "text": str(glyph.label), "split": split}
            yield {**row, "glyph_file": f"{path.name}#{number}"}
    except ValueError as error:
        name = f"{path.name}#{number + 1}"
        yield {"image": path, "split": split, "glyph_file": name, "problem": str(error)}
