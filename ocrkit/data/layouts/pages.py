"""Pages with boxes: JSON files in the format of COCO, https://cocodataset.org/#format-data -> one table.

The pages table has a row a page: `image` (absolute path), `split`, `width`, `height` (pixels), `fields` and `other`
(lists of `PageField`). Taught in notebook 10.
"""

import json
import math
import os
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ocrkit.data import sources
from ocrkit.data.layouts.listing import SPLIT_NAMES, one_split
from ocrkit.text.strings import normalize

#: (x0, y0, x1, y1) in pixels: left, top, right and bottom edge.
Box = tuple[float, float, float, float]
#: The fields of a letter that are looked for: its date, its number, what is attached, and its subject.
FIELDS = ("date", "number", "attachment", "title")
#: Pixels by which a box may stand out of its page: programs round in different ways.
_ROUNDING = 1.0


class PageField(NamedTuple):
    """Something on a page: what it is, what it says (in logical order, `""` where it says nothing), and where.

    `box` is (x0, y0, x1, y1) in pixels of the page; for a field it lies around the value, without the label.
    """

    kind: str
    text: str
    box: Box


def load_pages(where: str | os.PathLike, split: str | None = None) -> pd.DataFrame:
    """Read pages and the boxes on them into a pages table.

    `where` is the name of a registered set (`"letters"`), a folder with COCO files beside the folders of the images
    (`train.json`, `train/page_001.jpg`, ...), or one COCO file. `split` keeps `"train"`, `"valid"` or `"test"` alone;
    the name of a file says it. Raises as `read_coco`, and a ValueError where the split does not exist. See notebook 10.
    """
    place = sources.locate(where) if where in sources.SOURCES else Path(where).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"there is no folder or file {str(where)!r}: give a folder of pages, or a COCO file")
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not files:
        raise FileNotFoundError(f"{place} has no .json file: boxes are read from COCO files, such as train.json")
    pages = pd.concat([read_coco(file) for file in files], ignore_index=True)
    return one_split(pages, split, place, "pages")


def read_coco(path: str | os.PathLike) -> pd.DataFrame:
    """Read one COCO file into a pages table in its order; it is used as a whole, or refused with what is wrong.

    Its images lie beside it, or in the folder of its name without `.json`. Beyond COCO's own keys, an annotation may
    have a `text`. The categories `FIELDS` go into `fields`, all others into `other`.

    Raises a FileNotFoundError where the file or an image is missing, and a ValueError where it is no COCO file, an
    annotation has an unknown category or image, or a box has no area or lies outside its page.
    """
    path = Path(os.path.abspath(path))
    images, annotations, categories = _read_parts(path)
    names = {category["id"]: category["name"] for category in categories}
    pages = {}
    for image in images:
        if image["id"] in pages:
            raise ValueError(f"{path}: two images have the id {image['id']!r}")
        if not all(isinstance(side, int) and side > 0 for side in (image["width"], image["height"])):
            size = f"{image['width']!r} x {image['height']!r}"
            raise ValueError(f"{path}: image {image['file_name']!r} is {size} pixels: whole numbers above 0 are needed")
        row = {"image": _find(path, image["file_name"]), "split": SPLIT_NAMES.get(path.stem.lower(), "")}
        pages[image["id"]] = row | {"width": image["width"], "height": image["height"], "fields": [], "other": []}
    for annotation in annotations:
        about = f"{path}: annotation {annotation.get('id', '')!r}"
        if annotation["category_id"] not in names:
            known = ", ".join(f"{number} {name}" for number, name in names.items())
            raise ValueError(f"{about} has the unknown category {annotation['category_id']!r}; there are: {known}")
        if annotation["image_id"] not in pages:
            raise ValueError(f"{about} is of image {annotation['image_id']!r}, which is not among the file's images")
        page, kind = pages[annotation["image_id"]], names[annotation["category_id"]]
        text = normalize(str(annotation.get("text", "")))
        field = PageField(kind, text, _corners(annotation["bbox"], page, about))
        page["fields" if kind in FIELDS else "other"].append(field)
    return pd.DataFrame([*pages.values()], columns=["image", "split", "width", "height", "fields", "other"])


def _read_parts(path: Path) -> list[list[dict]]:
    """The images, annotations and categories of a file, each with the keys that are needed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error})") from error
    parts = {
        "images": ("id", "file_name", "width", "height"),
        "annotations": ("image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for part, keys in parts.items():
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise ValueError(f"{path} is no COCO file: it has no list {part!r} (https://cocodataset.org/#format-data)")
        for number, entry in enumerate(content[part], start=1):
            missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
            if missing:
                raise ValueError(f"{path}: entry {number} of {part!r} lacks {', '.join(missing)}")
    if not content["images"]:
        raise ValueError(f"{path} lists no images")
    return [content[part] for part in parts]


def _find(path: Path, name: str) -> str:
    for folder in (path.parent, path.with_suffix("")):
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(f"{path} lists the image {name!r}, which is neither beside it nor in {path.stem}/")


def _corners(bbox: list, page: dict, about: str) -> Box:
    """COCO's (x, y, width, height) as corners that lie on the page."""
    try:
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{about} has the box {bbox!r}: it must be four numbers, x, y, width, height") from error
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        raise ValueError(f"{about} has the box {bbox}, which has no area")
    right, bottom = page["width"], page["height"]
    if min(x, y) < -_ROUNDING or x + width > right + _ROUNDING or y + height > bottom + _ROUNDING:
        raise ValueError(f"{about} has the box {bbox}, which lies outside its page of {right} x {bottom} pixels")
    return max(x, 0.0), max(y, 0.0), min(x + width, float(right)), min(y + height, float(bottom))
