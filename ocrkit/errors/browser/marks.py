"""What a person says about single images, kept in a file, and the table that is corrected by it. See notebook 05."""

import json
import os
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from ocrkit.data.files import write_json
from ocrkit.data.layouts.listing import SPLIT_NAMES
from ocrkit.data.layouts.plates import plate_columns
from ocrkit.text.edits import operations
from ocrkit.text.strings import normalize, require_columns

#: What can be said about an image. `fine`: label and image are right, the reading is wrong. `wrong label`: it has
#: a new label. `unreadable`: nobody can read the image. `exclude`: it does not belong here for another reason.
MARKS = ("fine", "wrong label", "unreadable", "exclude")
_FORMAT = "ocrkit marks 1"


class Identity(NamedTuple):
    """What tells a row from all others: file (or `row INDEX` for an image in memory), label, crop as JSON or ""."""

    image: str
    text: str
    crop: str


class Mark(NamedTuple):
    """One of `MARKS`, and the new label where it is `wrong label`."""

    mark: str
    new_text: str = ""


class Rows:
    """Finds rows of a table with `image` and `text` by their identity; a row is meant by its position, from 0.

    Raises a ValueError where images are in memory and the index has a value twice: rows cannot be told apart.
    """

    def __init__(self, table: pd.DataFrame):
        images = table["image"].tolist()
        self.names = [
            os.fspath(image) if isinstance(image, (str, os.PathLike)) else f"row {index}"
            for index, image in zip(table.index.tolist(), images)
        ]
        self.texts = table["text"].tolist()
        self.in_memory = next((image for image in images if isinstance(image, np.ndarray)), None)
        if self.in_memory is not None and not table.index.is_unique:
            raise ValueError(
                "the images are in memory and the index of the table has a value twice, so a mark could not say "
                "which row it means; use table.reset_index(drop=True)"
            )
        self._crops = [table[c].tolist() for c in ("corners", "box") if c in table]
        self._by_name = defaultdict(list)
        for position, name in enumerate(self.names):
            self._by_name[name].append(position)

    def identity(self, position: int) -> Identity:
        """The identity of one row."""
        # As for reading: a row without corners may have a box.
        crop = next((c[position] for c in self._crops if np.ndim(c[position])), None)
        crop = "" if crop is None else json.dumps(np.asarray(crop, dtype=float).round(2).tolist())
        return Identity(self.names[position], self.texts[position], crop)

    def find(self, image: str, text: str, crop: str | None = None) -> list[int]:
        """Positions of the rows with this identity, most often one; with `crop=None` the crop does not matter."""
        rows = [p for p in self._by_name.get(image, []) if self.texts[p] == text]
        return rows if crop is None else [p for p in rows if self.identity(p).crop == crop]

    def default_path(self) -> Path:
        """`runs/marks/SET.json` in the working folder, where SET is the folder that holds all images."""
        name = "empty"
        if self.in_memory is not None:
            name = f"in-memory-{crc32(self.in_memory.tobytes()):08x}"
        elif self.names:
            # The first and the last path in order share what all of them share.
            folders = [os.path.dirname(os.path.abspath(end)) for end in (min(self.names), max(self.names))]
            parts = Path(os.path.commonpath(folders)).parts[1:]  # without the root
            name = next((part for part in reversed(parts) if part not in SPLIT_NAMES), "images")
        return Path("runs", "marks", f"{name}.json")


class Marks:
    """The marks of the rows of a table. Each change is written to the JSON file `path` at once, whole or not at all.

    Marks of images that the table does not hold stay in the file, so one file serves a set and its parts; and two
    notebooks may write to it in turn. `path=None` keeps the marks in memory alone. Raises a ValueError where the file
    is damaged or no marks file; it is left as it is.
    """

    def __init__(self, rows: Rows, path: str | os.PathLike | None):
        self.rows = rows
        self.path = None if path is None else Path(path).absolute()
        stored = self._read()
        self._own = {identity: mark for identity, mark in stored.items() if rows.find(*identity)}
        #: int8, one a row: 0 for no mark, else 1 + its place in `MARKS`.
        self.codes = np.zeros(len(rows.names), dtype=np.int8)
        for identity, mark in self._own.items():
            self.codes[rows.find(*identity)] = 1 + MARKS.index(mark.mark)
        self._changed: dict[Identity, Mark | None] = {}
        self._history: list[tuple[int, Mark | None]] = []
        #: What the last action did, for people.
        self.message = ""
        if stored:
            self.message = f"{len(self._own):,} mark{'s' * (len(self._own) != 1)} found in {self.path}"
            if foreign := len(stored) - len(self._own):
                self.message += f"; {foreign} more are of images that are not in this table, and stay in the file"

    def get(self, position: int) -> Mark | None:
        """The mark of a row."""
        return self._own.get(self.rows.identity(position)) if self.codes[position] else None

    def set(self, position: int, mark: Mark | None) -> None:
        """Mark a row, or with `None` take its mark away, and save."""
        self._history.append((position, self.get(position)))
        self._put(position, mark)

    def undo(self) -> int | None:
        """Take back the last change that was made since the start, and return its row; `None` where there is none."""
        if not self._history:
            self.message = "there is nothing to undo"
            return None
        position, before = self._history.pop()
        self._put(position, before, " again")
        return position

    def table(self) -> pd.DataFrame:
        """A row a mark, oldest first: `image, text, crop, mark, new_text`."""
        rows = [(*identity, *mark) for identity, mark in self._own.items()]
        return pd.DataFrame(rows, columns=[*Identity._fields, *Mark._fields], dtype=object)

    def _put(self, position: int, mark: Mark | None, again: str = "") -> None:
        identity = self.rows.identity(position)
        self.message = f"{os.path.basename(identity.image)}: {mark.mark if mark else 'no mark'}{again}"
        self._own.pop(identity, None)
        if mark:
            self._own[identity] = mark
        self.codes[self.rows.find(*identity)] = 1 + MARKS.index(mark.mark) if mark else 0
        self._changed.pop(identity, None)
        self._changed[identity] = mark
        if self.path is None:
            return
        try:
            # Read again: another notebook may have written since, and its marks must not be lost.
            stored = self._read() | self._changed
            marks = [{**identity._asdict(), **mark._asdict()} for identity, mark in stored.items() if mark]
            write_json(self.path, {"format": _FORMAT, "marks": marks})
        except (OSError, ValueError) as error:
            self.message += f"; it could not be saved ({error}) and lives in memory alone: export the marks"

    def _read(self) -> dict[Identity, Mark]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {_FORMAT!r}")
            if unknown := {entry["mark"] for entry in content["marks"]} - {*MARKS}:
                raise ValueError(f"{unknown.pop()!r} is no mark")
            return {
                Identity(*(entry[name] for name in Identity._fields)): Mark(entry["mark"], entry["new_text"])
                for entry in content["marks"]
            }
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path} is damaged or no marks file ({error}); move it away, or pass marks='another.json'"
            ) from error


