"""The book (`make site`) and the links of all pages. Where Sphinx is not installed, all but the build is checked."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlparse

import course_map
import pytest

ROOT = Path(__file__).parents[2]
COURSE = course_map.read_course(ROOT / "notebooks")
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("notebooks/solutions/*.ipynb"))
PAGES = sorted(ROOT.glob("site/*.md"))
TEXTS = [ROOT / "README.md", *PAGES, *sorted(ROOT.glob("data/**/*.md")), *NOTEBOOKS]


@cache
def markdown(path: Path) -> str:
    """The Markdown of a page or of a notebook's cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```", "", text))


@cache
def anchors(path: Path) -> set[str]:
    """Anchors of the headings, made as GitHub and MyST make them: small letters, no signs, - for spaces."""
    headings = re.findall(r"(?m)^#{1,6} (.+)$", re.sub(r"(?ms)^```.*?^```", "", markdown(path)))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    text = without_code(markdown(path))
    return re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"(?:href|src)=[\"']([^\"']+)", text)


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for link in links(path):
        if urlparse(link).scheme:
            address = urlparse(link)
            assert address.scheme in ("http", "https"), f"{path.name}: {link} is no address of the web"
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", address.netloc), f"{path.name}: {link} has no host"
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT) and target.exists(), f"{path.name}: {link} leads to no file"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link} leads to no heading of {target.name}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_notebooks_that_are_named_are_there(path):
    for name in re.findall(r"`(?:notebooks/)?((?:solutions/)?\w+\.ipynb)`", markdown(path)):
        assert (ROOT / "notebooks" / name).exists(), f"{path.name} names {name}, which is not there"


def test_every_notebook_is_in_the_readme_and_on_the_teachers_page():
    for page in (ROOT / "README.md", ROOT / "site" / "teaching.md"):
        missing = [n.path.name for n in COURSE if f"notebooks/{n.path.name}" not in markdown(page)]
        assert not missing, f"{page.name} has no link to {', '.join(missing)}"


# --- pages ---


def rows(page: str) -> list[list[str]]:
    """The cells of all tables of a page, without their heads."""
    lines = re.findall(r"(?m)^\| (.+) \|$", markdown(ROOT / "site" / page))
    return [line.split(" | ") for line in lines if not line.startswith(("term |", "message |", "symptom |"))]


def test_each_term_is_used_where_the_glossary_says():
    terms = rows("glossary.md")
    assert len(terms) > 60 and all(len(row) == 3 for row in terms)
    names = [name.strip("*").lower() for name, _, _ in terms]
    assert names == sorted(names), "the glossary must be in order"
    for name, (_, _, taught) in zip(names, terms):
        files = re.findall(r"notebooks/([\w.]+)", taught)
        assert files, f"glossary: {name!r} has no link to a notebook"
        for file in files:
            text = " ".join((ROOT / "notebooks" / file).read_text(encoding="utf-8").lower().split())
            for term in re.sub(r" \(.*?\)", "", name).split(", "):
                assert term in text, f"glossary: {term!r} does not occur in {file}"


def messages() -> list[str]:
    """All texts in the code of ocrkit and in the set-up cell; what is filled in stands as the sign …."""
    setup = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))["cells"][1]["source"]
    trees = [ast.parse("".join(setup))]
    trees += [ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.glob("ocrkit/**/*.py")]
    found = []
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def test_the_messages_of_common_errors_are_real():
    there = messages()
    quoted = [row[0] for row in rows("errors.md")]
    assert len(quoted) > 30 and all(len(row) == 3 for row in rows("errors.md"))
    foreign = ("CUDA out of memory", "ModuleNotFoundError", "NameError", "Read-only file system", "make")
    checked = 0
    for message in (cell[1:-1] for cell in quoted if re.fullmatch("`[^`]+`", cell)):
        if not message.startswith(foreign):
            pieces = [piece.strip() for piece in message.split("…") if piece.strip()]
            pattern = ".*".join(map(re.escape, pieces))
            assert any(re.search(pattern, text, re.S) for text in there), f"ocrkit never says {message!r}"
            checked += 1
    assert checked > 25


# --- the map ---


