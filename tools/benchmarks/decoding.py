"""`python -m tools.benchmarks.decoding PLATES NAMES --words FILE`: ways to decode, and how far a confidence is trusted.

PLATES and NAMES are folders of real images; only their test split is read, by text as `assign_splits` makes it where
the set brings none. FILE has a name, a tab and a count a line. Every decoder gets the same logits, so that its time is
that of decoding alone, on one thread. How much the counts weigh, the temperature and the thresholds of a gate come from
the validation split. The result goes to `data/records/decoding.json` and `decoding.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ocrkit.ctc.beam import beam_decode
from ocrkit.ctc.confidence import confidences
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.ctc.lexicon import Lexicon, lexicon_decode
from ocrkit.ctc.pattern import Pattern, pattern_decode
from ocrkit.data.platforms import COURSE
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.errors.calibration import (
    accept_reject,
    aurc,
    calibration_error_interval,
    expected_calibration_error,
    fit_temperature,
    threshold_for,
)
from ocrkit.errors.intervals import wilson_interval
from ocrkit.errors.metrics import accuracy, score
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.text.words import read_counts
from tools.benchmarks.__main__ import processor
from tools.benchmarks.report import keep_record

RESULTS = COURSE / "data" / "records" / "decoding.json"
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
CONFIDENCES = {"weakest": "weakest character", "path": "best path", "share": "share against the runner-up",
               "probability": "P(text)"}  # fmt: skip
LIMITS = (0.05, 0.02, 0.01)


class Seen(NamedTuple):
    """What the model says of the images of a split: `(T, N, K)` logits, N numbers of steps that count, N labels."""

    logits: Tensor
    steps: list[int]
    texts: list[str]


Decoder = Callable[[Tensor, Sequence[int]], list]


def look(reader: Recognizer, samples: pd.DataFrame) -> Seen:
    """Run the model once; images that cannot be read are left out."""
    packed = reader.pack(samples)
    return Seen(reader.logits(packed.images), reader.steps(packed.images).tolist(), packed.texts)


def splits(place: str, most: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validation and test images with a label, at most so many of each."""
    samples = load_samples(place)
    samples = samples if {"valid", "test"} <= set(samples["split"]) else assign_splits(samples)
    samples = samples[samples["text"] != ""]
    valid, test = (samples[samples["split"] == split][:most] for split in ("valid", "test"))
    return valid, test


def plate_decoders(tokenizer: Tokenizer) -> dict[str, Decoder]:
    """Those that a plate can be read with."""
    return {
        "greedy": lambda logits, steps: greedy_decode(logits, tokenizer),
        "beam": lambda logits, steps: beam_decode(logits, tokenizer, steps),
        "pattern": lambda logits, steps: pattern_decode(logits, Pattern.named("plates"), tokenizer, steps),
    }


def name_decoders(tokenizer: Tokenizer, lexicon: Lexicon, valid: Seen) -> tuple[dict[str, Decoder], dict[str, float]]:
    """Those that a name can be read with, and the weights of the counts that read the validation images best."""

    def by_frequency(closed: bool) -> tuple[Decoder, float]:
        ways = {w: partial(lexicon_decode, lexicon=lexicon, weight=w, closed=closed) for w in WEIGHTS}
        best = max(WEIGHTS, key=lambda w: accuracy(valid.texts, texts_of(ways[w](valid.logits, steps=valid.steps))))
        return lambda logits, steps: ways[best](logits, steps=steps), best

    (closed, weight), (open_, open_weight) = by_frequency(True), by_frequency(False)
    plates = plate_decoders(tokenizer)
    return {
        "greedy": plates["greedy"],
        "beam": plates["beam"],
        "lexicon": lambda logits, steps: lexicon_decode(logits, lexicon, steps=steps),
        "lexicon, by frequency": closed,
        "any text, by frequency": open_,
    }, {"lexicon, by frequency": weight, "any text, by frequency": open_weight}


def texts_of(readings: list) -> list[str]:
    return [reading.text for reading in readings]


def compare(decoders: dict[str, Decoder], test: Seen) -> dict[str, dict]:
    """Accuracy and CER of each decoder with 95% intervals, and images a second, the better of two runs."""
    rows = {}
    for name, decode in decoders.items():
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            readings = decode(test.logits, test.steps)
            seconds.append(time.perf_counter() - started)
        found = score(pd.DataFrame({"text": test.texts, "prediction": texts_of(readings)})).set_index("metric")
        rows[name] = {
            metric: {"value": row.value, "interval": [row.low, row.high], "n": int(row.n)}
            for metric, row in found.loc[["accuracy", "cer"]].iterrows()
        } | {"images_per_second": round(len(test.texts) / min(seconds), 1)}
    for row in rows.values():
        row["times_greedy"] = round(rows["greedy"]["images_per_second"] / row["images_per_second"], 1)
    return rows


