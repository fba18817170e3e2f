"""`python -m tools.benchmarks.names_exam NAMES --words FILE`: handwritten names, read by the course's model and others.

NAMES is a folder of the handwritten-names set; only its test split is read, by text as `assign_splits` makes it where
the set brings none. FILE has a name, a tab and a count a line; greedy reading does not look at it. How much the counts
weigh is chosen on the validation split. The other programs read the same crops; what a form has printed beside the name
is taken off their answers too, since they cannot know that it is not wanted. The result goes to
`data/records/names.json` and `names.md`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from PIL import Image

from ocrkit.ctc.lexicon import Lexicon, lexicon_decode
from ocrkit.data.images import read_sample
from ocrkit.data.platforms import COURSE
from ocrkit.data.samples import load_samples
from ocrkit.errors.metrics import accuracy
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.strings import names_text
from ocrkit.text.words import read_counts
from tools.benchmarks.measures import rapidocr
from tools.benchmarks.names import figures
from tools.benchmarks.report import keep_record

RESULTS = COURSE / "data" / "records" / "names.json"
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
PRINTED = re.compile(r"^\W*(?:[A-Z0-9:.]{0,8}\W+)?(?:PRE)?N[O0]M\b\W*")


def strip_printed(text: str) -> str:
    """A program's answer without the printed PRENOM or NOM before the name."""
    return PRINTED.sub("", text)


def read_names(reader: Recognizer, samples: pd.DataFrame, lexicon: Lexicon | None, **settings) -> list[str]:
    """Greedy readings, or with a lexicon those of `lexicon_decode`."""
    if lexicon is None:
        return reader.read(samples)["prediction"].tolist()
    packed = reader.pack(samples)
    steps = reader.steps(packed.images).tolist()
    return [r.text for r in lexicon_decode(reader.logits(packed.images), lexicon, steps=steps, **settings)]


def tesseract(images: list) -> list[str]:
    """Tesseract in English on one line of text, one call an image."""
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        for image in images:
            path = Path(folder, "image.png")
            # Twice as large: Tesseract wants capitals of 20 pixels or more.
            picture = Image.fromarray(image)
            picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC).save(path)
            command = ["tesseract", str(path), "-", "--psm", "7"]
            texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    return texts


def timed(texts: list[str], read: Callable[[], list[str]]) -> dict:
    """`figures` of what `read` answers, and images a second."""
    started = time.perf_counter()
    found = read()
    seconds = time.perf_counter() - started
    return {**figures(texts, found), "images_per_second": round(len(texts) / seconds, 1)}


def measure(names: str, words: str, model: str) -> dict:
    """All readers on the test split of `names`."""
    samples = load_samples(names)
    samples = samples[samples["text"] != ""]
    test, valid = (samples[samples["split"] == split] for split in ("test", "valid"))
    texts, images = test["text"].tolist(), [read_sample(r) for r in test.itertuples()]
    reader, counts = Recognizer.load(model, device="cpu"), read_counts(words)
    lexicon = Lexicon(counts, reader.tokenizer)
    open_ = {w: accuracy(valid["text"], read_names(reader, valid, lexicon, weight=w, closed=False)) for w in WEIGHTS}
    weight = max(open_, key=open_.get)
    readers = {
        "greedy": lambda: read_names(reader, test, None),
        "lexicon": lambda: read_names(reader, test, lexicon),
        "lexicon, by frequency": lambda: read_names(reader, test, lexicon, weight=weight),
        "any name, by frequency": lambda: read_names(reader, test, lexicon, weight=weight, closed=False),
        "RapidOCR": lambda: [names_text(t) for t in rapidocr(6)(images)],
        "RapidOCR, printed word off": lambda: [names_text(strip_printed(names_text(t))) for t in rapidocr(6)(images)],
    }
    if shutil.which("tesseract"):
        readers["Tesseract"] = lambda: [names_text(t) for t in tesseract(images)]
        readers["Tesseract, printed word off"] = lambda: [
            names_text(strip_printed(names_text(t))) for t in tesseract(images)
        ]
    return {
        "model": model,
        "n": len(test),
        "in_lexicon": float(test["text"].isin(lexicon.words).mean()),
        "weight": weight,
        "valid": {str(w): v for w, v in open_.items()},
        "torch": torch.__version__,
        "readers": {name: timed(texts, read) for name, read in readers.items()},
    }


def markdown(result: dict) -> str:
    """The result as a table."""
    lines = [
        f"{result['n']} crops, of which {result['in_lexicon']:.0%} show a name of the list; the weight of the counts, "
        f"{result['weight']}, was chosen on the validation split.",
        "",
        "| reader | exact match (95% interval) | CER | images/s |",
        "|---|---|---|---|",
    ]
    for name, row in result["readers"].items():
        low, high = row["interval"]
        lines.append(
            f"| {name} | {row['accuracy']:.3f} ({low:.3f} to {high:.3f}) | {row['cer']:.3f} "
            f"| {row['images_per_second']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the result down and print its table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.names_exam", description=__doc__.splitlines()[0])
    parser.add_argument("names", help="a folder of the handwritten-names set")
    parser.add_argument("--words", required=True, help="a file with a name, a tab and a count a line")
    parser.add_argument("--model", default="names", help="a model folder (default: the shipped one)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    result = measure(options.names, options.words, options.model)
    keep_record(options.results, result, markdown(result))


if __name__ == "__main__":
    main()
