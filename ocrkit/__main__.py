"""The command line: `python -m ocrkit doctor | lint | train | evaluate | read`, what the notebooks call in one line."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ocrkit.ctc.decoding import DECODERS, make_decoder
from ocrkit.ctc.lexicon import Lexicon
from ocrkit.data import platforms
from ocrkit.text.words import read_words


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 fine, 1 something was found or failed, 2 wrong usage."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse takes a list in one piece; here settings may also follow an option, as in `--out runs/mine epochs=3`.
    if rest and not (hasattr(options, "changes") and all(re.match(r"\w+=", part) for part in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    elif rest:
        options.changes += rest
    try:
        return options.verb(options)
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        # These are the errors that ocrkit words for people; a traceback would only hide them.
        problem = str(error)
    except ImportError as error:
        problem = platforms.way_out(error)
        if not problem:
            raise
    print(f"{parser.prog} {options.name}: {problem}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ocrkit", description="Train, measure and use a text recognizer.")
    verbs = parser.add_subparsers(dest="name", required=True, metavar="VERB")

    def verb(name, function, about):
        sub = verbs.add_parser(name, help=about, description=about)
        sub.set_defaults(verb=function)
        return sub

    verb("doctor", doctor, "check versions, device, data and models; a line each")

    lint = verb("lint", lint_samples, "what is wrong with a data set")
    lint.add_argument("samples", metavar="SAMPLES", help="a shipped or registered name, a folder, or a CSV file")
    lint.add_argument("--alphabet", help="check labels against this named alphabet, for instance plates")
    lint.add_argument("--model", help="check labels against the alphabet and the time steps of this model")
    lint.add_argument("--out", type=Path, help="write all findings to this CSV file")

    train = verb("train", train_recipe, "train a recognizer by a recipe; also in several processes, under torchrun")
    train.add_argument("recipe", metavar="RECIPE", help="a .toml file, or a shipped name such as plates")
    train.add_argument("changes", nargs="*", metavar="key=value", help="settings that win over the recipe's")
    train.add_argument("--out", type=Path, help="folder of the run (default: runs/RECIPE)")
    train.add_argument("--resume", action="store_true", help="go on after the last whole epoch of that folder")

    evaluate = verb("evaluate", evaluate_model, "measure a model on labeled images")
    evaluate.add_argument("model", metavar="MODEL", help="a model folder, or a shipped name such as plates")
    evaluate.add_argument("samples", metavar="SAMPLES", help="a shipped or registered name, a folder, or a CSV file")
    evaluate.add_argument("--split", help="only this split: train, valid or test (default: all images)")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.add_argument("--out", type=Path, help="write the results table to this CSV file")
    _add_decoding(evaluate)

    read = verb("read", read_images, "read images")
    read.add_argument("model", metavar="MODEL", help="a model folder, or a shipped name such as plates")
    read.add_argument("images", nargs="+", metavar="IMAGE")
    read.add_argument("--json", action="store_true", help="print one JSON object an image, as for letters always")
    _add_decoding(read)
    return parser


def _add_decoding(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("decoding, for models that read lines")
    group.add_argument("--decode", choices=DECODERS, default="greedy", help="how to find the text (default: greedy)")
    group.add_argument("--lexicon", metavar="FILE", type=Path, help="words, one a line, or word, tab and count")
    group.add_argument("--weight", type=float, help="how much the counts of the words weigh (default: 0)")
    more = "other texts than the words may win, needs --weight above 0"
    group.add_argument("--open", action="store_true", default=None, help=more)
    group.add_argument("--pattern", metavar="NAME", help="the form of the texts (default: what fits the model)")


def doctor(options: argparse.Namespace) -> int:
    """Print a line a check: [OK], [FAIL] (the course does not work) or [NOTE] (an extra that is not there)."""
    from importlib import metadata

    from ocrkit.data import sources
    from ocrkit.reader.device import pick_device
    from ocrkit.reader.model_files import MODELS
    from ocrkit.tasks.load import load_model

    marks = set()

    def line(mark: str, text: str) -> None:
        marks.add(mark)
        print(f"[{mark}] {text}")

    line("OK" if sys.version_info >= (3, 10) else "FAIL", f"Python {sys.version.split()[0]} (3.10 or newer)")
    needed = platforms.requirements()
    if not needed:
        line("FAIL", f"{platforms.COURSE / 'pyproject.toml'} is missing, which says what is needed")
    for package in (*needed, *platforms.requirements("notebooks"), *platforms.requirements("scale")):
        try:
            line("OK", f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            line("FAIL" if package in needed else "NOTE", f"{package} is not installed: pip install {package}")
    line("OK", f"device {pick_device()}; {platforms.summary_line()}")
    for name, source in sources.SOURCES.items():
        try:
            line("OK", f"data {name}: {sources.locate(name)}")
        except FileNotFoundError as error:
            line("FAIL" if source.shipped else "NOTE", f"data {name}: {error}")
    for folder in sorted(MODELS.glob("*/config.json")):
        try:
            line("OK", f"model {folder.parent.name}: {load_model(folder.parent)!r}")
        except (ValueError, OSError) as error:
            line("FAIL", f"model {folder.parent.name}: {error}")
    return int("FAIL" in marks)


def lint_samples(options: argparse.Namespace) -> int:
    """Print what is wrong; exit status 1 where something is an error."""
    from ocrkit.data.lint import lint
    from ocrkit.data.samples import load_samples
    from ocrkit.text.tokenizer import Tokenizer

    tokenizer, time_steps = Tokenizer.from_name(options.alphabet) if options.alphabet else None, None
    if options.model:
        from ocrkit.reader.recognizer import Recognizer

        recognizer = Recognizer.load(options.model)
        tokenizer, time_steps = tokenizer or recognizer.tokenizer, recognizer.model.time_steps
    findings = lint(load_samples(options.samples), tokenizer, time_steps)
    if options.out:
        findings.to_csv(options.out, index=False)
    return int((findings["level"] == "error").any())


def train_recipe(options: argparse.Namespace) -> int:
    """Train and say where the model lies; one of several processes where `torchrun` or Accelerate started them."""
    from ocrkit.tasks.run import run_recipe
    from ocrkit.training.processes import accelerator, print_once
    from ocrkit.training.recipe import find_recipe

    if wrong := [change for change in options.changes if "=" not in change]:
        raise ValueError(f"{wrong[0]!r} is not key=value, for instance epochs=4")
    recipe = find_recipe(options.recipe, **dict(change.split("=", 1) for change in options.changes))
    run_dir = options.out or Path("runs") / Path(options.recipe).stem
    words = ["python", "-m", "ocrkit", "train", options.recipe, *options.changes, "--out", str(run_dir)]
    run_recipe(recipe, run_dir, options.resume, shlex.join(words))
    print_once(f"the model lies in {run_dir}; measure it: python -m ocrkit evaluate {run_dir} SAMPLES")
    if world := accelerator():
        world.end_training()
    return 0


def decoder_for(options: argparse.Namespace, model: Any) -> Callable | None:
    """The decoder that the options ask for, None for the greedy one; words that are left out are named on stderr.

    Raises a ValueError as `make_decoder`, or where the model reads no lines, or an option is of another way to decode.
    """
    from ocrkit.reader.recognizer import Recognizer

    kind, file = options.decode, options.lexicon
    for name in ("lexicon", "weight", "open", "pattern"):
        own = "pattern" if name == "pattern" else "lexicon"
        if getattr(options, name) is not None and kind != own:
            raise ValueError(f"--{name} is of use with --decode {own} only, and this is --decode {kind}")
    if kind == "greedy":
        return None
    if not isinstance(model, Recognizer):
        other = f"{options.model} is a {type(model).__name__}: leave it out"
        raise ValueError(f"--decode {kind} is for models that read lines of text, such as plates or names; {other}")
    lexicon = None
    if kind == "lexicon":
        if file is None:
            raise ValueError("--decode lexicon needs the words: --lexicon FILE")
        words = read_words(file)
        try:
            lexicon = Lexicon(words, model.tokenizer)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        if n := len(lexicon.rejected):
            why = "; ".join(f"{word!r} {reason}" for word, reason in [*lexicon.rejected.items()][:3])
            more = "; ..." if n > 3 else ""
            print(f"{file}: {n:,} of {len(words):,} words are left out: {why}{more}", file=sys.stderr)
    return make_decoder(kind, model.tokenizer, lexicon, options.weight or 0.0, not options.open, options.pattern)


def evaluate_model(options: argparse.Namespace) -> int:
    """Print accuracy and CER with n and 95% intervals; samples that cannot count are named on stderr.

    A model of glyphs has no CER. What reads whole pages is measured by `evaluate_pages`.
    """
    from ocrkit.data.samples import load_samples
    from ocrkit.errors.classes import score_classes
    from ocrkit.errors.metrics import score
    from ocrkit.tasks.glyphs.classifier import GlyphClassifier
    from ocrkit.tasks.letters.detector import FieldDetector
    from ocrkit.tasks.letters.reader import LetterReader
    from ocrkit.tasks.load import load_model

    model = load_model(options.model)
    decoder = decoder_for(options, model)
    if isinstance(model, (FieldDetector, LetterReader)):
        return evaluate_pages(model, options)
    read = model.read if decoder is None else partial(model.read, decoder=decoder)
    samples = load_samples(options.samples, split=options.split)
    labeled = samples["text"] != ""
    # The time that counts is decoding files, resizing and reading; a first small call warms the library up.
    read(samples[labeled].head(8))
    started = time.perf_counter()
    results = read(samples[labeled])
    speed = len(results) / (time.perf_counter() - started)
    if "glyph_file" in results:  # what is in memory has no path to name it by
        paths = [i if isinstance(i, str) else name for i, name in zip(results["image"], results["glyph_file"])]
        results = results.assign(image=paths)
    if options.out:
        results.to_csv(options.out, index=False)
    unlabeled, counted = samples[~labeled], results[results["error"] == ""]
    unlabeled = [(row.image, getattr(row, "problem", "") or "no label") for row in unlabeled.itertuples()]
    for image, reason in [*unlabeled, *zip(results["image"], results["error"])]:
        if reason:
            print(f"set aside: {image}: {reason}", file=sys.stderr)
    if not len(counted):
        raise ValueError(f"{options.samples} has no labeled image that can be read")
    table = (score_classes if isinstance(model, GlyphClassifier) else score)(counted)
    rows, facts = table.set_index("metric")[["value", "low", "high"]], {"n": len(counted)}
    for name in ("accuracy", "cer"):
        value, *interval = rows.loc[name] if name in rows.index else [None]
        facts |= {name: value, f"{name}_ci": interval or None}
    facts |= {"images_per_second": speed, "decode": options.decode}
    _print_scores(table, facts, f"{speed:.0f} images/s", len(samples) - len(counted), options)
    return 0


def _print_scores(table: pd.DataFrame, facts: dict, speed: str, set_aside: int, options: argparse.Namespace) -> None:
    """Print what was measured: a table for people, or `facts` as one JSON object."""
    if options.json:
        asked = {"model": str(options.model), "samples": str(options.samples), "split": options.split}
        print(json.dumps(facts | {"set_aside": set_aside} | asked, ensure_ascii=False))
    else:
        print(table.to_string(index=False, float_format=lambda v: f"{v:.4f}", na_rep=""))
        print(f"{speed}; {set_aside} set aside")


def evaluate_pages(model: Any, options: argparse.Namespace) -> int:
    """Print, for each kind of field, how many are found and, by a model that reads, how many are read exactly."""
    from ocrkit.data.layouts.pages import load_pages
    from ocrkit.tasks.letters.reader import LetterReader
    from ocrkit.tasks.letters.scores import evaluate_fields, score_letters

    pages = load_pages(options.samples, options.split)
    reads = isinstance(model, LetterReader)
    started = time.perf_counter()
    results = model.read(pages) if reads else model.detect(pages)
    speed = len(pages) / (time.perf_counter() - started)
    if options.out:
        results.to_csv(options.out, index=False)
    problems = dict(zip(results["page"], results["error"])) if reads else results.attrs["set_aside"]
    unread = {page: reason for page, reason in problems.items() if reason}
    for page, reason in unread.items():
        print(f"set aside: {pages['image'][page]}: {reason}", file=sys.stderr)
    table = (score_letters if reads else evaluate_fields)(results, pages.drop(index=[*unread]))
    rows = table.set_index("kind")
    fields = rows.astype(object).where(rows.notna(), None).T.to_dict()
    facts = {"n": len(pages) - len(unread), "fields": fields, "pages_per_second": speed}
    _print_scores(table, facts, f"{speed:.2f} pages/s", len(unread), options)
    return 0


def read_images(options: argparse.Namespace) -> int:
    """Print text and confidence of each image, of a letter its fields; exit status 1 where one could not be read.

    With another decoder than the greedy one: log_prob, runner-up and margin too.
    """
    from ocrkit.tasks.letters.detector import FieldDetector
    from ocrkit.tasks.letters.reader import LetterReader
    from ocrkit.tasks.load import load_model

    model = load_model(options.model)
    decoder = decoder_for(options, model)
    if isinstance(model, LetterReader):
        return read_pages(model, options)
    if isinstance(model, FieldDetector):
        raise ValueError(f"{options.model} finds fields and reads no text: use ocrkit.FieldDetector.detect")
    table = pd.DataFrame({"image": options.images})
    results = model.read(table) if decoder is None else model.read(table, decoder=decoder)
    for row in results.itertuples():
        if options.json:
            facts = {"image": row.image, "text": row.prediction, "confidence": row.confidence}
            if "spans" in results:
                facts["spans"] = [s._asdict() for s in row.spans]
            else:  # a model of glyphs
                facts |= {"second": row.second, "margin": row.margin}
            if decoder:  # JSON has no infinity: null where no text fits, or nothing else does
                log_prob, margin = (v if math.isfinite(v) else None for v in (row.log_prob, row.margin))
                facts |= {"log_prob": log_prob, "runner_up": row.runner_up, "margin": margin}
            print(json.dumps(facts | ({"error": row.error} if row.error else {}), ensure_ascii=False))
        elif not row.error:
            more = [f"{row.log_prob:.3f}", row.runner_up, f"{row.margin:.3f}"] if decoder else []
            print(row.image, row.prediction, f"{row.confidence:.3f}", *more, sep="\t")
        if row.error:
            print(f"{row.image}: {row.error}", file=sys.stderr)
    return int((results["error"] != "").any())


def read_pages(reader: Any, options: argparse.Namespace) -> int:
    """Print one JSON object a page; exit status 1 where one could not be read."""
    results = reader.read(options.images)
    for _, rows in results.groupby("page"):
        facts = {"image": rows["image"].iloc[0], "fields": dict.fromkeys(rows["kind"])}
        for row in rows[rows["box"].notna()].itertuples():
            box = [round(value, 1) for value in row.box]
            field = {"text": row.text, "confidence": row.confidence, "box": box, "score": row.score}
            field |= {"iso": row.iso or None} if row.kind == "date" else {}
            facts["fields"][row.kind] = field | ({"problem": row.problem} if row.problem else {})
        if error := rows["error"].iloc[0]:
            facts = {"image": facts["image"], "error": error}
            print(f"{facts['image']}: {error}", file=sys.stderr)
        print(json.dumps(facts, ensure_ascii=False))
    return int((results["error"] != "").any())


if __name__ == "__main__":
    sys.exit(main())
