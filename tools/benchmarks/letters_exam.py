"""`python -m tools.benchmarks.letters_exam [--pages N]`: dates and fields of letters, read by the course and others.

The pages are those of the shipped sample's test split, then freshly rendered ones; their fonts and layouts are in no
training page. Each reader works on one thread, and its time is that of the processor, so that other work on the machine
changes it little. How Tesseract is called was chosen on the sample's training pages with `--choose`. The result goes to
`data/records/letters.json` and `letters.md`.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from ocrkit.data.images import read_sample
from ocrkit.data.layouts.pages import FIELDS, Box, load_pages
from ocrkit.data.platforms import COURSE
from ocrkit.errors.intervals import wilson_interval
from ocrkit.synth import render_letters
from ocrkit.tasks.letters.classical import ClassicalReader
from ocrkit.tasks.letters.dates import iso_day, parse_jalali
from ocrkit.tasks.letters.reader import DATE, LetterReader
from ocrkit.tasks.letters.scores import evaluate_fields
from ocrkit.tasks.letters.templates import LABELS
from ocrkit.text.persian import TO_LATIN
from tools.benchmarks.__main__ import processor
from tools.benchmarks.report import keep_record

RESULTS = COURSE / "data" / "records" / "letters.json"
SEED = 8_100_000  # of the fresh pages; nothing else is rendered with it
PSM, SCALE = 3, 2  # of page segmentation 3, 4, 6, 11 and pages 2, 3 times as large, the best on 40 training pages
LETTERS = str.maketrans("يك", "یک")
A_DATE = re.compile(r"(?<!\d)(?:\d{4}|\d\d?)([/.-])\d\d?\1(?:\d{4}|\d\d?)(?!\d)")


class Word(NamedTuple):
    """A word that Tesseract read, and its box in pixels of the page."""

    text: str
    box: Box


def tesseract_words(gray: np.ndarray, psm: int = PSM, scale: int = SCALE) -> list[Word]:
    """The words that Tesseract reads on a page, uint8 (H, W), in Persian, `scale` times as large."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.png")
        picture = Image.fromarray(gray)
        picture = picture.resize((scale * picture.width, scale * picture.height), Image.Resampling.BICUBIC)
        picture.save(path, dpi=(100 * scale, 100 * scale))
        command = ["tesseract", str(path), "-", "-l", "fas", "--psm", str(psm), "tsv"]
        one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
    return parse_tsv(done.stdout, scale)


