"""Rendered images kept on disk, made anew when the code that draws them has changed. Taught in notebook 03."""

import hashlib
import os
from functools import partial
from pathlib import Path

import pandas as pd

from ocrkit import synth
from ocrkit.data.packed import Packed, pack
from ocrkit.data.store import CHUNK, digest, open_or_make
from ocrkit.synth.ink import Size
from ocrkit.text.words import read_counts

#: What can be rendered -> how: a function of n, seed, size, workers and the number of the first image.
RENDERERS = {
    "plates": synth.render_plates,
    "look-alikes": synth.render_lines,
    "names": synth.render_names,
    "chinese-glyphs": synth.render_characters,
    "persian-glyphs": partial(synth.render_glyphs, classes="thesis"),
    "persian-letters": partial(synth.render_glyphs, classes="persian-letters"),
    "persian-words": synth.render_words,
    "persian-dates": synth.render_dates,
}
#: Persian glyphs -> height and width of their pictures, before they are resized.
GLYPHS = {"persian-glyphs": (50, 90), "persian-letters": (128, 128)}
#: Those that have fonts of their own for validation and for test.
SPLIT_FONTS = (*GLYPHS, "persian-words", "persian-dates")


def rendered_store(
    n: int,
    seed: int,
    folder: str | Path,
    size: Size = (32, 128),
    mode: str = "RGB",
    renderer: str = "plates",
    resize: str = "squeeze",
    words: str | Path = "",
    split: str = "train",
) -> Packed:
    """`n` freshly rendered images kept in `folder`, made anew only when a number or the code has changed.

    `renderer` is a key of `RENDERERS`, which draws in sizes of its own where `resize` is "pad", names by the counts of
    the file `words` (`words.read_counts`), and with the fonts of `split`; those of "valid" exist for Persian only.
    """
    choice = {"names": read_counts(words)} if words else {}
    if split != "train":
        choice["split"] = split
    source = digest("rendered", renderer, n, seed, size, mode, resize, choice, renderer_code("*.*"))

    def chunks():
        for first in range(0, n, CHUNK):
            count = min(CHUNK, n - first)
            own = GLYPHS.get(renderer, None if resize == "pad" else size)
            images, table = RENDERERS[renderer](count, seed, own, os.cpu_count() or 1, first, **choice)
            names = [f"rendered {seed}/{first + i}" for i in range(count)]
            packed = pack(table.assign(image=pd.Series(list(images), dtype=object)), size, mode, resize)
            packed.samples = packed.samples.assign(image=names)
            yield packed

    return open_or_make(Path(folder), source, n, size, mode, chunks())


def renderer_code(*patterns: str) -> list[str]:
    """A checksum of each file of `ocrkit.synth` that fits one of the patterns: what is rendered hangs on them."""
    files = {pattern: sorted(Path(__file__).parent.glob(pattern)) for pattern in patterns}
    if lacking := [pattern for pattern in files if not files[pattern]]:  # a store would never be made anew
        raise ValueError(f"no file of ocrkit.synth fits {lacking[0]!r}: name those by which the images are drawn")
    return [hashlib.sha256(f.read_bytes()).hexdigest() for found in files.values() for f in found]
