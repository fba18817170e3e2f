"""The set-up cell of the notebooks, run as it stands on faked platforms."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COURSE = Path(__file__).parents[2]
SETUP_CELL = r"""
# Set-up: finds the course folder (here, on Colab or on Kaggle) and installs only what is missing.
import glob, os, subprocess, sys
from pathlib import Path

def find_course():
    places = [os.environ.get("OCRKIT_HOME", "."), Path.cwd(), *Path.cwd().parents, *glob.glob("*")]
    for folder in ("/content", "/kaggle/working", *("/kaggle/input" + "/*" * depth for depth in range(4))):
        places += sorted(glob.glob(folder + "/*"))
    return next((str(Path(p).resolve()) for p in places if Path(p, "ocrkit", "__init__.py").is_file()), None)

course, repository = find_course(), os.environ.get("OCRKIT_REPOSITORY")
if course is None and repository:
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", repository, "ocr-course"], check=False)
    course = find_course()
if course is None:
    raise RuntimeError(
        "The course folder was not found. Two ways out: put `%env OCRKIT_REPOSITORY=https://...` (the address "
        "of the course's git repository) into a cell above this one and run both; or upload the course folder "
        "as a zip and unpack it here (`!unzip -q course.zip`), on Kaggle: attach it as a data set (Add Input)."
    )
sys.path.insert(0, course)
from ocrkit.data.platforms import prepare_notebook

prepare_notebook()
""".strip()

# Stands before the cell: /content and /kaggle lie in a temporary folder, some packages are missing, git and pip are
# written down and not run, and torch is a stub, since importing it takes seconds.
FAKES = r"""
import glob, importlib.util, json, os, shutil, subprocess, sys, types
from pathlib import Path

plan = json.loads(os.environ["PLAN"])
missing, real_glob, real_find_spec = set(plan["missing"]), glob.glob, importlib.util.find_spec

def fake_glob(pattern, **options):
    return real_glob(plan["root"] + pattern if pattern.startswith(("/content", "/kaggle")) else pattern, **options)

def fake_find_spec(name, package=None):
    return None if name in missing else real_find_spec(name, package) or True

def fake_run(command, **options):
    kept = ""
    if "--constraint" in command:
        kept = Path(command[command.index("--constraint") + 1]).read_text(encoding="utf-8")
    with open(plan["log"], "a", encoding="utf-8") as log:
        print(json.dumps({"command": [str(c) for c in command], "kept": kept}), file=log)
    if command[0] == "git" and plan["git_works"]:
        shutil.copytree(plan["course"], command[-1])
    if "pip" in command and plan["online"]:
        missing.clear()
    works = plan["git_works"] if command[0] == "git" else plan["online"]
    return subprocess.CompletedProcess(command, 0 if works else 1, "", "NewConnectionError")