def parse_tsv(answer: str, scale: int = 1) -> list[Word]:
    """The words of Tesseract's table, `ي` and `ك` as Persian has them, digits folded."""
    words = []
    for row in csv.DictReader(io.StringIO(answer), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = unicodedata.normalize("NFC", row["text"] or "").translate(TO_LATIN).translate(LETTERS).strip()
        text = "".join(c for c in text if unicodedata.category(c) != "Cf" or c == "\u200c")
        if row["level"] == "5" and text:
            x, y, wide, high = (int(row[name]) / scale for name in ("left", "top", "width", "height"))
            words.append(Word(text, (x, y, x + wide, y + high)))
    return words


def fields_of(words: list[Word]) -> dict[str, dict]:
    """What stands beside the words of the labels: for each kind that was found `text`, `box`, `score` and `iso`.

    The highest label on the page counts. A date is also taken from anywhere else, if none stands beside its label.
    """
    found: dict[str, dict] = {}
    labels = [(kind, word) for word in words for kind, names in LABELS.items() if word.text.startswith(names)]
    for kind, label in sorted(labels, key=lambda pair: pair[1].box[1]):
        beside = beside_label(words, label, [other for _, other in labels])
        date = next(((m[0], w) for w in [label, *beside] if (m := A_DATE.search(w.text))), None)
        if kind == DATE and date:
            found.setdefault(kind, _dated(*date))
        elif kind != DATE and beside:
            boxes = np.array([word.box for word in beside])
            box = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
            found.setdefault(kind, {"text": " ".join(w.text for w in beside), "box": box, "score": 1.0, "iso": ""})
    dates = [(m[0], word) for word in sorted(words, key=lambda w: w.box[1]) if (m := A_DATE.search(word.text))]
    if DATE not in found and dates:
        found[DATE] = _dated(*dates[0])
    return found


def beside_label(words: list[Word], label: Word, labels: list[Word]) -> list[Word]:
    """The words at the left of a label on its line, from the right, before another label or a wide gap; no colons."""
    x0, y0, _, y1 = label.box
    line = [w for w in words if w.box[2] <= x0 + 2 and min(y1, w.box[3]) - max(y0, w.box[1])
            > 0.4 * min(y1 - y0, w.box[3] - w.box[1])]  # fmt: skip
    chosen: list[Word] = []
    for word in sorted(line, key=lambda w: -w.box[2]):
        reach = 40 if chosen else 250  # pixels
        if word in labels or (chosen[-1].box[0] if chosen else x0) - word.box[2] > reach:
            break
        if re.search(r"\w", word.text) and word.text.strip(":") not in ("نامه", "ثبت", "ها"):
            chosen.append(word)
    return chosen


def _dated(text: str, word: Word) -> dict:
    return {"text": text, "box": word.box, "score": 1.0, "iso": iso_day(text)[0]}


def read_tesseract(page: pd.DataFrame, psm: int = PSM, scale: int = SCALE) -> pd.DataFrame:
    """A table with one page, as `LetterReader.read` reads it."""
    found = fields_of(tesseract_words(read_sample(next(page.itertuples()), "L"), psm, scale))
    nothing = {"text": "", "box": None, "score": 0.0, "iso": ""}
    return pd.DataFrame([{"page": page.index[0], "kind": kind} | found.get(kind, nothing) for kind in FIELDS])


def exam_pages(n: int) -> pd.DataFrame:
    """The test pages of the sample, and freshly rendered ones until there are `n`: a pages table."""
    sample = load_pages("letters", split="test")[:n]
    if n <= len(sample):
        return sample
    images, table = render_letters(n - len(sample), SEED, split="test")
    fresh = table.assign(image=list(images), height=images.shape[1], width=images.shape[2])
    return pd.concat([sample, fresh[[*sample.columns]]], ignore_index=True)


def same_date(text: str, iso: str, truth: str) -> bool:
    """A date is right if it is the same day; where its order is unclear, as in ۰۴/۰۲/۱۷, if it reads the same."""
    try:
        return iso == parse_jalali(truth).iso
    except ValueError:
        return text.translate(TO_LATIN) == truth.translate(TO_LATIN)


def figures(pages: pd.DataFrame, results: pd.DataFrame, seconds: list[float]) -> dict:
    """Recall of fields, exact dates and false ones, and the median of the seconds a page."""
    found = results[results["box"].notna()]
    recall = evaluate_fields(found, pages).set_index("kind")
    read = results[results["kind"] == DATE].set_index("page")
    truth = {i: next((f.text for f in fields if f.kind == DATE), None) for i, fields in pages["fields"].items()}
    dated = {i: text for i, text in truth.items() if text is not None}
    false_dates = (read.loc[[*(truth.keys() - dated.keys())], "iso"] != "").sum()
    right = sum(same_date(read.at[i, "text"], read.at[i, "iso"], text) for i, text in dated.items())
    return {
        "fields": {
            kind: {"n": int(row["n"]), "recall": float(row["recall"]),
                   "interval": [float(row["recall_low"]), float(row["recall_high"])]}
            for kind, row in recall.iterrows() if row["n"]
        },
        "dates": {"n": len(dated), "exact": right / len(dated) if dated else None,
                  "interval": [*wilson_interval(right, len(dated))]},
        "undated": {"n": len(pages) - len(dated), "false_dates": int(false_dates)},
        "seconds_a_page": round(statistics.median(seconds), 2),
    }  # fmt: skip


def timed(pages: pd.DataFrame, read: Callable[[pd.DataFrame], pd.DataFrame]) -> dict:
    """`figures` of what `read` answers, page by page; the first page is read twice, since models warm up on it."""
    read(pages[:1])
    tables, seconds = [], []
    for i in tqdm(range(len(pages)), leave=False):
        started = sum(os.times()[:4])
        tables.append(read(pages[i : i + 1]))
        seconds.append(sum(os.times()[:4]) - started)
    return figures(pages, pd.concat(tables, ignore_index=True), seconds)


def readers(model: str) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """All readers that are here; a line is printed for those that are not."""
    found: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {}
    try:
        found["ocrkit"] = LetterReader.load(model, device="cpu").read
    except FileNotFoundError as error:
        print(f"skipped, the reader of letters: {error}")
    found["classical"] = ClassicalReader().read
    if has_tesseract():
        found["Tesseract"] = read_tesseract
    else:
        print("skipped, Tesseract: it is not installed, or not for Persian (package tesseract-ocr-fas)")
    return found


def has_tesseract() -> bool:
    """Tesseract is installed, with Persian."""
    if not shutil.which("tesseract"):
        return False
    known = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False)
    return "fas" in known.stdout.split()


def choose(n: int) -> dict[str, dict]:
    """How well Tesseract reads `n` training pages in each way of calling it."""
    pages = load_pages("letters", split="train")[:n]
    ways = [(psm, scale) for scale in (2, 3) for psm in (3, 4, 6, 11)]
    return {f"psm {p}, {s} times": timed(pages, partial(read_tesseract, psm=p, scale=s)) for p, s in ways}


def markdown(result: dict) -> str:
    """The result as a table."""
    head = [
        "reader",
        "exact dates (95% interval)",
        "false dates",
        *[f"{kind} found" for kind in FIELDS],
        "CPU s a page",
    ]
    lines = [
        f"{result['pages']} letters; a field is found at an intersection over union of 0.5. "
        "False dates are those read on letters that have none.",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for name, row in result["readers"].items():
        dates, undated = row["dates"], row["undated"]
        cells = [name, f"{_share(dates['exact'], dates['interval'])}, n={dates['n']}",
                 f"{undated['false_dates']} of {undated['n']}"]  # fmt: skip
        for kind in FIELDS:
            field = row["fields"].get(kind)
            cells.append(f"{_share(field['recall'], field['interval'])}, n={field['n']}" if field else "-")
        lines.append(f"| {' | '.join([*cells, str(row['seconds_a_page'])])} |")
    return "\n".join(lines) + "\n"


def _share(share: float | None, interval: list[float]) -> str:
    return "-" if share is None else f"{share:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the result down and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.letters_exam", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--pages", type=int, default=220, help="how many pages; the shipped test pages come first")
    parser.add_argument("--model", default="letters", help="a model folder (default: the shipped one)")
    parser.add_argument("--choose", action="store_true", help="compare ways to call Tesseract on training pages")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.choose:
        print(markdown({"pages": options.pages, "readers": choose(options.pages)}))
        return
    pages = exam_pages(options.pages)
    result = {"pages": len(pages), "machine": processor(), "torch": torch.__version__,
              "tesseract": {"psm": PSM, "scale": SCALE},
              "readers": {name: timed(pages, read) for name, read in readers(options.model).items()}}  # fmt: skip
    keep_record(options.results, result, markdown(result))


if __name__ == "__main__":
    main()