def trust(tokenizer: Tokenizer, valid: Seen, test: Seen) -> dict:
    """The confidences of greedy readings on the test images, before and after temperature scaling."""
    temperature = fit_temperature(valid.logits, valid.texts, tokenizer, valid.steps)
    rows = []
    for t in (1.0, temperature):
        known, table = (confidences(seen.logits, tokenizer, seen.steps, t) for seen in (valid, test))
        right = table["text"] == test.texts
        for column in CONFIDENCES:
            chosen = accept_reject(known[column], known["text"] == valid.texts)
            gates = {str(limit): table[column] >= threshold_for(chosen, limit) for limit in LIMITS}
            rows.append({
                "confidence": column,
                "temperature": t,
                "ece": expected_calibration_error(table[column], right),
                "ece_interval": calibration_error_interval(table[column], right),
                "aurc": aurc(table[column], right),
                "gates": {limit: {"accepted": int(open_.sum()), "wrong": int((open_ & ~right).sum())}
                          for limit, open_ in gates.items()},
            })  # fmt: skip
    return {"n": len(right), "valid_n": len(valid.texts), "accuracy": float(right.mean()),
            "temperature": temperature, "rows": rows}  # fmt: skip


def measure(place: str, model: str, words: str | None, most: int | None) -> dict:
    """All that is measured on one folder; with `words`, its images are names, else plates."""
    reader = Recognizer.load(model, device="cpu")
    valid, test = (look(reader, samples) for samples in splits(place, most))
    more = {}
    if words:
        lexicon = Lexicon(read_counts(words), reader.tokenizer)
        decoders, weights = name_decoders(reader.tokenizer, lexicon, valid)
        known = sum(text in lexicon for text in test.texts) / len(test.texts)
        more = {"weights": weights, "words": len(lexicon), "in_lexicon": known}
    else:
        decoders = plate_decoders(reader.tokenizer)
    return {
        "samples": Path(place).resolve().name,
        "model": Path(model).name,
        "n": len(test.texts),
        "valid_n": len(valid.texts),
        **more,
        "decoders": compare(decoders, test),
        "trust": trust(reader.tokenizer, valid, test),
    }


def markdown(result: dict) -> str:
    """The result as tables."""
    lines = ["# Decoders and confidences on real images", ""]
    for task, part in result["tasks"].items():
        lines += [f"## {task}", "", f"{part['n']} test images, {part['valid_n']} validation images."]
        if "weights" in part:
            chosen = "; ".join(f"{name}: {weight}" for name, weight in part["weights"].items())
            lines[-1] += f" The list has {part['words']:,} words, and {part['in_lexicon']:.0%} of the images show one."
            lines[-1] += f" Weights of the counts, chosen on validation images: {chosen}."
        lines += ["", "| decoder | exact match (95% interval) | CER (95% interval) | images/s | time, greedy = 1 |"]
        lines += ["|---|---|---|---|---|"]
        for name, row in part["decoders"].items():
            lines.append(
                f"| {name} | {_with_interval(row['accuracy']['value'], row['accuracy']['interval'])} "
                f"| {_with_interval(row['cer']['value'], row['cer']['interval'], 4)} "
                f"| {row['images_per_second']:,.0f} | {row['times_greedy']:,.1f} |"
            )
        kept = part["trust"]
        lines += ["", f"Greedy readings, of which {kept['accuracy']:.1%} are right. T = 1 is the model as it is; the "
                  f"other T was fitted on {kept['valid_n']} validation images. A gate accepts the test readings above "
                  "the lowest threshold at which, on the validation images, the upper 95% limit of the error keeps to "
                  "its limit; in brackets how many of them are wrong.", ""]  # fmt: skip
        limits = " | ".join(f"gate for {limit:.0%} errors" for limit in LIMITS)
        lines += [f"| confidence | T | ECE (95% interval) | AURC | {limits} |", "|---" * (4 + len(LIMITS)) + "|"]
        for row in kept["rows"]:
            shares = [f"{gate['accepted'] / kept['n']:.1%} ({gate['wrong']})" if gate["accepted"] else "none"
                      for gate in row["gates"].values()]  # fmt: skip
            lines.append(
                f"| {CONFIDENCES[row['confidence']]} | {row['temperature']:.2f} "
                f"| {_with_interval(row['ece'], row['ece_interval'])} | {row['aurc']:.4f} | {' | '.join(shares)} |"
            )
        lines.append("")
    needed = [next(n for n in range(1, 10_000) if wilson_interval(0, n)[1] <= limit) for limit in LIMITS]
    without = ", ".join(f"{limit:.0%} takes {n}" for limit, n in zip(LIMITS, needed))
    lines.append(f"How many validation readings without a single error a limit needs: {without}.")
    return "\n".join(lines) + "\n"


def _with_interval(value: float, interval: Sequence[float], digits: int = 3) -> str:
    low, high = (f"{bound:.{digits}f}" for bound in interval)
    return f"{value:.{digits}f} ({low} to {high})"


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the result down and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.decoding", description=__doc__.splitlines()[0])
    parser.add_argument("plates", help="a folder of real plates")
    parser.add_argument("names", help="a folder of the handwritten-names set")
    parser.add_argument("--words", required=True, help="a file with a name, a tab and a count a line")
    parser.add_argument("--plates-model", default="plates", help="a model folder (default: the shipped one)")
    parser.add_argument("--names-model", default="names", help="a model folder (default: the shipped one)")
    parser.add_argument("--most", type=int, help="read at most so many images of each split")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tasks = {
        "Plates": measure(options.plates, options.plates_model, None, options.most),
        "Names": measure(options.names, options.names_model, options.words, options.most),
    }
    result = {"machine": processor(), "torch": torch.__version__, "tasks": tasks}
    keep_record(options.results, result, markdown(result))


if __name__ == "__main__":
    main()
