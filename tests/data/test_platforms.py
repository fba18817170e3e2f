"""Which platform this is, and what a notebook needs there."""

import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ocrkit.__main__ import main
from ocrkit.data import platforms

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither variables nor folders of a platform."""
    for name in ("KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG", "OCRKIT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platforms, "ROOT", tmp_path)


@pytest.mark.parametrize(
    ("variables", "folder", "expected"),
    [
        ([], None, "local"),
        (["KAGGLE_KERNEL_RUN_TYPE"], None, "kaggle"),
        (["COLAB_RELEASE_TAG"], None, "colab"),
        (["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"], None, "kaggle"),
        ([], "kaggle/working", "kaggle"),
        ([], "content/sample_data", "colab"),
    ],
)
def test_platform(tmp_path, monkeypatch, variables, folder, expected):
    for name in variables:
        monkeypatch.setenv(name, "x")
    if folder:
        (tmp_path / folder).mkdir(parents=True)
    assert platforms.platform() == expected


@pytest.fixture
def pip(monkeypatch):
    """Record pip commands instead of running them; `cannot` holds packages that pip cannot get."""
    state = {"commands": [], "kept": [], "missing": set(), "cannot": set(), "stderr": "No matching distribution"}
    real = importlib.util.find_spec

    def run(command, **options):
        at = command.index("--constraint")
        wanted = command[at + 2 :]
        state["commands"].append(wanted)
        state["kept"] = Path(command[at + 1]).read_text(encoding="utf-8").splitlines()
        if state["cannot"] & set(wanted):
            return subprocess.CompletedProcess(command, 1, "", state["stderr"])
        state["missing"] -= {name for name, (package, _) in platforms.PACKAGES.items() if package in wanted}
        return subprocess.CompletedProcess(command, 0, "", "")

    def find_spec(name, package=None):
        if name in platforms.PACKAGES:
            return None if name in state["missing"] else real(name) or True
        return real(name, package)  # whoever else asks, as torch does when it is imported late

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(platforms.util, "find_spec", find_spec)
    return state


def test_nothing_is_installed_where_nothing_is_missing(pip, capsys, monkeypatch):
    monkeypatch.delenv("OCRKIT_PROFILE", raising=False)
    platforms.prepare_notebook()
    assert pip["commands"] == []
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(
        r"ocrkit \S+ · local · Python 3\.\d+ · torch \d+\.\d+ · (cpu \(\d+ threads\)|.+) · profile laptop", lines[0]
    )


def test_a_misspelled_profile_is_named(pip, monkeypatch):
    monkeypatch.setenv("OCRKIT_PROFILE", "labtop")
    with pytest.raises(ValueError, match="'labtop'; it must be one of tiny, laptop, gpu"):
        platforms.prepare_notebook()


def test_only_the_missing_are_installed_and_the_rest_is_kept(pip):
    pip["missing"] = {"jiwer", "PIL"}
    assert platforms.install(platforms.missing_packages()) == []
    assert pip["commands"] == [["pillow", "jiwer"]]
    assert pip["kept"] == [f"{p}=={metadata.version(p)}" for p in ("torch", "torchvision", "numpy", "pandas", "pillow")]


def test_one_package_that_cannot_be_had_does_not_keep_out_the_others(pip, capsys):
    pip["missing"], pip["cannot"] = {"jiwer", "evaluate"}, {"jiwer"}
    platforms.prepare_notebook()
    assert sorted(map(len, pip["commands"])) == [1, 1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("jiwer is missing and could not be installed") and "notebook 04" in lines[0]
    assert len(lines) == 2 and lines[1].startswith("ocrkit ")


def test_torch_is_named_and_never_installed(pip, capsys, monkeypatch):
    monkeypatch.setattr(platforms, "UNTOUCHED", ("torch", "a-package-that-is-not-there"))
    platforms.prepare_notebook()
    assert pip["commands"] == []
    assert "a-package-that-is-not-there is missing: install it as README.md says" in capsys.readouterr().out
    assert not {"torch", "torchvision", "numpy"} & set(platforms.PACKAGES)


def listed(extra=""):
    project = tomllib.loads((platforms.COURSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"][extra] if extra else project["dependencies"]


@pytest.mark.parametrize("extra", ["", "notebooks", "scale", "tensorboard"])
def test_requirements_are_those_of_pyproject(extra):
    wanted = [Requirement(line) for line in listed(extra)]
    assert platforms.requirements(extra) == [r.name for r in wanted if r.marker is None or r.marker.evaluate()]


def test_each_dependency_is_set_up_or_named_and_has_its_words():
    names = {Requirement(line).name for line in (*listed(), *listed("notebooks"))}
    assert names == {*platforms.LOSSES, *platforms.UNTOUCHED, "jupyterlab"}
    assert {package for package, _ in platforms.PACKAGES.values()} >= names & {"persiantools", "pillow", "jiwer"}
    assert all(words == platforms.LOSSES[package] for package, words in platforms.PACKAGES.values())
    assert platforms.PACKAGES["PIL"][0] == "pillow"


def test_a_marker_of_another_python_leaves_a_package_out(tmp_path, monkeypatch):
    monkeypatch.setattr(platforms, "COURSE", tmp_path)
    text = """[project]\nname = "ocrkit"\ndependencies = [\n    "new>=1; python_version < '3.99'",
    "old; python_version < '3.9'",\n    "a-b>=2",\n]\n\n[project.optional-dependencies]\nscale = [\n    "big",\n]\n"""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert platforms.requirements() == ["new", "a-b"] and platforms.requirements("scale") == ["big"]
    assert platforms.requirements("none") == []


def test_without_pyproject_pip_knows_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(platforms, "COURSE", tmp_path)
    kept = ["torch>=2.4", 'old>=2.0; python_version < "3.9"', "jiwer>=4.0; extra == 'notebooks'"]
    monkeypatch.setattr(platforms.metadata, "requires", lambda name: kept)
    assert platforms.requirements() == ["torch"] and platforms.requirements("notebooks") == ["jiwer"]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n', encoding="utf-8")  # of who copied ocrkit
    assert platforms.requirements() == ["torch"]


def test_without_any_list_it_says_so_and_goes_on(pip, tmp_path, monkeypatch, capsys):
    def nothing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(platforms, "COURSE", tmp_path)
    monkeypatch.setattr(platforms.metadata, "requires", nothing)
    assert platforms.requirements() == []
    monkeypatch.setattr(platforms, "PACKAGES", {})
    platforms.prepare_notebook()
    first, last = capsys.readouterr().out.splitlines()
    assert "pyproject.toml is missing" in first and last.startswith("ocrkit ") and pip["commands"] == []
    assert main(["doctor"]) == 1
    assert "[FAIL]" in (said := capsys.readouterr().out) and "which says what is needed" in said


def test_a_package_that_cannot_be_looked_for_is_missing(monkeypatch):
    def broken(name):
        raise ImportError(name)

    monkeypatch.setattr(platforms.util, "find_spec", broken)
    assert platforms.missing_packages() == list(platforms.PACKAGES)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModuleNotFoundError("No module", name="PIL.Image"), "the package pillow is missing: pip install pillow"),
        (ModuleNotFoundError("No module", name="datasets"), "the package datasets is missing: pip install datasets"),
        (ImportError("this needs x: pip install x"), "this needs x: pip install x"),
        (ModuleNotFoundError("No module", name="ocrkit.none"), ""),
        (ImportError("cannot import name"), ""),
    ],
)
def test_the_way_out_of_a_missing_package(error, line):
    assert platforms.way_out(error) == line
