"""The map of the course, read from the notebooks' own first cells: what each one needs, and how long it takes."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import NamedTuple

#: Okabe and Ito's colors, which everybody can tell apart; an arrow has the color of the notebook it comes from.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
ROW, LEFT = 38, 120  # pixels: the height of a row, and the room for arrows beside the dots


class Notebook(NamedTuple):
    """What the first cell of a notebook says of it."""

    path: Path
    number: str  # "03", or "12a" for a side road of 12
    title: str
    needs: tuple[str, ...]  # numbers of earlier notebooks
    how_long: str


def read_notebook(path: Path) -> Notebook:
    """Read the first cell of one notebook; raises ValueError where a part of it is missing."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[0]["source"])
    title = re.match(r"# (\d\d[a-z]?) · (.+)", text)
    # The colon may stand inside of the bold letters or after them.
    needs = re.search(r"\*\*What you need(?::\*\*|\*\*:)\s+(.+?)(?:\n\s*\n|\Z)", text, re.S)
    how_long = re.search(r"\*\*How long on a 2-core laptop(?::\*\*|\*\*:)\s+(.+?)(?:\n\s*\n|\Z)", text, re.S)
    for part, found in {"# NN · Title": title, "What you need": needs, "How long on a 2-core laptop": how_long}.items():
        if not found:
            raise ValueError(f"{path.name}: the first cell has no part {part!r}; write it as the other notebooks do")
    # "and 06" counts, the 10 of "Python 3.10" does not.
    numbers = re.findall(r"(?<![\w.])\d\d[a-z]?(?!\w|\.\d)", needs[1])
    return Notebook(path, title[1], title[2], tuple(dict.fromkeys(numbers)), " ".join(how_long[1].split()))


def read_course(folder: Path) -> list[Notebook]:
    """All notebooks of a folder, in the order of the course."""
    return [read_notebook(path) for path in sorted(folder.glob("[0-9]*.ipynb"))]


def arrows(notebooks: list[Notebook]) -> list[tuple[int, int]]:
    """Pairs of places (from, to): what each notebook needs, without what follows from its other needs."""
    place = {notebook.number: i for i, notebook in enumerate(notebooks)}
    needs = [{place[number] for number in notebook.needs} for notebook in notebooks]
    before: list[set[int]] = []  # all that a notebook needs, directly or not
    for direct in needs:
        before.append(direct.union(*(before[i] for i in direct)))
    return [(i, to) for to, direct in enumerate(needs) for i in sorted(direct.difference(*(before[k] for k in direct)))]


def drawing(notebooks: list[Notebook]) -> str:
    """An SVG, as one line of HTML: a row a notebook, and an arrow from each to those that need it."""
    y = [ROW * (i + 0.5) for i in range(len(notebooks))]
    marks = "".join(
        f'<marker id="tip{k}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        for k, color in enumerate(COLORS)
    )
    parts = []
    for i, to in arrows(notebooks):
        bulge = min(LEFT - 20, 30 + 22 * (to - i - 1))
        curve = f"M{LEFT} {y[i] + 8}L{LEFT} {y[to] - 9}"
        if to > i + 1:
            x = LEFT - round(1.3 * bulge)
            curve = f"M{LEFT - 8} {y[i]}C{x} {y[i]} {x} {y[to]} {LEFT - 9} {y[to]}"
        style = f'fill="none" stroke="{COLORS[i % len(COLORS)]}" stroke-width="2"'
        parts.append(f'<path class="arrow" d="{curve}" {style} marker-end="url(#tip{i % len(COLORS)})"/>')
    for i, notebook in enumerate(notebooks):
        parts.append(f'<circle cx="{LEFT}" cy="{y[i]}" r="6" fill="{COLORS[i % len(COLORS)]}"/>')
        name = escape(f"{notebook.number}  {notebook.title.partition(': ')[0]}")
        link = f"../notebooks/{notebook.path.stem}.html"
        parts.append(f'<a href="{link}"><text x="{LEFT + 18}" y="{y[i] + 5}">{name}</text></a>')
    size = f"0 0 {LEFT + 340} {ROW * len(notebooks)}"
    label = "Which notebook needs which; the table below says the same in words"
    opening = f'<svg class="course-map" viewBox="{size}" role="img" aria-label="{label}">'
    return f"{opening}<defs>{marks}</defs>{''.join(parts)}</svg>"


def table(notebooks: list[Notebook]) -> str:
    """A Markdown table: notebook, what it needs, how long it takes."""
    link = {n.number: f"../notebooks/{n.path.name}" for n in notebooks}
    rows = ["| notebook | needs | on a 2-core laptop |", "|---|---|---|"]
    for n in notebooks:
        needs = ", ".join(f"[{number}]({link[number]})" for number in n.needs) or "nothing before it"
        rows.append(f"| [{n.number} {n.title}]({link[n.number]}) | {needs} | {n.how_long} |")
    return "\n".join(rows)