glob.glob, importlib.util.find_spec, subprocess.run = fake_glob, fake_find_spec, fake_run
torch = sys.modules["torch"] = types.ModuleType("torch")
torch.__version__, torch.get_num_threads = plan["torch"], lambda: 2
torch.cuda = types.SimpleNamespace(is_available=lambda: bool(plan["card"]), get_device_name=lambda: plan["card"])
"""


@pytest.fixture
def course(tmp_path):
    """A course folder that holds only the package, and the list of what it needs."""
    skip = shutil.ignore_patterns("__pycache__", "*.png")
    course = Path(shutil.copytree(COURSE / "ocrkit", tmp_path / "a course" / "ocrkit", ignore=skip)).parent
    shutil.copy(COURSE / "pyproject.toml", course)
    return course


@pytest.fixture
def run_cell(tmp_path, course):
    """Run the cell in `folder`; returns (finished process, commands that were issued)."""

    def run(folder, missing=(), online=True, git_works=True, torch="2.8.0+cpu", card="", **environment):
        log = tmp_path / "commands.jsonl"
        plan = {
            "root": str(tmp_path),
            "log": str(log),
            "course": str(course),
            "missing": missing,
            "online": online,
            "git_works": git_works,
            "torch": torch,
            "card": card,
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OCRKIT", "KAGGLE", "COLAB", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, "-c", f"{FAKES}\n{SETUP_CELL}\nprint('course:', course)"],
            cwd=folder,
            env={**clean, "PYTHONIOENCODING": "utf-8", "PLAN": json.dumps(plan), **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return done, [json.loads(line) for line in lines]

    return run


def folder(path):
    path.mkdir(parents=True)
    return path


def packages(command):
    """What a pip command installs: all after the last option and its value."""
    words = command["command"]
    assert words[1:4] == ["-m", "pip", "install"]
    return words[words.index("--constraint") + 2 :]


def test_cell_is_short():
    assert len(SETUP_CELL.splitlines()) <= 25


def test_every_notebook_has_this_cell():
    notebooks = sorted((COURSE / "notebooks").glob("*.ipynb"))
    if not notebooks:
        pytest.skip("there are no notebooks yet")
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        setup = [c for c in cells if "setup" in c["metadata"].get("tags", [])]
        assert len(setup) == 1, f"{path.name} has {len(setup)} cells with the tag setup"
        assert "".join(setup[0]["source"]).strip() == SETUP_CELL, f"the set-up cell of {path.name} differs"


def test_local_checkout_from_the_notebooks_folder(run_cell, course):
    done, commands = run_cell(folder(course / "notebooks"))
    assert done.returncode == 0, done.stderr
    assert f"course: {course.resolve()}" in done.stdout
    assert "ocrkit 0.1.0 · local · Python 3." in done.stdout
    assert "torch 2.8 · cpu (2 threads) · profile laptop" in done.stdout
    assert commands == []


@pytest.mark.parametrize(
    ("version", "card", "words"),
    [
        ("2.4.0", "", "torch 2.4 · cpu (2 threads)"),
        ("2.4.1+cu121", "Tesla T4", "torch 2.4 · Tesla T4"),
        ("2.15.0+cu132", "", "torch 2.15 · cpu (2 threads)"),
        ("2.16.0.dev20270101+cu132", "NVIDIA H200", "torch 2.16 · NVIDIA H200"),
    ],
)
def test_the_line_names_the_oldest_and_the_newest_torch(run_cell, course, version, card, words):
    done, commands = run_cell(folder(course / "notebooks"), torch=version, card=card)
    assert done.returncode == 0, done.stderr
    assert f" · {words} · profile laptop" in done.stdout
    assert commands == [], "whatever the version, nothing is installed"


def test_ocrkit_home_comes_first(run_cell, course, tmp_path):
    done, _ = run_cell(folder(tmp_path / "elsewhere"), OCRKIT_HOME=str(course), OCRKIT_PROFILE="tiny")
    assert done.returncode == 0, done.stderr
    assert f"course: {course.resolve()}" in done.stdout
    assert "profile tiny" in done.stdout


def test_colab_clones_the_repository_and_installs_what_is_missing(run_cell, tmp_path):
    content = folder(tmp_path / "content")
    done, (clone, pip) = run_cell(
        content,
        missing=["jiwer", "evaluate"],
        COLAB_RELEASE_TAG="release",
        OCRKIT_REPOSITORY="https://example.org/course.git",
    )
    assert done.returncode == 0, done.stderr
    assert clone["command"][:2] == ["git", "clone"]
    assert clone["command"][-4:] == ["--depth", "1", "https://example.org/course.git", "ocr-course"]
    assert f"course: {(content / 'ocr-course').resolve()}" in done.stdout
    assert packages(pip) == ["jiwer", "evaluate"]
    assert "· colab ·" in done.stdout
    assert "missing" not in done.stdout


def test_colab_finds_an_unpacked_upload(run_cell, course, tmp_path):
    shutil.copytree(course, tmp_path / "content" / "my-upload")
    done, commands = run_cell(folder(tmp_path / "elsewhere"), COLAB_RELEASE_TAG="release")
    assert done.returncode == 0, done.stderr
    assert f"course: {(tmp_path / 'content' / 'my-upload').resolve()}" in done.stdout
    assert commands == []


def test_kaggle_online_never_touches_torch_or_numpy(run_cell, course, tmp_path):
    shutil.copytree(course, tmp_path / "kaggle" / "input" / "ocr-course" / "course")
    done, (pip,) = run_cell(
        folder(tmp_path / "kaggle" / "working"),
        missing=["jiwer", "nltk", "torch", "torchvision", "numpy"],
        KAGGLE_KERNEL_RUN_TYPE="Interactive",
    )
    assert done.returncode == 0, done.stderr
    assert "· kaggle ·" in done.stdout
    assert sorted(packages(pip)) == ["jiwer", "nltk"]
    kept = {line.partition("==")[0] for line in pip["kept"].splitlines()}
    assert {"torch", "torchvision", "numpy", "pandas", "pillow"} <= kept


@pytest.mark.parametrize("place", ["slug", "slug/course", "datasets/owner/slug", "datasets/owner/slug/course"])
def test_kaggle_finds_an_attached_data_set(run_cell, course, tmp_path, place):
    there = Path(shutil.copytree(course, tmp_path / "kaggle" / "input" / place))
    done, _ = run_cell(folder(tmp_path / "kaggle" / "working"), KAGGLE_KERNEL_RUN_TYPE="Batch")
    assert done.returncode == 0, done.stderr
    assert f"course: {there.resolve()}" in done.stdout


def test_kaggle_without_internet_says_what_will_not_work_and_goes_on(run_cell, course, tmp_path):
    shutil.copytree(course, tmp_path / "kaggle" / "input" / "course")
    done, commands = run_cell(
        folder(tmp_path / "kaggle" / "working"),
        missing=["jiwer", "ipywidgets"],
        online=False,
        KAGGLE_KERNEL_RUN_TYPE="Interactive",
    )
    assert done.returncode == 0, done.stderr
    assert len(commands) == 1, "without a connection there is no second try"
    lines = done.stdout.splitlines()
    assert sum("could not be installed" in line for line in lines) == 2
    assert any("jiwer" in line and "notebook 04" in line for line in lines)
    assert any("ipywidgets" in line and "progress bars" in line for line in lines)
    assert "· kaggle ·" in done.stdout


@pytest.mark.parametrize("environment", [{}, {"OCRKIT_REPOSITORY": "https://example.org/course.git"}])
def test_without_a_course_it_names_the_two_ways_out(run_cell, tmp_path, environment):
    done, _ = run_cell(folder(tmp_path / "content"), git_works=False, **environment)
    assert done.returncode != 0
    for words in ("course folder was not found", "%env OCRKIT_REPOSITORY=", "zip", "Add Input"):
        assert words in done.stderr
