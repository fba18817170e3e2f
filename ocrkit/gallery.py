"""Galleries: images with their texts as HTML, which any browser shows with Chinese characters in place.

matplotlib has no Chinese glyphs unless a font is installed, so texts stand in HTML. Taught in notebook 01.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image

from ocrkit.images import ImageError, read_sample


class Gallery:
    """A piece of HTML that a notebook shows by itself; `str(gallery)` is the HTML."""

    def __init__(self, html: str):
        self.html = html

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.html


def image_tag(image: np.ndarray, height: int = 48) -> str:
    """A uint8 image `(H, W, 3)` or `(H, W)` as an HTML tag that holds its own pixels, `height` high on screen."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img style="height:{height}px;display:block;max-width:none" alt="" src="data:image/jpeg;base64,{data}">'


def grid(images: Iterable[np.ndarray], captions: Sequence[str], height: int = 48) -> Gallery:
    """Images with a caption below each, as many in a row as there is room for; a caption is text, never HTML."""
    cells = [(image_tag(image, height), escape(caption)) for image, caption in zip(images, captions)]
    return _page(cells)


def show(table: pd.DataFrame, n: int = 30, height: int = 48) -> Gallery:
    """The first `n` rows of a samples or results table.

    Below each image stands its label; where the table has predictions, a wrong one stands below it in
    red with its confidence. An image that cannot be read is shown by its reason.
    """
    cells = []
    for row in table.head(n).itertuples():
        try:
            picture = image_tag(read_sample(row), height)
        except ImageError as error:
            picture = f"<i>{escape(error.reason)}</i>"
        caption = escape(getattr(row, "text", ""))
        if hasattr(row, "prediction") and row.prediction != getattr(row, "text", None):
            read = escape(row.prediction) or "(nothing)"
            caption += f' <span style="color:#c00">read {read} ({row.confidence:.2f})</span>'
        cells.append((picture, caption))
    return _page(cells)


def _page(cells: list[tuple[str, str]]) -> Gallery:
    boxes = "".join(f"<div>{picture}<div>{caption}</div></div>" for picture, caption in cells)
    style = "display:flex;flex-wrap:wrap;gap:12px;font:14px sans-serif"
    return Gallery(f'<div style="{style}">{boxes}</div>')
