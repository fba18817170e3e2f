"""Draws names as pupils write them in capitals on scanned forms, with true labels. Taught in notebook 08."""

import shutil
from collections.abc import Mapping
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ocrkit.data.layouts.names import NO_TEXT
from ocrkit.synth.bulk import Rendered, distinct, render_many
from ocrkit.synth.forms import Form, random_form, stamp
from ocrkit.synth.ink import Rng, Seed, Size, one_of, saved
from ocrkit.synth.writing import Writer, draw_letter, write
from ocrkit.text.alphabets import ALPHABETS
from ocrkit.text.strings import quote

LIST = Path(__file__).with_name("names_list.txt")
_SCALE = 4  # pixels of the drawing to one of the crop


class Names:
    """Names with their chances, and how their letters follow one another, from which new ones are made up.

    `counts` is name -> how often it occurs; what `ALPHABETS["names"]` cannot write, and marks as EMPTY, are left out.
    """

    def __init__(self, counts: Mapping[str, int]):
        fit = [n for n in counts if n.strip(" -'") and set(n) <= set(ALPHABETS["names"]) and n not in NO_TEXT]
        known = {n: counts[n] for n in fit if counts[n] > 0}
        if not known:
            raise ValueError(
                f"none of the {len(counts)} names can be drawn: give names of A-Z, ' - and blank, and counts"
            )
        self.names = list(known)
        roots = np.sqrt(np.array(list(known.values()), float))
        # Half by the root of the count, half all alike: frequent names come more often, but fill no set.
        self.upto = np.cumsum(0.5 * roots / roots.sum() + 0.5 / len(roots))
        self.follow: dict[str, list[str]] = {}
        for name in self.names:
            padded = "^^" + name + "$"
            for k in range(2, len(padded)):
                self.follow.setdefault(padded[k - 2 : k], []).append(padded[k])

    def draw(self, rng: Rng) -> str:
        """One of the names."""
        return self.names[min(int(np.searchsorted(self.upto, rng.random())), len(self.names) - 1)]

    def invent(self, rng: Rng) -> str:
        """A made-up name of 2 to 14 letters, in which each letter follows the two before it as in some name."""
        while True:
            text = "^^"
            while text[-1] != "$" and len(text) < 17:
                text += one_of(self.follow[text[-2:]], rng)
            text = text[2:].removesuffix("$").strip(" -'")
            if len(text) > 1:
                return text


@cache
def default_names() -> Names:
    """The names of `names_list.txt`, all equally likely."""
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    words = [w for line in lines for w in (line.split("|") if "|" in line else line.split())]
    return Names(dict.fromkeys(words, 1))


def random_name(rng: Rng, names: Names | None = None) -> str:
    """Draw a name: three in four from `names`, the shipped list by default, the others made up from their letters.

    One in thirty is a double name.
    """
    names = names or default_names()

    def one() -> str:
        return names.invent(rng) if rng.random() < 0.25 else names.draw(rng)

    text = one()
    if rng.random() < 0.03 and len(text) < 11:
        other = one()
        text = f"{text}{'- '[rng.integers(2)]}{other}" if len(other) < 11 else text
    return text


def render_name(
    text: str, rng: Seed = None, split: str = "train", face: str | None = None, layout: str | None = None
) -> np.ndarray:
    """Draw one name on a piece of a form and return it as uint8 (H, W, 3), grey as a black and white scan is.

    H is 18 to 72 and W 284 to 388 pixels, after the layout. Raises a ValueError where the text is empty or has another
    character, or there is no such split, hand or layout. Taught in notebook 08.

    Args:
        text: capitals A to Z, hyphen, apostrophe and blank. Accents are drawn at times, as pupils write them.
        face: the hand, one of `load_hands()`; by default drawn from those of `split`, "train" or "test".
        layout: a key of `LAYOUTS`; drawn by chance by default.
    """
    rng = np.random.default_rng(rng)
    return _render(text, rng, Writer(rng, split, face), random_form(rng, layout)[1])


def render_names(
    n: int,
    seed: int = 0,
    size: Size | None = None,
    workers: int = 0,
    first: int = 0,
    split: str = "train",
    names: Mapping[str, int] | None = None,
) -> Rendered:
    """Draw `n` random names in the hands of `split`, called as `render_plates` is. Taught in notebook 08.

    `names` is name -> how often it occurs; the list shipped with the module by default. The table has the columns
    `text`, `face`, `layout` and `split`.
    """
    draw = partial(_random_picture, split=split, names=None if names is None else Names(names))
    return render_many(draw, ("text", "face", "layout"), n, seed, size, workers, first, split)


def _random_picture(i: int, rng: Rng, split: str, names: Names | None) -> tuple:
    text, writer = random_name(rng, names), Writer(rng, split)
    layout, form = random_form(rng)
    return text, writer.hands[0], layout, _render(text, rng, writer, form)


