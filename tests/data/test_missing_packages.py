"""What still works where a package is missing: each in turn, in a Python that cannot find it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ocrkit as ok
from ocrkit.data import platforms

ROOT = Path(__file__).parents[2]
#: Reading, measuring and notebook 00 need none of these.
OPTIONAL = (
    "persiantools", "regex", "ipywidgets", "jiwer", "nltk", "evaluate", "accelerate", "datasets",
    "webdataset", "tensorboard"
)  # fmt: skip
#: What has to be there for a command, and for which: package -> the arguments.
NEEDED = {
    "safetensors": ["read", "plates", "PLATE"],
    "tqdm": ["lint", "plates"],
    "persiantools": ["read", "letters", "LETTER"],
}
#: Packages without which reading and measuring texts goes on.
NOT_FOR_READING = ("matplotlib", "tqdm")

# Stands before what is run: the packages are not found, pip gets nothing, and figures are not shown.
WITHOUT = r"""
import importlib.machinery, os, subprocess, sys

hidden = set(sys.argv.pop(1).split(","))

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
run = subprocess.run

def offline(command, **options):
    pip = "pip" in command
    return subprocess.CompletedProcess(command, 1, "", "NewConnectionError") if pip else run(command, **options)

subprocess.run = offline
os.environ["MPLBACKEND"] = "agg"
"""
COMMAND = WITHOUT + "import runpy\nrunpy.run_module('ocrkit', run_name='__main__')\n"


@pytest.fixture(scope="module")
def images():
    return {
        "PLATE": ok.load_samples("plates", split="test")["image"].iloc[0],
        "LETTER": ok.load_pages("letters", split="test")["image"].iloc[0],
    }


def python(script, hidden, *arguments, folder=ROOT):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OCRKIT_HOME", "KAGGLE", "COLAB"))}
    return subprocess.run(
        [sys.executable, "-c", script, ",".join(map(platforms.import_name, hidden)), *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OCRKIT_PROFILE": "tiny"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def test_it_is_decided_for_each_package_what_works_without_it():
    listed = [*platforms.requirements()]
    for extra in ("notebooks", "scale", "tensorboard"):
        listed += platforms.requirements(extra)
    # tomli is there for Python 3.10 alone, where it reads recipes; torch brings jinja2.
    everywhere = {"torch", "torchvision", "numpy", "pandas", "pillow", "jinja2", "jupyterlab", "tomli"}
    assert set(listed) <= everywhere | {*OPTIONAL, *NEEDED, *NOT_FOR_READING}


def test_the_first_notebook_needs_no_optional_package(tmp_path):
    cells = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    script = tmp_path / "cells.py"
    script.write_text("\n\n".join(code), encoding="utf-8")
    run = f"{WITHOUT}exec(compile(open({str(script)!r}, encoding='utf-8').read(), 'cells', 'exec'))"
    done = python(run, OPTIONAL, folder=ROOT / "notebooks")
    assert done.returncode == 0, done.stderr
    lost = re.findall(r"(\S+) is missing and could not be installed; without it this does not work: ", done.stdout)
    assert set(lost) == set(OPTIONAL) & {package for package, _ in platforms.PACKAGES.values()}
    assert "plates are right" in done.stdout and "[FAIL] model" not in done.stdout


def test_reading_and_measuring_go_on(images):
    hidden = {*OPTIONAL, *NOT_FOR_READING}
    done = python(COMMAND, hidden, "read", "plates", images["PLATE"])
    assert done.returncode == 0, done.stderr
    path, text, confidence = done.stdout.strip().split("\t")
    assert path == images["PLATE"] and text and 0 <= float(confidence) <= 1
    done = python(COMMAND, hidden, "evaluate", "plates", "plates", "--split", "test", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 100


@pytest.mark.parametrize("package", NEEDED)
def test_what_needs_a_package_says_so_in_one_line(images, package):
    arguments = [images.get(word, word) for word in NEEDED[package]]
    done = python(COMMAND, [package], *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"python -m ocrkit {arguments[0]}: ") and line.endswith(f"pip install {package}")
