"""Which platform this is, and what a notebook needs there."""

import importlib.util
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from ocrkit import platforms


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

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(
        platforms.util, "find_spec", lambda name: None if name in state["missing"] else real(name) or True
    )
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
