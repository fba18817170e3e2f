"""The course as a book: settings of Sphinx for `make site`. The notebooks are shown as committed; none is run.

The source is the whole repository, so a relative link means the same here as in the repository.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from docutils.nodes import Element, SkipNode
from latex2mathml.converter import convert
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import course_map  # noqa: E402

project = html_title = "Learn OCR by building it"
author = "the authors of the course"
project_copyright = "the authors of the course. Apache-2.0"
extensions = ["myst_nb"]
root_doc = "site/index"
include_patterns = ["README.md", "site/*.md", "notebooks/**.ipynb", "data/*.md", "data/*/**.md"]
# So that Sphinx does not walk through folders that hold thousands of files and no page.
exclude_patterns = [".*", "**/.*", "runs", "notebooks/runs", "data/full", "data/samples", "site/_build"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "The set-up cell, the same in all notebooks"
nb_code_prompt_hide = "Fold the set-up cell"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

highlight_language = "none"  # commands and printed lines are no Python; cells and fences name their language

html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_extra_path = ["start"]  # index.html, which leads to the root page
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_math_renderer = "mathml"  # the browser draws formulas itself, so no page needs the internet


def fill_in(app: Sphinx, name: str, source: list[str]) -> None:
    """Change a page's source before it is read.

    `site/map.md` gets its drawing; a notebook loses the pictures of its badges, its set-up cell is folded; tables of
    figures get a title where they have none.
    """
    if name == "site/map":
        notebooks = course_map.read_course(HERE.parent / "notebooks")
        source[0] = source[0].replace("<!-- drawing -->", course_map.drawing(notebooks))
        source[0] = source[0].replace("<!-- table -->", course_map.table(notebooks))
    elif name.startswith("notebooks/"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            tags = cell["metadata"].get("tags", [])
            tags += ["hide-input"] if "setup" in tags else []
            # A badge is a picture from the internet; the book has the link alone.
            text = re.sub(r"\[!\[(Open in \w+)\]\(.*?\)\]", r"[\1]", "".join(cell["source"]))
            cell["source"] = text.replace(") [Open in Kaggle]", ") · [Open in Kaggle]")
        source[0] = json.dumps(notebook)
    elif name.startswith("data/records/") and not source[0].startswith("# "):
        source[0] = f"# Figures: {Path(name).name}\n\n{source[0]}"


def formula(translator, node: Element) -> None:
    """Write a formula as MathML."""
    html = convert(node.astext(), display="block" if node.tagname == "math_block" else "inline")
    translator.body.append(f'<div class="math">{html}</div>\n' if node.tagname == "math_block" else html)
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill_in)
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
