"""The rules that every notebook keeps, checked on the files; `make test` also runs each notebook."""

import json

import pytest

from tests.notebooks import FOLDER, NOTEBOOKS

COURSE = [path for path in NOTEBOOKS if path.parent == FOLDER]


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_every_notebook_has_its_solutions():
    assert len(COURSE) >= 5
    assert {path.name for path in COURSE} == {path.name for path in NOTEBOOKS if path not in COURSE}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_size_cells_and_outputs(path):
    assert path.stat().st_size < 400_000
    for cell in cells(path, "code"):
        assert source(cell).count("\n") < 45
        for output in cell["outputs"]:
            assert output["output_type"] != "error" or "raises-exception" in cell["metadata"]["tags"]
            assert output.get("name") != "stderr", f"a warning is kept in {path.name}: {output['text']}"
        assert cell["execution_count"] is not None, f"{path.name} is kept without outputs: run make notebooks"


@pytest.mark.parametrize("path", COURSE, ids=lambda p: p.stem)
def test_words_and_parts(path):
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    assert (600 if path.name.startswith("00") else 1500) <= len(text.split()) <= 3500
    for part in ("What you will be able to do", "What you need", "How long", "Questions", "Exercises"):
        assert part in text, f"{path.name} has no part {part!r}"
    tags = [tag for cell in cells(path, "code") for tag in cell["metadata"].get("tags", [])]
    assert tags.count("setup") == 1
    assert "nbval-check-output" in tags
