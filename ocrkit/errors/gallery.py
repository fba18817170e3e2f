"""Galleries: images with their texts as HTML, escaped and isolated by the templates. Taught in notebooks 01, 05."""

import base64
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw

from ocrkit.data.images import ImageError, read_sample, resize
from ocrkit.errors.diffs import diff_html
from ocrkit.errors.metrics import cer
from ocrkit.errors.templates import template
from ocrkit.text.alphabets import PROVINCE_NAMES
from ocrkit.text.strings import normalize

_HTML = template("cards").module
#: The look of cards and diffs; goes once on every page that shows them.
STYLE = _HTML.style()


class Gallery:
    """A piece of HTML that a notebook shows by itself; `str(gallery)` is the HTML."""

    def __init__(self, html: str):
        self.html = str(html)

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return "a Gallery, which a notebook shows as HTML"  # no address: outputs stay the same from run to run

    __str__ = _repr_html_


def mimebundle(text: str, html: str, widget: Callable[[], object]) -> dict:
    """What a notebook may choose from: text, HTML, and what `widget` makes unless that raises ImportError."""
    bundle = {"text/plain": text, "text/html": str(html)}
    try:
        return {**widget()._repr_mimebundle_(), **bundle}
    except ImportError:
        return bundle


def image_tag(image: np.ndarray, height: int = 48) -> str:
    """A uint8 image `(H, W, 3)` or `(H, W)` as an HTML tag that holds its own pixels, `height` high on screen."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    return _HTML.image(base64.b64encode(buffer.getvalue()).decode(), height)


def grid(images: Iterable[np.ndarray], captions: Sequence[str], height: int = 48) -> Gallery:
    """Images with a caption below each, as many in a row as there is room for; a caption is text, never HTML."""
    pairs = zip(images, captions)
    return Gallery(_HTML.grid([_HTML.captioned(image_tag(image, height), caption) for image, caption in pairs]))


def show(table: pd.DataFrame, n: int = 30, height: int = 48) -> Gallery:
    """The first `n` rows of a samples or results table: image, label, and in red a wrong prediction with confidence.

    Without a label nothing is wrong: the prediction is not red. An image that cannot be read is shown by its reason.
    """
    boxes = []
    for row in table.head(n).itertuples():
        label, read, wrong = judged(row)
        confidence, differs = getattr(row, "confidence", None), wrong or not label and read is not None
        boxes.append(_HTML.shown(picture_html(row, height), label, read, confidence, differs))
    return Gallery(_HTML.grid(boxes))


def judged(row) -> tuple[str, str | None, bool]:
    """Label ("" without one), reading (None without one), and whether both are there and differ in NFC, of a row."""
    label, read = getattr(row, "text", ""), getattr(row, "prediction", None)
    label, read = label if isinstance(label, str) else "", read if isinstance(read, str) else None
    return label, read, bool(label) and read is not None and normalize(label) != normalize(read)


def cards(results: pd.DataFrame, n: int = 30, height: int = 48, spans: bool = False) -> Gallery:
    """The first `n` rows of a results table as cards (see `card_html` and `picture_html`). Taught in notebook 05."""
    return Gallery(STYLE + _HTML.grid([card_html(row, height, spans) for row in results.head(n).itertuples()]))


def worst(results: pd.DataFrame, n: int = 30, height: int = 48, spans: bool = False) -> Gallery:
    """The `n` labeled readings with the highest CER as cards, worst first; of equal ones the more confident first.

    Source: the gallery of 30 with which the VGG plate system looked at its errors. Taught in notebook 05.
    """
    rows = map(judged, results.itertuples())
    rates = pd.Series([cer(label, read) if wrong else 0.0 for label, read, wrong in rows], dtype=float)
    order = pd.DataFrame({"cer": rates, "confidence": results["confidence"].to_numpy()})
    order = order[order["cer"] > 0].sort_values(["cer", "confidence"], ascending=False, kind="stable").index
    return cards(results.iloc[order], n, height, spans)


def card_html(row, height: int = 48, spans: bool = False) -> str:
    """One row of a results table (from `itertuples` or `iterrows`) as a card, for a page that holds `STYLE`.

    What the row lacks is left out. The edge is red for a wrong reading, green for a right one, else gray.
    """
    label, read, wrong = judged(row)
    notes = [f"CER {cer(label, read):.2f}"] if wrong else []
    if hasattr(row, "confidence"):
        notes.append(f"confidence {row.confidence:.2f}")
    image, shown = getattr(row, "image", None), label if hasattr(row, "text") else None
    look = " ok-wrong" if wrong else "" if label and read is not None else " ok-open"
    name = os.path.basename(image) if isinstance(image, (str, os.PathLike)) else ""
    diff = diff_html(label, read) if wrong else ""
    return _HTML.card(picture_html(row, height, spans), shown, read, diff, notes, look, name)


def picture_html(row, height: int = 48, spans: bool = False) -> str:
    """The image of one row as an `<img>` tag, or the reason why it cannot be read.

    `spans=True` draws a box around the columns of each character of `row.spans`: blue and orange in turn, red where
    the confidence is below 0.5. Taught in notebook 05.
    """
    if not isinstance(getattr(row, "image", None), (str, os.PathLike, np.ndarray)):
        return _HTML.reason("this row has no image")
    try:
        image = read_sample(row)
    except ImageError as error:
        return _HTML.reason(error.reason)
    return image_tag(draw_spans(image, row.spans, 2 * height) if spans and hasattr(row, "spans") else image, height)


def draw_spans(image: np.ndarray, spans: Sequence, height: int = 96) -> np.ndarray:
    """Draw a box for each `Span`, in pixels of the image, over the image scaled to `height`; both are uint8."""
    scale = height / image.shape[0]
    picture = Image.fromarray(resize(image, (height, max(1, round(image.shape[1] * scale))))).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for k, span in enumerate(spans):
        color = "#ff2020" if span.confidence < 0.5 else ("#00c8ff", "#ffb000")[k % 2]
        left, right = round(span.start * scale), round(span.end * scale) - 1
        pen.rectangle((left, 1, max(left, right), height - 2), outline=color, width=max(1, height // 40))
    return np.asarray(picture)


def find_fonts(text: str) -> tuple[list[str], list[str]]:
    """Families in which matplotlib can write `text`, best first, and the characters that none of them has."""
    families, missing = ["DejaVu Sans"], {c for c in text if c.isprintable() and not c.isspace()}
    fonts = [f for f in font_manager.fontManager.ttflist if not f.name.startswith("Last Resort")]  # boxes for all
    for f in sorted(fonts, key=lambda f: (f.name not in families, f.style != "normal", abs(int(f.weight) - 400))):
        if missing and (found := missing & _characters(f.fname)):
            families += [f.name] * (f.name not in families)
            missing -= found
    return families, sorted(missing)


@cache
def _characters(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (RuntimeError, OSError):  # a font that FreeType cannot open has nothing to offer
        return frozenset()


def in_words(character: str) -> str:
    """A character that a font lacks: its province in English, or its number."""
    return f"[{PROVINCE_NAMES.get(character, f'U+{ord(character):04X}')}]"