def _render(text: str, rng: Rng, writer: Writer, form: Form) -> np.ndarray:
    if not text.strip():
        raise ValueError("there is no name to draw: give at least one letter")
    if unknown := sorted(set(text) - set(ALPHABETS["names"])):
        raise ValueError(f"name {text!r} has {quote(unknown[0])}; names are drawn from A-Z, ' - and blank")
    height, width = form.size
    sheet = Image.new("L", (width * _SCALE, height * _SCALE))
    pen = partial(draw_letter, ImageDraw.Draw(sheet), pen=writer.pen, scale=_SCALE, rng=rng)
    for digits, x, base in form.digits:
        for strokes in write(digits, writer, rng, form.height, form.pitch):
            pen(strokes, (x, base))
    for strokes in write(text, writer, rng, form.height, form.pitch, width - form.start - 2):
        if rng.random() < 0.006:  # a slip of the pen, written over
            slip = write(one_of("AEIOLMNRST", rng), writer, rng, form.height, form.pitch)[0]
            middle = np.mean([s[:, 0].mean() for s in strokes])
            pen([s + [middle, 0] for s in slip], (form.start, form.line))
        pen(strokes, (form.start, form.line))
    return _scan(np.asarray(sheet.reduce(2)), form, writer, rng)


def _scan(ink: np.ndarray, form: Form, writer: Writer, rng: Rng) -> np.ndarray:
    """What the scanner makes of ink, uint8 (2H, 2W): black or white at twice the size, halved, and saved as JPEG."""
    height, width = ink.shape
    paper = _grain()
    y, x = rng.integers(0, paper.shape[1] - height), rng.integers(0, paper.shape[2] - width)
    fine, coarse = paper[:, y : y + height, x : x + width]
    # Where the pen wrote faintly, or the paper is rough, the ink stays below the threshold and the line breaks.
    level = rng.uniform(95, 125) + 45 * writer.faint
    rough = ink.astype(np.int16) + ((fine * int(14 + 10 * writer.faint) + coarse * int(12 + 42 * writer.faint)) >> 6)
    mask = np.clip((rough - int(level)) * 4 + 128, 0, 255).astype(np.uint8)
    mask[ink == 0] = 0
    stamp(mask, form)
    sheet = Image.fromarray(mask)
    draw = ImageDraw.Draw(sheet)
    for ax, ay, bx, by in form.rules:
        draw.line((2 * ax, 2 * ay, 2 * bx, 2 * by), 255, 2)
    for _ in range(rng.poisson(0.35)):  # specks of dust
        px, py = rng.integers(width), rng.integers(height)
        draw.ellipse((px, py, px + rng.integers(0, 3), py + rng.integers(0, 3)), int(rng.integers(120, 256)))
    small = sheet.filter(ImageFilter.BoxBlur(rng.uniform(0.0, 0.35))).reduce(2)
    image = saved(np.asarray(ImageChops.invert(small)), int(rng.integers(88, 97)))
    return np.repeat(image[..., None], 3, axis=2)


@cache
def _grain() -> np.ndarray:
    """The roughness of paper, int16 (2, 512, 1024): fine and coarse, with a mean of 0 and a deviation of 64."""
    rng = np.random.default_rng(8)
    layers = []
    for step in (1, 6):
        small = rng.normal(0, 64, (512 // step + 2, 1024 // step + 2)).clip(-127, 127)
        image = Image.fromarray((small + 128).astype(np.uint8)).resize((1024, 512), Image.Resampling.BICUBIC)
        layers.append(np.asarray(image).astype(np.int16) - 128)
    return np.stack(layers)


def write_names(folder: str | Path, parts: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Write a set of names in the layout of the Kaggle set: `written_name_train.csv` beside `train/`, and so on.

    `parts` is split -> (number of images, seed). No text comes twice, so none is in two splits. Returns a samples table
    with `image` (absolute path), `text`, `split`, `face` and `layout`.
    """
    folder, used, tables = Path(folder).resolve(), set(), []
    for split, (n, seed) in parts.items():
        shutil.rmtree(folder / split, ignore_errors=True)
        (folder / split).mkdir(parents=True)
        images, rows = zip(*islice(distinct(render_names, seed, used, split=split), n))
        files = [f"{split.upper()}_{k:05d}.jpg" for k in range(1, n + 1)]
        for name, image in zip(files, images):
            Image.fromarray(image).save(folder / split / name, quality=90)
        table = pd.DataFrame(rows)
        listed = pd.DataFrame({"FILENAME": files, "IDENTITY": table.text})
        listed.to_csv(folder / f"written_name_{split}.csv", index=False, lineterminator="\n")
        tables.append(table.assign(image=[str(folder / split / name) for name in files]))
    return pd.concat(tables, ignore_index=True)[["image", "text", "split", "face", "layout"]]
