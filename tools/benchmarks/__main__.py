"""`make bench`: how fast and how right, as ratios measured in one run; the tables in the README are written by it.

    make bench                              # what needs no real plates
    make bench PLATES=../plates/ccpd/dev    # also the races to a CER on real plates, and the exam against RapidOCR
    make bench NAMES=../names               # the names systems also read real names

Each measurement runs in a process of its own, one after the other. Absolute figures depend on the machine; the
ratios are what to compare. Results go to `data/records/bench.json` and `data/pictures/bench.png`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys

import torch

from ocrkit.data.files import write_json
from ocrkit.data.platforms import COURSE
from tools.benchmarks.names import KerasNames
from tools.benchmarks.report import GOALS, draw, seconds_to, write_readme
from tools.benchmarks.systems import PLATE_SYSTEMS

RESULTS = COURSE / "data" / "records" / "bench.json"


def measure(what: str, **settings) -> dict:
    """Run one measurement in a new process and return what it found."""
    words = [f"{k}={v}" for k, v in {"folder": COURSE / "runs" / "bench", **settings}.items()]
    command = [sys.executable, "-m", "tools.benchmarks.measures", what, *words]
    print(" ".join([what, *words[1:]]), flush=True)
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    if settings.get("name") in (*PLATE_SYSTEMS, KerasNames.name):  # they know nothing of what `ocrkit` sets for threads
        for variable in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
            environment.pop(variable, None)
    done = subprocess.run(command, cwd=COURSE, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the measurement {what} failed; run it alone: {' '.join(command[1:])}")
    *progress, last = done.stdout.strip().splitlines()
    print("\n".join(progress + [last[:300]]), flush=True)
    return json.loads(last)


def race(plates: str, most: float) -> dict:
    """Ours first; then each plate system gets a little more than five times what ours took, at most `most` minutes."""
    settings = {"plates": plates, "rendered": 36_000, "repeat": 8}
    runs = {"light": measure("race", name="light", minutes=most, **settings)}
    ours = seconds_to(runs["light"]["curve"], min(GOALS))
    minutes = most if ours is None else min(most, 5.2 * ours / 60)
    return runs | {name: measure("race", name=name, minutes=minutes, **settings) for name in ("vgg", "resnet")}


def processor() -> str:
    """Name of the processor and number of threads."""
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{torch.get_num_threads()} threads of {name}"


def main() -> None:
    """Measure, print, and write the results down."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("plates", nargs="*", help="folders of real plates; the first one is raced on")
    parser.add_argument("--minutes", type=float, default=20, help="the most that a system may train in the race")
    parser.add_argument("--names", help="a folder of real names, whose test split the names systems read too")
    parser.add_argument("--seconds", type=float, default=300, help="how long each names system trains")
    parser.add_argument("--only", help="measure only these again (comma separated), keep the other results")
    options = parser.parse_args()
    real_names = {"real": options.names} if options.names else {}
    jobs = {
        "small_steps": lambda: measure("small_steps"),
        "training": lambda: {
            name: measure("training", name=name, steps=steps)
            for name, steps in {"light": 10, "vgg": 2, "resnet": 1}.items()
        },
        "anatomy": lambda: measure("anatomy"),
        "reading": lambda: {name: measure("reading", name=name) for name in ("light", "lprnet", "rapidocr")},
        "growth": lambda: {str(n): measure("growth", n=n) for n in (1000, 10_000, 100_000)},
        "browser": lambda: measure("browser", n=100_000),
        "names": lambda: {
            name: measure("names", name=name, seconds=options.seconds, rendered=20_000, tested=1000, **real_names)
            for name in ("light", KerasNames.name)
        },
    }
    if options.plates:
        jobs["exam"] = lambda: {
            "/".join(os.path.normpath(place).split(os.sep)[-2:]): {
                name: measure("exam", name=name, plates=place) for name in ("light", "rapidocr")
            }
            for place in options.plates
        }
        jobs["race"] = lambda: race(options.plates[0], options.minutes)
    wanted = options.only.split(",") if options.only else list(jobs)
    if unknown := set(wanted) - set(jobs):
        parser.error(f"nothing is named {', '.join(sorted(unknown))}; there are: {', '.join(jobs)}")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= {"machine": processor(), "torch": torch.__version__}
    for name in wanted:
        results[name] = jobs[name]()
        write_json(RESULTS, results)
    draw(results, COURSE / "data" / "pictures" / "bench.png")
    print(write_readme(results, COURSE / "README.md"))


if __name__ == "__main__":
    main()
