"""The rules of the course that a machine can check, on the notebooks as they are committed; nothing is run."""

from __future__ import annotations

import ast
import json
import re
from importlib import import_module, util
from pathlib import Path

import course_map
import pytest

import ocrkit as ok
from ocrkit.data.sources import SOURCES
from tools.badges import without_badges

ROOT = Path(__file__).parents[2]
COURSE = course_map.read_course(ROOT / "notebooks")
FILES = [path for folder in ("notebooks", "notebooks/solutions") for path in sorted((ROOT / folder).glob("*.ipynb"))]

OPENING = ("What you will be able to do", "What you need", "How long on a 2-core laptop")
CLOSING = ("What was measured", "Questions", "Exercises", "What comes next")
#: Tags of cells, each with its reason; any other is a typing error that nbval or the book would pass over.
TAGS = {
    "setup": "the first code cell, the same everywhere",
    "nbval-check-output": "nbval compares the output, which must never change",
    "nbval-ignore-output": "the output says something of the machine",
    "raises-exception": "the cell shows an error on purpose",
}
LARGEST_OUTPUT = 100_000  # letters of JSON; a notebook may have 400 kB in all

#: Where a notebook breaks a rule on purpose, or not yet keeps it: (rule, notebook, what) -> reason.
EXCEPTIONS = {
    ("drift", "02", "runs"): "runs of equal classes in a path; `projection.runs` finds runs of ink",
    ("drift", "03", "collate"): "compared through `batches.loader`, which deals out the batches of the other",
    ("drift", "09", "ConcatPool"): "compared as a part of the whole network, whose logits must agree",
}


def cells(path: Path, kind: str) -> list[dict]:
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def words(path: Path) -> str:
    return "\n\n".join(source(cell) for cell in cells(path, "markdown"))


def trees(path: Path) -> list[ast.Module]:
    """The code cells as syntax trees, without the lines that only IPython understands."""
    return [ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source(cell))) for cell in cells(path, "code")]


def allowed(rule: str, notebook: str, what: str = "") -> bool:
    return (rule, notebook, what) in EXCEPTIONS


by_file = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
by_notebook = pytest.mark.parametrize("notebook", COURSE, ids=lambda n: n.number)


# --- cells and outputs ---


