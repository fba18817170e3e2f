"""Handwritten names: CSV files with FILENAME,IDENTITY, and the images in folders beside them. Taught in notebook 01.

So comes https://www.kaggle.com/datasets/landlord/handwriting-recognition: `written_name_train_v2.csv` with
`train_v2/train/TRAIN_00001.jpg`, and the same for validation and test.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ocrkit.data.layouts.listing import SPLIT_NAMES, is_image, list_files, split_of_path, start_of
from ocrkit.data.layouts.lists import csv_rows, read_lists
from ocrkit.text.strings import names_text

NAME_COLUMNS = ("FILENAME", "IDENTITY")
#: Labels that are no text -> what they say. All other words are names: NA, NULL and NONE too.
NO_TEXT = {
    "": "the label is empty",
    "EMPTY": "the label says EMPTY: nothing is written",
    "UNREADABLE": "the label says UNREADABLE",
}


def read_names(folder: Path, files: list[str]) -> Iterator[dict]:
    """All CSV files of a folder, as `read_name_list` reads one. Images that no row names are reported too."""
    places = _by_name(files)
    return read_lists(folder, files, NAME_COLUMNS, lambda path: _rows(path, folder, places))


def read_name_list(path: Path) -> Iterator[dict]:
    """Rows of one CSV file of names, their images found by name in all folders beside it; raises as `csv_rows`.

    The text is the label as `names_text` writes it, and `label_raw` the label as it stands wherever the two differ. A
    row has a `problem` and the text `""` where the label is one of `NO_TEXT`, the image is not there, or the values do
    not fit the columns.

    The split is that of the file's name (`written_name_validation_v2.csv`), else of the image's folder, else `""`.
    Of two images with one name, the row's is the one whose folder has the file's split or word (`dev` in
    `written_name_dev.csv`); an image in the folder of another split is never taken.
    """
    yield from _rows(path, path.parent, _by_name(list_files(path.parent)))


def _by_name(files: list[str]) -> dict[str, list[str]]:
    """File name -> the images called so, with their folders."""
    places = defaultdict(list)
    for file in filter(is_image, files):
        places[file.rpartition("/")[2]].append(file)
    return places


def _rows(path: Path, folder: Path, places: dict[str, list[str]]) -> Iterator[dict]:
    word, start = _word(path.stem), start_of(folder)
    for row, problem in csv_rows(path, NAME_COLUMNS):
        name, label = row.pop("FILENAME").replace("\\", "/"), row.pop("IDENTITY")
        file = _find(name, word, places)
        split = word if word in SPLIT_NAMES.values() else split_of_path(folder.name, file)
        text = names_text(label)
        absent = "" if file else "no image of this name in the folders beside the CSV"
        problem = problem or absent or NO_TEXT.get(text)
        row.update(image=start + file if file else path.parent / name, text="" if problem else text, split=split)
        if problem:
            row["problem"] = problem
        if row["text"] != label:
            row["label_raw"] = label
        yield row


def _find(name: str, word: str, places: dict[str, list[str]]) -> str:
    """The image that a row of the CSV file of this word means, or `""`."""
    found = [file for file in places.get(name.rpartition("/")[2], ()) if f"/{file}".endswith(f"/{name}")]
    ranks = [_rank(file.rpartition("/")[0], word) for file in found]
    return found[ranks.index(max(ranks))] if any(ranks) else ""


@lru_cache(maxsize=1024)
def _rank(folder: str, word: str) -> int:
    """How well a folder of images fits the CSV file of this word: 2 the same word, 1 no split, 0 another split."""
    words = [_word(part) for part in PurePosixPath(folder).parts]
    splits = SPLIT_NAMES.values()
    return 2 if word in words else 0 if word in splits and set(words) & set(splits) else 1


def _word(name: str) -> str:
    """`train_v2` -> `train`, `written_name_validation_v2` -> `valid`, `written_name_dev` -> `dev`."""
    core = re.sub(r"^written_name_|_v\d+$", "", name.lower())
    return SPLIT_NAMES.get(core, core)
