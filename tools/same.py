"""Does the code still do the same? `record` writes down what it does, `compare` tells what has changed since.

    python -m tools.same record before.json            # in minutes; with --tests, all tests are run as well
    python -m tools.same compare before.json           # after a change of structure: nothing may differ

A record is one JSON object of sections, each a flat table key -> text:

* machine: the versions. Losses are compared to the last bit, so two records must come from one machine.
* pixels: a digest of each rendered image, and its label; every public `render_*`, in every split, class and layout.
* losses: loss and learning rates of each training step, the history, the figures and a digest of the weights of four
  short trainings, one for each kind of model. On one thread of the CPU, so that they repeat exactly.
* readings: what each shipped model reads on shipped samples or, where none fits, on rendered images.
* tests: the outcome of each test by file name, function and parameters; the folder of the file does not count.

Only public names are used here: the verbs of `python -m ocrkit`, `ocrkit.NAME`, and what `ocrkit.synth` lists. The
import block below is the one place to change when any of them moves.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from fnmatch import fnmatchcase
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

import ocrkit as ok
from ocrkit import synth
from ocrkit.__main__ import main as command_line

Section = dict[str, str]
SEEDS, IMAGES = (0, 1), 20
PROCESSES = 2  # that record at a time, each on one thread
#: Differences of a section that are shown, and characters of each value.
SHOWN, WIDTH = 20, 160
#: What `python -m ocrkit train` is given: every kind of model, a dozen steps an epoch. The one that goes on from a
#: shipped model reads well, so that its figures and its choice of the best epoch say something.
TRAININGS = (
    "letters-detector rendered=24 batch_size=2 epochs=2 image_size=192,128 window=64",
    "persian-glyphs rendered=192 batch_size=16 head_epochs=1 epochs=1 image_size=32,32",
    "names-start rendered=96 batch_size=8 epochs=2 image_size=32,192",
    "plates rendered=192 batch_size=16 epochs=2 image_size=32,128 start=plates",
)
#: Shipped models -> what each reads; at most about a hundred images, from all over the table.
SAMPLES: dict[str, Callable[[], pd.DataFrame]] = {
    "letters": lambda: ok.load_pages("letters", split="test"),
    "names": lambda: ok.load_samples("names", split="test"),
    "plates": lambda: ok.load_samples("plates", split="test"),
    "persian-glyphs": lambda: ok.load_samples("persian-glyphs", split="test").iloc[::3],
    "persian-letters": lambda: _table(*ok.render_glyphs(100, 7, classes="persian-letters", split="test")),
    "chinese-glyphs": lambda: _table(*ok.render_characters(100, 7, split="test")),
}
#: The columns of a results table that count, where it has them.
COLUMNS = (
    "kind", "text", "prediction", "confidence", "spans", "second", "margin", "box", "score", "iso", "problem", "error"
)  # fmt: skip


def machine() -> Section:
    """The versions on which pixels, losses and readings depend."""
    packages = {name: version(name) for name in ("torch", "torchvision", "numpy", "pandas", "pillow")}
    return {"python": sys.version.split()[0], **packages, "cpu": torch.backends.cpu.get_cpu_capability()}


def batches() -> Iterator[tuple[str, dict]]:
    """The renderers that draw many images, and in how many ways: `(name, arguments)`."""
    yield from (("render_plates", {}), ("render_plates", {"without": synth.INGREDIENTS}))
    yield from (("render_names", {"size": (64, 384)}), *((f"render_{n}", {"size": None}) for n in ("words", "dates")))
    for split in ("train", "test"):
        yield from ((f"render_{name}", {"split": split}) for name in ("lines", "characters", "names"))
    for split in ("train", "valid", "test"):
        yield from (("render_glyphs", {"split": split, "classes": c}) for c in ("thesis", "persian-letters"))
        yield from ((f"render_{name}", {"split": split}) for name in ("words", "dates", "letters"))


def singles() -> Iterator[tuple[str, dict, int]]:
    """The renderers of one image, in each color, class and layout: `(name, arguments, how many images)`."""
    for degrade in (True, False):
        yield from (("render_plate", {"color": c, "degrade": degrade}, IMAGES) for c in synth.PLATE_COLORS)
        yield from (("render_line", {"split": s, "degrade": degrade}, IMAGES) for s in ("train", "test"))
        yield "render_glyph", {"klass": "Date", "degrade": degrade}, IMAGES
        yield "render_letter", {"degrade": degrade}, 2
    yield from (("render_name", {"layout": layout}, IMAGES) for layout in synth.LAYOUTS)
    yield from (("render_glyph", {"klass": k}, 3) for k in (*synth.THESIS_CLASSES, *synth.LETTER_CLASSES))
    yield from (("render_letter", {"layout": one.name}, 1) for one in chain(*synth.LETTER_LAYOUTS.values()))


def pixels() -> Section:
    """A digest of each rendered image, with its label."""
    found = {}

    def note(name, arguments, seed, i, label, image):
        how = "".join(f"{key}={'all' if key == 'without' else value} " for key, value in arguments.items())
        found[f"{name} {how}seed={seed} {i:02d}"] = f"{_digest([image])} {_text(label)}"

    for seed in SEEDS:
        for name, arguments in batches():
            images, table = getattr(ok, name)(IMAGES, seed, **arguments)
            for i, (image, row) in enumerate(zip(images, table.to_dict("records"), strict=True)):
                note(name, arguments, seed, i, row, image)
        for name, arguments, n in singles():
            for i in range(n):
                note(name, arguments, seed, i, *_single(name, arguments, np.random.default_rng([seed, i])))
    return found


def _single(name: str, arguments: dict, rng: np.random.Generator) -> tuple[object, np.ndarray]:
    """One image and its label; what is written is drawn by the same chance."""
    if name == "render_letter":
        letter = ok.render_letter(rng, **arguments)
        return [letter.fields, letter.other, letter.face, letter.layout], letter.image
    if name == "render_glyph":
        return arguments["klass"], ok.render_glyph(rng=rng, **arguments)
    write = {"render_line": synth.random_line_text, "render_name": synth.random_name}
    text = write[name](rng) if name in write else synth.random_plate_text(rng, arguments["color"])[0]
    return text, getattr(ok, name)(text, rng=rng, **arguments)


def losses(training: str) -> Section:
    """Train by a recipe in a folder that is thrown away: each step, the history, the figures and the weights."""
    torch.set_num_threads(1)
    name, *changes = training.split()
    with tempfile.TemporaryDirectory() as place, redirect_stdout(io.StringIO()), steps_noted() as steps:
        folder = Path(place, "run")
        # In 32 bits everywhere: a new processor computes in 16 where an old one does not.
        if command_line(["train", name, *changes, "amp=off", "--out", str(folder)]):
            raise RuntimeError(f"python -m ocrkit train {training} failed, the line above says why")
        history = pd.read_csv(folder / "history.csv", dtype=str).drop(columns=["seconds", "images_per_second"])
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        weights = ok.load_model(folder, device="cpu").model.state_dict().values()
    found = {f"{name} step {k:02d}": step for k, step in enumerate(steps, 1)}
    found |= {f"{name} epoch {row['epoch']}": _text(row) for row in history.to_dict("records")}
    found |= {f"{name} {part}": json.dumps(facts.get(part), ensure_ascii=False) for part in ("best", "tests")}
    return found | {f"{name} weights": _digest(w.numpy() for w in weights)}


@contextmanager
def steps_noted() -> Iterator[list[str]]:
    """A list that gets a text for each step that any optimizer takes in here: losses and learning rates, exact.

    It listens to torch, and so asks nothing of the loop that trains.
    """
    steps, since, backward = [], [], torch.Tensor.backward

    def note_loss(loss, *args, **kwargs):
        since.append(loss.item())
        return backward(loss, *args, **kwargs)

    def note_step(optimizer, *_):
        rates = [group["lr"] for group in optimizer.param_groups]
        steps.append(f"loss {' '.join(map(repr, since))}, rates {' '.join(map(repr, rates))}")
        since.clear()

    torch.Tensor.backward, hook = note_loss, register_optimizer_step_post_hook(note_step)
    try:
        yield steps
    finally:
        torch.Tensor.backward = backward
        hook.remove()


def readings(name: str) -> Section:
    """What a shipped model reads, numbers to six digits."""
    torch.set_num_threads(1)
    results = ok.load_model(name, device="cpu").read(SAMPLES[name]())
    found = {}
    for i, row in enumerate(results.to_dict("records")):
        image = "/".join(Path(row["image"]).parts[-2:]) if isinstance(row["image"], str) else "rendered"
        found[f"{name} {i:03d} {image}"] = _text({column: row[column] for column in COLUMNS if column in row})
    return found


def tests(junit: str | Path | None = None) -> Section:
    """The outcome of each test, from a file that `pytest --junitxml` wrote; None runs all tests for it first."""
    if junit is None:
        with tempfile.TemporaryDirectory() as place:
            junit = Path(place, "junit.xml")
            command = [sys.executable, "-m", "pytest", "tests", "-q", f"--junitxml={junit}"]
            if (status := subprocess.call(command)) not in (0, 1):
                raise RuntimeError(f"pytest ended with status {status}, so the tests were not run to their end")
            return tests(junit)
    found: dict[str, list[str]] = {}
    for case in xml.parse(junit).iter("testcase"):
        parts = case.get("classname", "").split(".")
        first = next((k for k, part in enumerate(parts) if part.startswith("test_")), 0)
        outcome = next((part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed")
        found.setdefault(f"{'.'.join(parts[first:])}::{case.get('name')}", []).append(outcome)
    return {key: " ".join(sorted(outcomes)) for key, outcomes in found.items()}  # files of one name may share a key


#: section -> the jobs that make it, which need nothing of each other
JOBS: dict[str, list[Callable[[], Section]]] = {
    "machine": [machine],
    "losses": [partial(losses, training) for training in TRAININGS],
    "readings": [partial(readings, name) for name in SAMPLES],
    "pixels": [pixels],
}


def record(sections: Iterable[str] = tuple(JOBS)) -> dict[str, Section]:
    """Make those sections anew, in processes that see no graphics card."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}
    with ProcessPoolExecutor(PROCESSES) as pool:
        running = {section: [pool.submit(job) for job in JOBS[section]] for section in sections}
        return {section: dict(chain(*(job.result().items() for job in jobs))) for section, jobs in running.items()}