@by_file
def test_tags_are_known(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        unknown = set(cell["metadata"].get("tags", [])) - set(TAGS)
        assert not unknown, f"{path.name} has the unknown tag {unknown.pop()!r} at: {source(cell)[:60]!r}"
        kept = set(cell["metadata"]) - {"tags"}
        assert not kept, f"{path.name} keeps {kept} of a cell, which is of one run: make notebooks strips it"


@by_file
def test_outputs_are_small_and_pictures_are_only_there(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        size = len(json.dumps(cell.get("outputs", [])))
        assert size <= LARGEST_OUTPUT, f"an output of {path.name} has {size:,} letters: {source(cell)[:60]!r}"
        assert "attachments" not in cell, f"a picture is attached to a cell of {path.name}: draw it in a code cell"
        if cell["cell_type"] == "markdown":
            text = without_badges(source(cell))
            assert not re.search(r"!\[|<img", text), f"{path.name}: a picture in Markdown; draw it in a cell"


@by_file
def test_only_shipped_samples_are_shown(path):
    """Real people's plates, names and letters are in no kept output, as no cell reads any other set."""
    shipped = {name for name, data_set in SOURCES.items() if data_set.shipped}
    assert "OCRKIT_REAL_DATA" not in "".join(map(source, cells(path, "code")))
    for node in (node for tree in trees(path) for node in ast.walk(tree)):
        names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        called = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
        value = node.value if "SAMPLES" in names else node.args[0] if called == "load_samples" and node.args else None
        if isinstance(value, ast.Constant):
            assert value.value in shipped, f"{path.name} loads {value.value!r}, which is not a shipped sample"


# --- opening and closing ---


@by_notebook
def test_it_opens_with_its_three_parts(notebook):
    opening = source(cells(notebook.path, "markdown")[0])
    places = [opening.find(f"**{part}") for part in OPENING]
    assert -1 not in places and places == sorted(places), f"{notebook.path.name} must open with {OPENING}, in order"


@by_notebook
def test_it_needs_only_what_came_before(notebook):
    earlier = [n.number for n in COURSE[: COURSE.index(notebook)]]
    later = set(notebook.needs) - set(earlier)
    assert not later, f"{notebook.path.name} needs {sorted(later)}, which do not come before it"


@by_notebook
def test_it_closes_with_its_four_parts(notebook):
    text = words(notebook.path)
    end = last_part(text)
    places = [*(text.find(f"\n## {part}") for part in CLOSING[:3]), end.start() if end else -1]
    assert -1 not in places and places == sorted(places), f"{notebook.path.name} must end with {CLOSING}, in order"


def last_part(text: str) -> re.Match | None:
    """The part "What comes next", under a heading or after bold letters; group 1 is the rest of the text."""
    return re.search(r"\n(?:## |\*\*)(?:What comes next|Next)\b(.*)\Z", text, re.S)


@by_notebook
def test_it_names_what_comes_next(notebook):
    last = notebook == COURSE[-1]
    assert last or allowed("next", notebook.number) or names_the_next(notebook), (
        f"{notebook.path.name} must name the notebook that comes next"
    )


def names_the_next(notebook: course_map.Notebook) -> bool:
    following = [n.number for n in COURSE[COURSE.index(notebook) + 1 :]]
    main_road = [number for number in following if number.isdigit()]  # 12a is a side road
    said = re.findall(r"\d\d[a-z]?", last_part(words(notebook.path))[1])
    return bool({*following[:1], *main_road[:1]} & set(said))


# --- exercises ---


def exercises(path: Path) -> list[tuple[str, str]]:
    part = re.search(r"\n## Exercises\n(.*?)(?=\n## |\n\*\*(?:What comes next|Next)|\Z)", words(path), re.S)
    return [(number, title.strip(" .?!")) for number, title in re.findall(r"(?m)^(\d)\. \*\*(.+?)\*\*", part[1])]


@by_notebook
def test_each_exercise_has_its_solution(notebook):
    solutions = words(notebook.path.parent / "solutions" / notebook.path.name)
    solved = [(number, title.strip(" .?!")) for number, title in re.findall(r"(?m)^## (\d)\.? (.+)$", solutions)]
    asked = exercises(notebook.path)
    assert len(asked) == 3, f"{notebook.path.name} has {len(asked)} exercises; write each as '1. **Title.** Text'"
    assert asked == solved, f"{notebook.path.name} asks for {asked}, and its solutions have {solved}"


CHECK = re.compile(r'^with ok\.check\("(\d\. .+?)"[,)]', re.M)


def check_cells(path: Path) -> dict[str, dict]:
    """Title of the exercise, "1. Title" -> the cell that checks the answer."""
    return {t.strip(" .?!"): cell for cell in cells(path, "code") for t in CHECK.findall(source(cell))}


def printed(cell: dict) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@by_notebook
def test_each_exercise_has_a_hint_a_place_and_a_check(notebook):
    every = json.loads(notebook.path.read_text(encoding="utf-8"))["cells"]
    checks = check_cells(notebook.path)
    assert list(checks) == [f"{number}. {title}" for number, title in exercises(notebook.path)]
    for title, cell in checks.items():
        asked, answer = every[every.index(cell) - 2 : every.index(cell)]
        where = f"{notebook.path.name}, {title}"
        assert asked["cell_type"] == "markdown" and answer["cell_type"] == "code", f"{where}: text, answer, then check"
        assert f"\n{title[:2]} **{title[3:]}" in "\n" + source(asked), f"{where}: its text must stand just before it"
        assert "<details><summary>Hint</summary>" in source(asked), f"{where} has no hint"
        tests = [node for node in ast.walk(ast.parse(source(cell))) if isinstance(node, ast.Assert)]
        assert tests and all(test.msg for test in tests), f"{where}: each assert of the check must say what is wrong"
        assert printed(cell) == f"○ {printed_title(cell)}: not done yet\n", f"{where} is done already"


@by_notebook
def test_the_solutions_pass_the_same_checks(notebook):
    solutions = notebook.path.parent / "solutions" / notebook.path.name
    solved = check_cells(solutions)
    for title, cell in check_cells(notebook.path).items():
        theirs = solved.get(title)
        assert theirs and source(theirs) == source(cell), f"{solutions.name} must have the same check of {title!r}"
        assert "nbval-check-output" in theirs["metadata"]["tags"], f"{title!r}: let nbval see that it stays right"
        assert printed(theirs) == f"✓ {printed_title(cell)}: right\n"


def printed_title(cell: dict) -> str:
    return CHECK.search(source(cell))[1]


# --- code and ocrkit ---


def defined(module: Path) -> set[str]:
    """Names of the functions and classes of one file of ocrkit."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    return {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")}


MODULES = sorted(ROOT.glob("ocrkit/**/*.py"))
OURS = set().union(*map(defined, MODULES))


def test_the_rules_see_all_of_the_course():
    """A glob that finds nothing would make its rules pass."""
    assert len(FILES) == 2 * len(COURSE) >= 28 and len(MODULES) > 80 and len(OURS) > 300


@by_file
def test_all_that_it_takes_from_ocrkit_is_there(path):
    for node in (node for tree in trees(path) for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ok":
            assert exists(node.attr), f"{path.name} uses ok.{node.attr}, which ocrkit does not have"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ocrkit."):
            module = import_module(node.module)
            for name in node.names:
                there = hasattr(module, name.name) or util.find_spec(f"{node.module}.{name.name}")
                assert there, f"{path.name}: {node.module} has no {name.name}"
    for name in re.findall(r"\bok\.([A-Za-z]\w*)", words(path)):
        assert exists(name), f"{path.name} speaks of ok.{name}, which ocrkit does not have"


def exists(name: str) -> bool:
    return name in ok.__all__ or hasattr(ok, name) or util.find_spec(f"ocrkit.{name}") is not None


def twin(name: str) -> str | None:
    """What a definition of a notebook is called in ocrkit: `SmallCRNN` and `grad_cam_by_hand` have twins there."""
    plain = re.sub(r"_by_hand$|^small_|^Small|^my_|^My", "", name)
    return next((candidate for candidate in (name, plain) if candidate in OURS), None)


def compared(notebook: list[ast.Module], mine: str, theirs: str) -> bool:
    """Whether some `assert` of a notebook depends on both, directly or through variables."""
    nodes = [node for tree in notebook for node in ast.walk(tree)]
    of_mine, of_theirs = traces(nodes, {mine}, set()), traces(nodes, set(), {theirs})
    asserts = [node.test for node in nodes if isinstance(node, ast.Assert)]
    return any(mentions(test, *of_mine) and mentions(test, *of_theirs) for test in asserts)


def mentions(node: ast.AST, names: set[str], attributes: set[str]) -> bool:
    parts = list(ast.walk(node))
    return any(isinstance(n, ast.Name) and n.id in names for n in parts) or any(
        isinstance(n, ast.Attribute) and n.attr in attributes for n in parts
    )


def traces(nodes: list[ast.AST], names: set[str], attributes: set[str]) -> tuple[set[str], set[str]]:
    """`names` and `attributes`, and the variables that get their value from them."""
    flows = []  # (where a value comes from, the names it goes to)
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            goes_to = node.targets if isinstance(node, ast.Assign) else [node.target]
            flows.append((node.value, goes_to))
        elif isinstance(node, (ast.For, ast.comprehension)):
            flows.append((node.iter, [node.target]))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):  # as in found.append(value)
            flows += [(argument, [node.func.value]) for argument in node.args if isinstance(node.func.value, ast.Name)]
    flows = [(start, {n.id for to in ends for n in ast.walk(to) if isinstance(n, ast.Name)}) for start, ends in flows]
    names, before = set(names), -1
    while len(names) > before:
        before = len(names)
        for start, ends in flows:
            if not ends <= names and mentions(start, names, attributes):
                names |= ends
    return names, attributes


def twins(path: Path) -> list[tuple[str, str]]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [n.name for tree in trees(path) for n in ast.walk(tree) if isinstance(n, kinds)]
    return [(name, twin(name)) for name in dict.fromkeys(names) if twin(name)]


@by_notebook
def test_no_copy_drifts_away_from_ocrkit(notebook):
    for mine, theirs in twins(notebook.path):
        if not allowed("drift", notebook.number, mine):
            assert compared(trees(notebook.path), mine, theirs), (
                f"{notebook.path.name} defines {mine}, ocrkit has {theirs}: let an assert compare the two"
            )


def test_drift_is_seen():
    head = "def edit_distance(a, b):\n    return 0\nmine = [edit_distance(r, p) for r, p in pairs]\n"
    both = "theirs = []\ntheirs.append(ok.edit_distance('a', 'b'))\nassert mine == theirs"
    assert compared([ast.parse(head), ast.parse(both)], "edit_distance", "edit_distance")
    alone = "assert mine == [0]\nok.edit_distance('a', 'b')"
    assert not compared([ast.parse(head), ast.parse(alone)], "edit_distance", "edit_distance")
    assert [twin(n) for n in ("SmallCRNN", "grad_cam_by_hand", "draw_plot")] == ["CRNN", "grad_cam", None]


def test_exceptions_are_still_needed():
    numbers = {n.number: n for n in COURSE}
    for rule, number, what in EXCEPTIONS:
        assert number in numbers, f"there is no notebook {number}: take it out of EXCEPTIONS"
        path, fine = numbers[number].path, f"EXCEPTIONS: notebook {number} keeps the rule now ({rule}, {what})"
        if rule == "drift":
            theirs = dict(twins(path)).get(what)
            assert theirs and not compared(trees(path), what, theirs), fine
        else:
            assert not names_the_next(numbers[number]), fine
