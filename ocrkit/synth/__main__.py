"""Maintainer's command behind `make sample`: rebuild the glyph atlas and the shipped sample of plates.

`python -m ocrkit.synth` needs the fonts that `atlas.py` names. With `--keep-atlas` it only draws the sample
and needs none. With `--describe` it prints the sample's counts and leaves everything as it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from ocrkit.synth.atlas import build_atlas
from ocrkit.synth.plates import PLATE_COLORS, write_plates
from ocrkit.text import PROVINCES

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "plates"
#: part -> (number of images, seed)
PARTS = {"train": (400, 1), "test": (100, 2)}


def write_sample(folder: Path) -> pd.DataFrame:
    """Write the shipped sample to `folder` and return its samples table; no text stands in two parts."""
    tables: list[pd.DataFrame] = []
    for split, (n, seed) in PARTS.items():
        shutil.rmtree(folder / split, ignore_errors=True)
        exclude = {text for table in tables for text in table.text}
        tables.append(write_plates(folder, n, seed, split, exclude))
    return pd.concat(tables, ignore_index=True)


def describe(samples: pd.DataFrame) -> str:
    """The counts that `data/README.md` states, one line a part."""
    lines = []
    for split, part in samples.groupby("split", sort=False):
        colors = part.color.value_counts()
        provinces = part.text.str[0].value_counts().reindex(list(PROVINCES), fill_value=0)
        widths, heights = zip(*(Image.open(f).size for f in part.image), strict=True)
        size = sum(Path(f).stat().st_size for f in part.image)
        lines.append(
            f"{split}: {len(part)} images, {part.text.nunique()} texts; "
            + ", ".join(f"{colors.get(c, 0)} {c}" for c in PLATE_COLORS)
            + f"; {(provinces > 0).sum()} provinces, {provinces.min()} to {provinces.max()} each"
            + f"; height {min(heights)} to {max(heights)} px, width {min(widths)} to {max(widths)} px"
            + f"; {size / 1000:.0f} kB"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ocrkit.synth", description=__doc__.splitlines()[0])
    parser.add_argument("--keep-atlas", action="store_true", help="use the atlas as it is; needs no fonts")
    parser.add_argument("--describe", action="store_true", help="print the sample's counts and write nothing")
    options = parser.parse_args(arguments)
    if options.describe:
        with tempfile.TemporaryDirectory() as folder:
            print(describe(write_sample(Path(folder))))
        return 0
    if not options.keep_atlas:
        try:
            build_atlas()
        except FileNotFoundError as error:
            print(f"{error}; or pass --keep-atlas to draw with the atlas as it is", file=sys.stderr)
            return 1
    print(describe(write_sample(SAMPLE)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