def compare(before: dict[str, Section], after: dict[str, Section], allowed: Sequence[str] = ()) -> tuple[str, int]:
    """A text for people, a line a section and one a difference, and how many differences are not `allowed`.

    `allowed` are patterns for `SECTION/KEY` as in a shell, for instance `pixels/render_names *`.
    """
    lines, total = [], 0
    for section in dict.fromkeys([*before, *after]):
        if section not in before or section not in after:
            lines.append(f"{section}: not compared, recorded only {'before' if section in before else 'after'}")
            continue
        old, new = before[section], after[section]
        keys = [*dict.fromkeys([*old, *new])]
        differ = [key for key in keys if old.get(key) != new.get(key)]
        bad = [key for key in differ if not any(fnmatchcase(f"{section}/{key}", pattern) for pattern in allowed)]
        total += len(bad)
        lines.append(f"{section}: {len(keys) - len(differ)} the same")
        lines[-1] += f", {len(bad)} DIFFER" if bad else ""
        lines[-1] += f", {len(differ) - len(bad)} differ as allowed" if len(differ) > len(bad) else ""
        lines += [f"  {key}: {_change(old.get(key), new.get(key))}" for key in bad[:SHOWN]]
        lines += [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
    return "\n".join(lines), total


def _change(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"{'appeared' if old is None else 'vanished'}: {(new or old or '')[:WIDTH]}"
    start = max(0, len(os.path.commonprefix([old, new])) - 20)
    return f"{old[start : start + WIDTH]} -> {new[start : start + WIDTH]}"


def _table(images: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(image=pd.Series(list(images), dtype=object))


def _digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of kind, shape and values."""
    return hashlib.sha256(b"".join(f"{a.dtype} {a.shape}".encode() + a.tobytes() for a in arrays)).hexdigest()


def _text(value: object) -> str:
    """Any row or label as JSON, numbers to six digits."""
    exact = json.dumps(value, default=lambda number: number.item())
    return json.dumps(json.loads(exact, parse_float=lambda digits: round(float(digits), 6)), ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 the same, 1 something differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.same", description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=["record", "compare"])
    parser.add_argument("file", type=Path, metavar="FILE.json", help="the record to write, or the one from before")
    parser.add_argument("other", type=Path, nargs="?", help="compare with this record; without it, one is made now")
    parser.add_argument("--only", action="append", choices=[*JOBS], help="this section alone; may be given again")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tests", action="store_true", help="run all tests, too")
    how.add_argument("--junit", type=Path, help="take the tests from this file of `pytest --junitxml`")
    wanted = "differences that are wanted, as SECTION/KEY with * and ?; may be given again"
    parser.add_argument("--except", action="append", default=[], dest="allowed", metavar="PATTERN", help=wanted)
    options = parser.parse_args(arguments)
    before = json.loads(options.file.read_text(encoding="utf-8")) if options.verb == "compare" else {}
    if options.other:
        now = json.loads(options.other.read_text(encoding="utf-8"))
    else:
        now = record(options.only or JOBS)
        now |= {"tests": tests(options.junit)} if options.tests or options.junit else {}
    if options.verb == "compare":
        text, differences = compare(before, now, options.allowed)
        print(text)
        return min(differences, 1)
    options.file.write_text(json.dumps(now, ensure_ascii=False, indent=0), encoding="utf-8")
    print(f"{options.file}: " + ", ".join(f"{len(part)} {section}" for section, part in now.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