def apply_changes(samples: pd.DataFrame, changes: pd.DataFrame | str | os.PathLike) -> pd.DataFrame:
    """Return a corrected copy of a samples table; no file and no image is touched.

    An image that is `fine` stays as it is, one with a `wrong label` gets its new label in `text`, one that is
    `unreadable` or to `exclude` is left out. A row keeps its split. Columns that follow from the label (`province`,
    `length` and `kind` of plates; `distance` and `operations` of a results table) follow the new one.

    The `changes` are what `ErrorBrowser.changes()` returns, or the CSV file that `ErrorBrowser.export` wrote: `image`,
    `text` (the label when it was marked), `mark` (one of `MARKS`), `new_text`, and `crop`, which may be missing.

    Of the rows that are left, `attrs["changes"]` is a dict: `relabeled` (how many), `dropped` (images that were left
    out), and `unknown` (marked images that the table does not have with that label; a warning tells). Raises a
    ValueError that names the row where a mark is none of `MARKS`, a new label is missing, or an image has two different
    marks. Taught in notebook 05.
    """
    if not isinstance(changes, pd.DataFrame):
        changes = pd.read_csv(changes, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    require_columns(samples, "image", "text", what="the samples table")
    require_columns(changes, "image", "text", "mark", "new_text", what="the table of changes")
    rows, marked, unknown = Rows(samples), {}, []
    for number, change in enumerate(changes.itertuples(), start=1):
        where = f"row {number} of the changes, {change.image}"
        if change.mark not in MARKS:
            raise ValueError(f"{where}: {change.mark!r} is no mark; there are: {', '.join(MARKS)}")
        relabels = change.mark == "wrong label"
        if relabels and not (isinstance(change.new_text, str) and change.new_text):
            raise ValueError(f"{where}: the mark 'wrong label' needs the right label in 'new_text'")
        mark = Mark(change.mark, normalize(change.new_text) if relabels else "")
        positions = rows.find(change.image, change.text, getattr(change, "crop", None))
        unknown += [] if positions else [change.image]
        for position in positions:
            if marked.setdefault(position, mark) != mark:
                here, above = (f"{m.mark!r} {m.new_text!r}" for m in (mark, marked[position]))
                raise ValueError(f"{where}: it is marked {here} here and {above} above; keep one of them")

    relabeled = {p: mark.new_text for p, mark in marked.items() if mark.mark == "wrong label"}
    dropped = sorted(p for p, mark in marked.items() if mark.mark in ("unreadable", "exclude"))
    result = _relabel(samples, relabeled)
    result = result[~np.isin(np.arange(len(result)), dropped)]
    names = [rows.names[p] for p in dropped]
    result.attrs["changes"] = {"relabeled": len(relabeled), "dropped": names, "unknown": unknown}
    if unknown:
        warnings.warn(
            f"{len(unknown)} of {len(changes)} marked images are not in the table with the label they had, such as "
            f'{unknown[0]}; .attrs["changes"]["unknown"] lists them',
            stacklevel=2,
        )
    return result


def _relabel(samples: pd.DataFrame, labels: dict[int, str]) -> pd.DataFrame:
    """A copy of `samples` with new labels by position, and with what follows from a label."""
    derived = [c for c in ("province", "length", "kind", "distance", "operations") if c in samples]
    is_plates = {"province", "length", "kind"} <= set(derived)
    new = {column: samples[column].tolist() for column in ("text", *derived)}
    for position, text in labels.items():
        facts = {"text": text, **(plate_columns(text) if is_plates else {})}
        if "prediction" in samples:
            edits = operations(text, normalize(samples["prediction"].iloc[position]))
            facts.update(operations=edits, distance=len(edits))
        for column in new.keys() & facts.keys():
            new[column][position] = facts[column]
    # A categorical column would turn a value that is new to it into NaN.
    types = {c: object if isinstance(samples[c].dtype, pd.CategoricalDtype) else samples[c].dtype for c in new}
    return samples.assign(**{c: pd.Series(values, samples.index, types[c]) for c, values in new.items()})
