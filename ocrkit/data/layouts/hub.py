"""Hugging Face: write a samples table as an imagefolder, and exchange tables with the package `datasets`.

The layout: https://huggingface.co/docs/datasets/image_load. Reading it needs nothing here: `load_samples` knows it as a
word list. Taught in notebook 12.
"""

import csv
import shutil
from io import BytesIO
from numbers import Number
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from PIL import Image

from ocrkit.data.files import atomic, fits_on_disk
from ocrkit.data.images import ImageError, decode_image, read_image, read_sample
from ocrkit.data.layouts.listing import IMAGE_SUFFIXES, SPLIT_NAMES
from ocrkit.text.strings import normalize, require_columns

#: Our names of splits -> those of Hugging Face.
_HUB_SPLITS = {"valid": "validation"}
#: Columns that are written in another way, and those that say where in an image file the sample lies: it is cut out.
_NOT_KEPT = {"image", "text", "split", "corners", "box"}


def export_imagefolder(samples: pd.DataFrame, folder: str | Path) -> pd.DataFrame:
    """Write `folder/train/metadata.csv` with the images of that split beside it, and the same for the other splits.

    A CSV has `file_name`, `text`, `original_name` and the columns of the table that are plain: texts, numbers and
    truth values. Image files are copied as they are, under numbers for names; what the table crops or holds in
    memory is written as PNG. Rows without a split lie in `folder` itself, or in `folder/other` where others have one.
    What is returned are the rows that could not be written, with a column `reason`. Taught in notebook 12.

    Note that `datasets` guesses types when it reads a CSV: it takes the labels NA and "" for missing, and a column of
    labels such as 007 for numbers. `load_samples` reads every label as it is, and `to_datasets` guesses nothing.

    Raises FileExistsError: `folder` is not empty; ValueError: `image` or `text` is missing; OSError: the disk is full.
    """
    folder = Path(folder)
    require_columns(samples, "image", "text")
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose another folder, nothing is overwritten")
    splits = _splits(samples)
    plain = _plain_columns(samples.drop(columns="file_name", errors="ignore"))
    reasons = [""] * len(samples)
    for split in splits.unique():
        place = folder / (_HUB_SPLITS.get(split, split) or ("other" if splits.any() else ""))
        place.mkdir(parents=True, exist_ok=True)
        rows = []
        for i in np.flatnonzero(splits == split).tolist():
            row = samples.iloc[i]
            try:
                with fits_on_disk(place):
                    name = _write_image(row, place / f"{i:07d}")
            except (ImageError, FileNotFoundError, IsADirectoryError) as error:
                reasons[i] = getattr(error, "reason", None) or "there is no such file"
                continue
            original = "" if isinstance(row["image"], np.ndarray) else Path(row["image"]).name
            rows.append({"file_name": name, "text": row["text"], "original_name": original, **row[plain]})
        if not rows:
            continue  # a list without rows would be reported as a fault of the folder
        with atomic(place / "metadata.csv") as path:
            pd.DataFrame(rows).to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC, encoding="utf-8")
    return samples.assign(reason=reasons)[[bool(reason) for reason in reasons]]


def _splits(samples: pd.DataFrame) -> pd.Series:
    return samples["split"].fillna("") if "split" in samples else pd.Series("", index=samples.index)


def _plain_columns(samples: pd.DataFrame) -> list[str]:
    plain = (str, Number, np.bool_, type(None), type(pd.NA))
    return [c for c in samples if c not in _NOT_KEPT and all(isinstance(value, plain) for value in samples[c])]


def _is_whole_file(row: pd.Series) -> bool:
    if isinstance(row["image"], np.ndarray) or np.ndim(row.get("corners")) == 2 or np.ndim(row.get("box")) == 1:
        return False
    return Path(row["image"]).suffix.lower() in IMAGE_SUFFIXES


def _write_image(row: pd.Series, stem: Path) -> str:
    """Copy or write one image; returns the name of the file. What is copied is not decoded."""
    if _is_whole_file(row):
        target = stem.with_suffix(Path(row["image"]).suffix.lower())
        shutil.copyfile(row["image"], target)
    else:
        target = stem.with_suffix(".png")
        Image.fromarray(read_sample(row)).save(target)
    return target.name


