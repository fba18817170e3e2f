"""What a fresh clone relies on: one list of dependencies, a light import, and no path of one machine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
HEAVY = ["torch", "torchvision", "numpy", "pandas", "PIL", "matplotlib", "evaluate", "IPython"]


@pytest.fixture(scope="module")
def conda():
    yaml = pytest.importorskip("yaml", reason="pyyaml comes with jupyterlab, from the extra `notebooks`")
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_conda_installs_this_package_with_all_that_learners_and_tests_need(conda):
    (from_pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    (line,) = from_pip
    editable, folder, extras = re.fullmatch(r"(-e) (\.)\[([\w,]+)\]", line).groups()
    assert (editable, folder) == ("-e", ".")
    assert sorted(extras.split(",")) == sorted(set(EXTRAS) - {"bench", "tensorboard", "site"})  # site is in dev
    assert conda["name"] == PROJECT["name"]


def test_conda_has_the_same_python_and_nothing_else(conda):
    packages = [entry for entry in conda["dependencies"] if isinstance(entry, str)]
    assert packages == [f"python{PROJECT['requires-python']}", "pip"]


def test_nothing_is_pinned_exactly(conda):
    requirements = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    requirements += PYPROJECT["build-system"]["requires"]
    requirements += [entry for entry in conda["dependencies"] if isinstance(entry, str)]
    assert len(requirements) > 10
    for requirement in requirements:
        name_and_range = requirement.split(";")[0]
        pinned = re.search(r"==|(?<![<>!~])=(?!=)|@", name_and_range)
        assert not pinned, f"{requirement} is pinned; give a range"


def test_what_has_no_wheel_for_windows_or_a_mac_is_for_linux_alone():
    (line,) = (requirement for requirement in EXTRAS["dev"] if requirement.startswith("fast-ctc-decode"))
    marker = Requirement(line).marker
    for system, python, wanted in (
        ("linux", "3.10", True), ("linux", "3.13", True), ("linux", "3.14", False),
        ("win32", "3.12", False), ("darwin", "3.13", False),
    ):  # fmt: skip
        assert marker.evaluate({"sys_platform": system, "python_version": python}) == wanted


def test_import_is_light():
    script = "import sys, ocrkit; print(*[m for m in sys.argv[1:] if m in sys.modules])"
    command = [sys.executable, "-c", script, *HEAVY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# Folders of one machine, a Windows drive, a file address. The fixed folders of Kaggle and Colab are allowed.
ABSOLUTE = re.compile(
    r"(?<![\w.:/~-])/(?:home|Users|root|work|tmp|mnt|media|opt|var|srv|usr|data)/"
    r"|(?<![A-Za-z])[A-Za-z]:(?:\\|/(?!/))\w|file:///"
)


def pages():
    patterns = ("README.md", "data/**/*.md", "site/*.md", "notebooks/**/*.ipynb")
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return sorted(p for p in found if p.exists() and ".ipynb_checkpoints" not in p.parts)


def readable(path: Path) -> str:
    """The text a reader sees: of a notebook the cells and their text outputs, not the pictures."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    parts = []
    for cell in json.loads(text)["cells"]:
        parts.append(cell["source"])
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            parts += [output.get("text", ""), output.get("evalue", ""), output.get("traceback", "")]
            parts += [value for kind, value in shown.items() if kind.startswith("text/")]
    return "\n".join(part if isinstance(part, str) else "".join(part) for part in parts)


@pytest.mark.parametrize("path", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_absolute_paths(path):
    for number, line in enumerate(readable(path).splitlines(), start=1):
        found = ABSOLUTE.search(line)
        assert not found, f"{path.name}, line {number}: {found.group()!r} is of one machine: {line[:100]}"


@pytest.mark.parametrize(
    ("line", "absolute"),
    [
        ("plates = '/home/me/plates'", True),
        ("open(r'C:\\plates\\a.jpg')", True),
        ("D:/plates", True),
        ("<img src='file:///a.png'>", True),
        ("/usr/lib/python3/site-packages/x.py:3: UserWarning", True),
        ("PLATES=path/to/plates", False),
        ("https://example.org/home/plates", False),
        ("../data/samples and ./data/models", False),
        ("data/models/plates and/or data/", False),
        ("on Kaggle it is /kaggle/input/plates, on Colab /content/plates", False),
        ("a loss of 0.1/0.2, ratio a:b, see: http://example.org", False),
    ],
)
def test_what_counts_as_absolute(line, absolute):
    assert bool(ABSOLUTE.search(line)) == absolute
