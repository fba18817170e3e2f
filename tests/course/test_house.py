"""The house of `ocrkit`: who may import whom, how large a file is, what the front door shows."""

import ast
from pathlib import Path

import pytest

import ocrkit as ok
from tools.stub import STUB, stub

PACKAGE = Path(ok.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
#: Each room may import the rooms named here, and itself.
MAY_IMPORT = {
    "text": (),
    "data": ("text",),
    "ctc": ("text", "data"),
    "reader": ("text", "data", "ctc"),
    "errors": ("text", "data", "ctc", "reader"),
    "training": ("text", "data", "ctc", "reader", "errors", "synth"),
    "maps": ("text", "data", "ctc", "reader", "errors"),
    "synth": ("text", "data"),
    "tasks": ("text", "data", "ctc", "reader", "errors", "training", "maps", "synth"),
}


def name_of(path):
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def imports(path):
    """The modules of `ocrkit` that a file imports, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ocrkit")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ocrkit":
            whole = node.module == "ocrkit" or (PACKAGE.parent / node.module.replace(".", "/")).is_dir()
            yield from (f"{node.module}.{alias.name}" if whole else node.module for alias in node.names)
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path} imports by dots"


def test_the_rooms_are_those_of_the_design():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(MAY_IMPORT)
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 13 and len(FILES) > 80


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_what_stands_below(path):
    room = path.relative_to(PACKAGE).parts[0]
    if room not in MAY_IMPORT:  # the front door and the command line
        return
    for module in imports(path):
        other = module.split(".")[1] if "." in module else ""
        front = other == "__version__"
        assert front or other == room or other in MAY_IMPORT[room], f"{name_of(path)} imports {module}"


def test_no_module_imports_itself_over_others():
    tops = {}
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # What is imported when a function runs makes no circle.
        tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        module = ".".join(["ocrkit", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        tops[module] = {
            name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ocrkit.")
            for name in [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        }
    done: dict[str, bool] = {}

    def visit(module, way):
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module in done or module not in tops:
            return
        for other in sorted(tops[module]):
            visit(other, [*way, module])
        done[module] = True

    for module in tops:
        visit(module, [])
    assert len(done) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_in_one_go(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 350, f"{name_of(path)} has {lines} lines"


def lines_of(paths):
    return sum(path.read_text(encoding="utf-8").count("\n") for path in paths)


def test_all_of_it_stays_small():
    assert lines_of(FILES) <= 16_000


def test_the_taught_core_can_be_read_in_one_evening():
    rooms = {"text", "data", "ctc", "reader"}
    core = {name_of(path): path for path in FILES if path.parent.parent == PACKAGE and path.parent.name in rooms}
    core |= {name: PACKAGE / f"{name}.py" for name in ("training/loop", "errors/metrics", "errors/confusions")}
    # Beside it: lexicons and patterns, the choice among all decoders, what the set-up cell of a notebook needs.
    for name in ("ctc/lexicon", "ctc/pattern", "ctc/decoding", "data/platforms"):
        del core[name]
    assert len(core) > 30 and lines_of(core.values()) <= 4_000


def test_the_front_door():
    assert dir(ok) == ok.__all__ and len(ok.__all__) <= 70
    for name in ok._HOME:
        assert getattr(ok, name) is not None, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ok.nothing


def test_editors_know_the_same_names():
    assert STUB.read_text(encoding="utf-8") == stub(), "run python -m tools.stub"
    assert (PACKAGE / "py.typed").is_file()
