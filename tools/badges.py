"""`make badges`: "open in Colab / Kaggle" at the end of the first cell of every notebook of the course.

The address of the repository stands in one place, `[project.urls] Repository` in pyproject.toml. Whoever forks the
course changes it there and runs `make badges` again. Nothing else in a notebook is touched.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Both sites open a notebook from GitHub, on the branch that is published.
BRANCH = "main"
#: Site -> (its picture, the address at which it opens a notebook on GitHub).
SITES = {
    "Colab": (
        "https://colab.research.google.com/assets/colab-badge.svg",
        "https://colab.research.google.com/github/{}",
    ),
    "Kaggle": (
        "https://kaggle.com/static/images/open-in-kaggle.svg",
        "https://kaggle.com/kernels/welcome?src=https://github.com/{}",
    ),
}
#: A line of badges, whatever repository it names.
LINE = re.compile(r"\n*^\[!\[Open in Colab\].*$", re.MULTILINE)


def repository() -> str:
    """`owner/name` on GitHub, from pyproject.toml.

    Raises:
        ValueError: the address is not one of GitHub.
    """
    address = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", address)
    if not found:
        raise ValueError(
            f"pyproject.toml: Repository is {address!r}; badges need https://github.com/OWNER/NAME, as Colab and "
            "Kaggle open notebooks from there"
        )
    return found[1]


def badges(name: str, owner_and_name: str) -> str:
    """The line of Markdown for the notebook of that file name."""
    place = f"{owner_and_name}/blob/{BRANCH}/notebooks/{name}"
    return " ".join(f"[![Open in {site}]({picture})]({to.format(place)})" for site, (picture, to) in SITES.items())


def without_badges(source: str) -> str:
    """The text of a cell without its line of badges."""
    return LINE.sub("", source)


def with_badges(source: str, line: str) -> str:
    """The first cell's text with this line of badges under its title, instead of any that is there."""
    title, rest = (without_badges(source) + "\n").split("\n", 1)
    return f"{title}\n\n{line}\n{rest}".rstrip("\n")


def write(path: Path, owner_and_name: str) -> bool:
    """Put the badges into a notebook file; returns whether it has changed.

    Raises:
        ValueError: its first cell is no Markdown with a title.
    """
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        raise ValueError(f"{path.name}: the first cell must be Markdown and begin with a title, '# ...'")
    source = with_badges(first.source, badges(path.name, owner_and_name))
    if source == first.source:
        return False
    first.source = source
    nbformat.write(notebook, path)
    return True


if __name__ == "__main__":
    for notebook_path in COURSE:
        print(f"{notebook_path.name}: {'written' if write(notebook_path, repository()) else 'as it should be'}")