def from_datasets(dataset, image: str = "image", text: str = "text") -> pd.DataFrame:
    """A `datasets.Dataset` or `DatasetDict` as a samples table. Taught in notebook 12.

    Args:
        image: the column of images (`datasets.Image`); they are decoded to uint8 (H, W, 3) and stay in memory.
        text: the column of labels: strings, or a `ClassLabel`, whose names are taken.

    A row with an image that cannot be read, or without a label, has a `problem` and the text "", as in `load_samples`.

    Raises TypeError: `dataset` is neither, for instance one that is streamed; ValueError: a column is missing, or the
    labels are no strings any more.
    """
    datasets = _package()
    if isinstance(dataset, datasets.DatasetDict):
        return pd.concat([from_datasets(part, image, text) for part in dataset.values()], ignore_index=True)
    if not isinstance(dataset, datasets.Dataset):
        raise TypeError(f"from_datasets takes a datasets.Dataset or DatasetDict, not {type(dataset).__name__}")
    features = dataset.features
    require_columns(features, image, text, what="the data set")
    kind, names = getattr(features[text], "dtype", None), None
    if isinstance(features[text], datasets.ClassLabel):
        names = features[text].names
    elif kind not in ("string", "large_string", "null"):
        raise ValueError(
            f"the labels in {text!r} are {kind or features[text]}, not strings, so that 007 has become 7: read the "
            "folder with load_samples, or cast the column to strings before they are lost"
        )
    others = [c for c in features if c not in (image, text, "split") and isinstance(features[c], datasets.Value)]
    split = str(dataset.split or "").partition("[")[0]
    wanted = [image, text, *others] + ["split"] * (not split and "split" in features)
    rows = []
    # Undecoded: one image that is damaged must not stop the others.
    for row in dataset.cast_column(image, datasets.Image(decode=False)).select_columns(wanted):
        label, problem = row[text], ""
        try:
            picture = _picture(row[image])
        except ImageError as error:
            picture, problem = (row[image] or {}).get("path") or "", error.reason
        if label is None:
            problem = problem or 'no label; datasets reads "NA" and "" in a CSV as that'
        label = "" if problem else normalize(names[label] if names else label)
        own = split or row.get("split") or ""
        kept = {c: row[c] for c in others}
        kept["problem"] = problem or kept.get("problem") or ""
        rows.append({"image": picture, "text": label, "split": SPLIT_NAMES.get(own, own), **kept})
    table = pd.DataFrame(rows, columns=list(dict.fromkeys(["image", "text", "split", *others, "problem"])))
    return table if table["problem"].any() else table.drop(columns="problem")


def _picture(kept: dict | None) -> np.ndarray:
    if not kept:
        raise ImageError("image", "there is no image")
    if kept["bytes"] is None:
        return read_image(kept["path"])
    return decode_image(BytesIO(kept["bytes"]), kept["path"] or "image")


def to_datasets(samples: pd.DataFrame):
    """A samples table as a `datasets.DatasetDict`, one `Dataset` a split; labels stay the strings that they are.

    Images that are cropped by the table or in memory are stored as PNG, others as the bytes of their files. Only plain
    columns are kept. Rows without a split are in `"train"`, as Hugging Face does it. Taught in notebook 12.

    Raises ImageError: an image cannot be read; leave out what `lint` reports.
    """
    datasets = _package()
    names, plain, parts = _splits(samples).replace({"": "train", **_HUB_SPLITS}), _plain_columns(samples), {}
    for name in names.unique():
        part = samples[names == name]
        table = part[["text", *plain]].astype({"text": str})
        data = datasets.Dataset.from_pandas(table, preserve_index=False, split=datasets.Split(name))
        images = [{"bytes": _image_bytes(row), "path": None} for _, row in part.iterrows()]
        parts[name] = data.add_column("image", images).cast_column("image", datasets.Image())
    return datasets.DatasetDict(parts)


def _image_bytes(row: pd.Series) -> bytes:
    if _is_whole_file(row):
        try:
            return Path(row["image"]).read_bytes()
        except OSError as error:
            raise ImageError(row["image"], "there is no such file that can be read") from error
    png = BytesIO()
    Image.fromarray(read_sample(row)).save(png, "png")
    return png.getvalue()


def _package() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise ImportError("this needs Hugging Face's package datasets: pip install datasets") from error
    return datasets
