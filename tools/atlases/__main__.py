"""Maintainer's command behind `make sample`: rebuild the glyph atlases and the shipped samples.

`python -m tools.atlases` needs the fonts that `plates.py`, `lines.py`, `names.py` and `persian.py` name. With
`--keep-atlas` it only draws the samples and needs none. With `--describe` it prints the samples' counts
and leaves everything as it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from ocrkit.data.layouts.pages import FIELDS
from ocrkit.synth.atlas import atlas_file
from ocrkit.synth.names import write_names
from ocrkit.synth.plates import PLATE_COLORS
from ocrkit.text.alphabets import PROVINCES, brothers
from tools.atlases.fonts import save_sheet
from tools.atlases.lines import build_lines
from tools.atlases.names import build_names
from tools.atlases.persian import build_joined, build_persian
from tools.atlases.plates import build_plates
from tools.samples import write_glyphs, write_letters, write_lines, write_plates

#: atlas -> what draws it
BUILDERS = {
    "plates": build_plates,
    "lines": build_lines,
    "names": build_names,
    "persian": build_persian,
    "joined": build_joined,
}
SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "plates"
#: part -> (number of images, seed)
PARTS = {"train": (400, 1), "test": (100, 2)}
LINES = SAMPLE.with_name("look-alikes")
LINE_PARTS = {"train": (1600, 1), "test": (400, 2)}
NAMES = SAMPLE.with_name("names")
NAME_PARTS = {"train": (400, 1), "test": (100, 2)}
GLYPHS = SAMPLE.with_name("persian-glyphs")
GLYPH_PARTS = {"train": 1, "valid": 2, "test": 3}  # a picture a class and face
LETTERS = SAMPLE.with_name("letters")
LETTER_PARTS = {"train": (40, 1), "test": (20, 2)}


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


def describe_lines(samples: pd.DataFrame) -> str:
    """The same for the lines of look-alikes."""
    alike, lines = brothers(), []
    for split, part in samples.groupby("split", sort=False):
        characters = "".join(part.text)
        counts = pd.Series(list(characters)).value_counts()
        size = sum(Path(f).stat().st_size for f in part.image)
        lines.append(
            f"{split}: {len(part)} lines, {part.text.nunique()} texts, {part.face.nunique()} faces; {len(characters)} "
            f"characters, {sum(c in alike for c in characters)} of them look-alikes; {len(counts)} different ones, "
            f"{counts.min()} to {counts.max()} each; {size / 1000:.0f} kB"
        )
    return "\n".join(lines)


def describe_names(samples: pd.DataFrame) -> str:
    """The same for the names on forms."""
    lines = []
    for split, part in samples.groupby("split", sort=False):
        widths, heights = zip(*(Image.open(f).size for f in part.image), strict=True)
        wide = pd.Series(widths).value_counts().sort_index()
        size = sum(Path(f).stat().st_size for f in part.image)
        lines.append(
            f"{split}: {len(part)} images, {part.text.nunique()} texts of {part.text.str.len().min()} to "
            f"{part.text.str.len().max()} characters; width "
            + ", ".join(f"{w} px in {n}" for w, n in wide.items())
            + f"; height {min(heights)} to {max(heights)} px; {size / 1000:.0f} kB"
        )
    return "\n".join(lines)


def describe_glyphs(samples: pd.DataFrame) -> str:
    """The same for the Persian glyph classes."""
    lines = []
    for split, part in samples.groupby("split", sort=False):
        counts = part.text.value_counts()
        size = sum(Path(f).stat().st_size for f in part.image)
        lines.append(
            f"{split}: {len(part)} images, {len(counts)} classes of {counts.min()} each, {part.face.nunique()} faces; "
            f"{size / 1000:.0f} kB"
        )
    return "\n".join(lines)


def describe_letters(pages: pd.DataFrame) -> str:
    """The same for the Persian letters."""
    lines = []
    for split, part in pages.groupby("split", sort=False):
        kinds = pd.Series([field.kind for fields in part.fields for field in fields]).value_counts()
        size = sum(Path(f).stat().st_size for f in part.image)
        lines.append(
            f"{split}: {len(part)} pages, {part.face.nunique()} faces, {part.layout.nunique()} layouts; "
            + ", ".join(f"{kinds.get(kind, 0)} {kind}" for kind in FIELDS)
            + f"; {sum(map(len, part.other))} other boxes; {size / 1000:.0f} kB"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.atlases", description=__doc__.splitlines()[0])
    parser.add_argument("--keep-atlas", action="store_true", help="use the atlases as they are; needs no fonts")
    parser.add_argument("--describe", action="store_true", help="print the samples' counts and write nothing")
    options = parser.parse_args(arguments)
    if options.describe:
        with tempfile.TemporaryDirectory() as folder:
            print(describe(write_sample(Path(folder, "plates"))))
            print(describe_lines(write_lines(Path(folder, "look-alikes"), LINE_PARTS)))
            print(describe_names(write_names(Path(folder, "names"), NAME_PARTS)))
            print(describe_glyphs(write_glyphs(Path(folder, "persian-glyphs"), GLYPH_PARTS)))
            print(describe_letters(write_letters(Path(folder, "letters"), LETTER_PARTS)))
        return 0
    if not options.keep_atlas:
        try:
            for name, build in BUILDERS.items():
                save_sheet(atlas_file(name), *build())
        except FileNotFoundError as error:
            print(f"{error}; or pass --keep-atlas to draw with the atlases as they are", file=sys.stderr)
            return 1
    print(describe(write_sample(SAMPLE)))
    print(describe_lines(write_lines(LINES, LINE_PARTS)))
    print(describe_names(write_names(NAMES, NAME_PARTS)))
    print(describe_glyphs(write_glyphs(GLYPHS, GLYPH_PARTS)))
    print(describe_letters(write_letters(LETTERS, LETTER_PARTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
