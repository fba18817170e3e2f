"""The badges of the notebooks: they name the repository of pyproject.toml, and `make badges` changes nothing else."""

import json
import re

import pytest

from tools import badges

ONE = badges.badges("00_start_here.ipynb", "someone/a-fork")


@pytest.mark.parametrize("path", badges.COURSE, ids=lambda p: p.stem)
def test_every_notebook_has_its_badges(path):
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    lines = "".join(first["source"]).splitlines()
    wanted = badges.badges(path.name, badges.repository())
    assert lines[0].startswith("# ") and wanted in lines, f"{path.name}: run make badges"
    assert sum("badge.svg" in line for line in lines) == 1


def test_where_badges_lead():
    found = re.findall(r"\[!\[([^\]]+)\]\((\S+\.svg)\)\]\((\S+)\)", ONE)
    assert [alt for alt, _, _ in found] == ["Open in Colab", "Open in Kaggle"]
    colab, kaggle = (address for _, _, address in found)
    place = "someone/a-fork/blob/main/notebooks/00_start_here.ipynb"
    assert colab == f"https://colab.research.google.com/github/{place}"
    assert kaggle == f"https://kaggle.com/kernels/welcome?src=https://github.com/{place}"


def test_old_badges_are_replaced_and_the_rest_stays():
    text = "# A title\n\nA paragraph.\n\n* a point"
    once = badges.with_badges(text, ONE)
    assert once == f"# A title\n\n{ONE}\n\nA paragraph.\n\n* a point"
    other = badges.badges("00_start_here.ipynb", "another/place")
    assert badges.with_badges(once, other) == once.replace(ONE, other)
    assert badges.with_badges(once, ONE) == once
    assert badges.with_badges("# Alone", ONE) == f"# Alone\n\n{ONE}"


def test_only_the_first_cell_of_the_file_changes(tmp_path):
    copy = tmp_path / "02_tokenizer.ipynb"
    copy.write_bytes((badges.ROOT / "notebooks" / copy.name).read_bytes())
    assert not badges.write(copy, badges.repository())
    before = copy.read_text(encoding="utf-8")
    assert badges.write(copy, "someone/a-fork")
    after = copy.read_text(encoding="utf-8")
    assert after == before.replace(badges.repository(), "someone/a-fork")


def test_a_notebook_without_a_title_is_refused(tmp_path):
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["no title"]}
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(ValueError, match=r"x\.ipynb: the first cell must be Markdown and begin with a title"):
        badges.write(path, "someone/a-fork")


@pytest.mark.parametrize(
    "address", ["https://github.com/me/x.git", "https://github.com/me/x/", "https://example.org/me/x"]
)
def test_the_address_is_one_of_github(tmp_path, monkeypatch, address):
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n', encoding="utf-8")
    monkeypatch.setattr(badges, "ROOT", tmp_path)
    if "github" in address:
        assert badges.repository() == "me/x"
    else:
        with pytest.raises(ValueError, match="badges need https://github.com/OWNER/NAME"):
            badges.repository()