def test_the_map_reads_what_a_notebook_says(tmp_path):
    path = tmp_path / "12a_more.ipynb"
    needs = "Python 3.10, the loss of notebooks 02 and\n03, or 12."
    opening = f"# 12a · More & more: a test\n\n**What you need**: {needs}\n\n**How long on a 2-core laptop:** an\nhour."
    path.write_text(json.dumps({"cells": [{"source": [opening]}]}), encoding="utf-8")
    found = course_map.read_notebook(path)
    assert found == (path, "12a", "More & more: a test", ("02", "03", "12"), "an hour.")
    path.write_text(json.dumps({"cells": [{"source": ["# 12a · More"]}]}), encoding="utf-8")
    with pytest.raises(ValueError, match="12a_more.ipynb.*What you need.*as the other notebooks do"):
        course_map.read_notebook(path)


def test_an_arrow_that_follows_from_others_is_left_out():
    needs = {"00": (), "01": ("00",), "02": ("00", "01"), "03": ("00",), "04": ("02", "03", "00")}
    course = [course_map.Notebook(Path(f"{n}.ipynb"), n, f"<{n}>: x", needs[n], "") for n in needs]
    assert course_map.arrows(course) == [(0, 1), (1, 2), (0, 3), (2, 4), (3, 4)]
    svg = course_map.drawing(course)
    assert svg.count('class="arrow"') == 5 and "&lt;04&gt;<" in svg and "\n" not in svg


# --- the book ---


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    for package in ("sphinx", "myst_nb", "furo", "latex2mathml"):
        pytest.importorskip(package, reason="the book needs the extra `site`: pip install -e '.[site]'")
    out = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "site", "-d", out / "doctrees"]
    done = subprocess.run([*command, ".", out / "html"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "html"


@pytest.fixture(scope="module")
def html(book):
    return {path: path.read_text(encoding="utf-8") for path in book.rglob("*.html")}


def test_every_notebook_and_page_is_in_the_navigation(book, html):
    sidebar = html[book / "site" / "index.html"].partition("sidebar-tree")[2].partition("</aside>")[0]
    order = re.findall(r'href="\.\./notebooks/(\w+)\.html"', sidebar)
    assert order == [path.stem for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    assert re.findall(r'href="\.\./notebooks/solutions/(\w+)\.html"', sidebar) == order
    for page in PAGES:
        assert page.stem == "index" or f'href="{page.stem}.html"' in sidebar


def test_links_of_the_built_pages_lead_somewhere(book, html):
    ids = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in html.items()}
    for path, text in html.items():
        for link in map(unescape, re.findall(r'<(?:a|img|link|script)\b[^>]*?(?:href|src)="([^"]+)"', text)):
            if urlparse(link).scheme:
                continue
            file, _, anchor = unquote(link.partition("?")[0]).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.relative_to(book)}: {link}"
            assert not anchor or target not in ids or anchor in ids[target], f"{path.relative_to(book)}: {link}"


def test_the_book_needs_no_internet_and_names_no_machine(book, html):
    for path, text in html.items():
        where = path.relative_to(book)
        assert not re.search(r"<(?:script|img|iframe)\b[^>]*src=\"(?:https?:)?//", text), f"{where} loads from the web"
        assert not re.search(r"<link\b[^>]*rel=\"stylesheet\"[^>]*href=\"(?:https?:)?//", text), where
        for sign in ("file://", "/work/", str(ROOT), str(Path.home())):
            assert sign not in text or sign == "/", f"{where} has {sign}"


def test_badges_are_links_without_pictures(book, html):
    for notebook in COURSE:
        text = html[book / "notebooks" / f"{notebook.path.stem}.html"]
        assert ">Open in Colab</a>" in text and ">Open in Kaggle</a>" in text


def test_pictures_formulas_and_galleries_are_there(book, html):
    shown = sum(text.count('src="../_images/') for text in html.values())
    kept = sum(path.read_text(encoding="utf-8").count('"image/png"') for path in ROOT.glob("notebooks/*.ipynb"))
    assert shown >= kept > 50
    formulas = re.findall(r"<math.*?</math>", html[book / "notebooks" / "04_cer_and_accuracy.html"], re.S)
    assert len(formulas) > 4 and not any("\\" in formula for formula in formulas)
    assert "data:image/" in html[book / "notebooks" / "05_error_galleries.html"]
    assert "<svg" in html[book / "site" / "map.html"] and "<!-- table -->" not in html[book / "site" / "map.html"]


def test_the_search_finds_words(book):
    index = (book / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index[index.index("(") + 1 : index.rindex(")")])
    places = [found[kind]["blank"] for kind in ("terms", "titleterms")]  # one number where there is one page
    pages = {found["docnames"][i] for place in places for i in (place if isinstance(place, list) else [place])}
    assert {"notebooks/02_tokenizer", "notebooks/06_heatmaps", "site/glossary"} <= pages
