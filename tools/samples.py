"""Rendered sets as files, in the layouts of public ones: the shipped samples, and what benchmarks read from disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ocrkit.data.layouts.pages import FIELDS
from ocrkit.synth import THESIS_CLASSES, render_glyph, render_letters, render_lines, render_plates
from ocrkit.synth.bulk import distinct
from ocrkit.synth.letters import OTHER_KINDS
from ocrkit.synth.persian_faces import load_persian


def write_plates(folder: str | Path, n: int, seed: int, split: str, exclude: Collection[str] = ()) -> pd.DataFrame:
    """Write `n` random plates as `folder/split/00001-皖A25V59.jpg`, sizes as the camera saw them.

    All provinces come in turn, no text comes twice, and none of `exclude`.

    Returns:
        A samples table: `image` (absolute path), `text`, `split`, `color`.
    """
    target, rows = Path(folder).resolve() / split, []
    target.mkdir(parents=True, exist_ok=True)
    for k, (image, row) in enumerate(islice(distinct(render_plates, seed, set(exclude), size=None), n), 1):
        path = target / f"{k:05d}-{row.text}.jpg"
        Image.fromarray(image).save(path, quality=85)
        rows.append((str(path), row.text, split, row.color))
    return pd.DataFrame(rows, columns=["image", "text", "split", "color"])


def write_lines(folder: str | Path, parts: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Write a set of lines as `folder/train/00001.jpg` and so on, with their labels in `folder/metadata.csv`.

    Args:
        parts: split -> (number of images, seed). No text comes twice.

    Returns:
        A samples table: `image` (absolute path), `text`, `split`, `face`.
    """
    folder, used, rows = Path(folder).resolve(), set(), []
    for split, (n, seed) in parts.items():
        shutil.rmtree(folder / split, ignore_errors=True)
        (folder / split).mkdir(parents=True)
        for k, (image, row) in enumerate(islice(distinct(render_lines, seed, used, split=split), n), 1):
            name = f"{split}/{k:05d}.jpg"
            Image.fromarray(image).save(folder / name, quality=85)
            rows.append((name, row.text, split, row.face))
    table = pd.DataFrame(rows, columns=["image", "text", "split", "face"])
    listed = table.rename(columns={"image": "file_name"})
    listed.to_csv(folder / "metadata.csv", index=False, lineterminator="\n")
    return table.assign(image=[str(folder / name) for name in table["image"]])


def write_glyphs(folder: str | Path, parts: Mapping[str, int]) -> pd.DataFrame:
    """Write the 18 Persian classes in every face as `folder/train/Date/cairo-400.jpg` and so on, in grey.

    Args:
        parts: split -> seed.

    Returns:
        A samples table: `image` (absolute path), `text` (the class), `split`, `face`.
    """
    folder, rows = Path(folder).resolve(), []
    for split, seed in parts.items():
        shutil.rmtree(folder / split, ignore_errors=True)
        for k, klass in enumerate(THESIS_CLASSES):
            (folder / split / klass).mkdir(parents=True)
            for j, face in enumerate(load_persian().names[split]):
                image = render_glyph(klass, face, np.random.default_rng([seed, k, j]))
                path = folder / split / klass / f"{face}.jpg"
                Image.fromarray(image).convert("L").save(path, quality=85)
                rows.append((str(path), klass, split, face))
    return pd.DataFrame(rows, columns=["image", "text", "split", "face"])


def write_letters(folder: str | Path, parts: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Write letters as `folder/train/page_001.jpg` and so on, and their boxes as `folder/train.json` in the format of
    COCO, with one thing added: `text` in each annotation.

    Args:
        parts: split -> (number of pages, seed).

    Returns:
        A pages table: `image` (absolute path), `split`, `face`, `layout`, `fields`, `other`.
    """
    folder, tables = Path(folder).resolve(), []
    for split, (n, seed) in parts.items():
        shutil.rmtree(folder / split, ignore_errors=True)
        (folder / split).mkdir(parents=True)
        images, table = render_letters(n, seed, split=split)
        table.insert(0, "image", [str(folder / split / f"page_{i:03d}.jpg") for i in range(1, n + 1)])
        for path, image in zip(table.image, images, strict=True):
            Image.fromarray(image).save(path, quality=60, optimize=True)  # digits stay clean, 60 pages take under 3 MB
        _write_coco(folder / f"{split}.json", table, images.shape[1:])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _write_coco(path: Path, table: pd.DataFrame, size: tuple[int, int]) -> None:
    kinds = {kind: k for k, kind in enumerate((*FIELDS, *OTHER_KINDS), 1)}
    pages, annotations = [], []
    for i, row in enumerate(table.itertuples(), 1):
        name = Path(row.image).name
        pages.append({"id": i, "file_name": f"{path.stem}/{name}", "width": size[1], "height": size[0],
                      "face": row.face, "layout": row.layout})  # fmt: skip
        for kind, text, (x0, y0, x1, y1) in [*row.fields, *row.other]:
            wide, high = x1 - x0, y1 - y0
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": kinds[kind],
                                "bbox": [x0, y0, wide, high], "area": wide * high, "iscrowd": 0,
                                "text": text})  # fmt: skip
    categories = [{"id": k, "name": kind, "supercategory": "field" if kind in FIELDS else "other"} for kind, k in
                  kinds.items()]  # fmt: skip
    parts = {"images": pages, "annotations": annotations, "categories": categories}
    # A line an entry, so that a person can read the file and a change shows as a change.
    lines = [f'"{name}": [\n' + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n]"
             for name, entries in parts.items()]  # fmt: skip
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
