"""The rules that every notebook keeps, checked on the files; `make test` also runs each notebook."""

import json
import re

import nbformat
import pytest

from tools.badges import without_badges
from tools.notebooks import FOLDER, NOTEBOOKS, strip

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
    text = without_badges(text)
    text = re.sub(r"<details><summary>Hint</summary>.*?</details>", "", text, flags=re.S)  # read only by who needs it
    assert (600 if path.name.startswith("00") else 1500) <= len(text.split()) <= 3500
    for part in ("What you will be able to do", "What you need", "How long", "Questions", "Exercises"):
        assert part in text, f"{path.name} has no part {part!r}"
    tags = [tag for cell in cells(path, "code") for tag in cell["metadata"].get("tags", [])]
    assert tags.count("setup") == 1
    assert "nbval-check-output" in tags


def test_what_is_of_one_machine_is_stripped():
    said = nbformat.v4.new_output("stream", text=f"{FOLDER.parent}/data/samples <Gallery object at 0x7f3a5c0d2e10>\n")
    data = {"text/html": f"<p>{FOLDER.parent}</p>", "application/vnd.jupyter.widget-view+json": {}}
    shown = nbformat.v4.new_output("display_data", data=data)
    metadata = {"tags": ["setup"], "execution": {"iopub.execute_input": "2024"}, "scrolled": True}
    cell = nbformat.v4.new_code_cell("1", metadata=metadata, outputs=[said, shown])
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": {"name": "python", "version": "3.11.7"}})
    book.metadata["kernelspec"] = {"name": "mine", "display_name": "My kernel"}
    strip(book)
    assert book.cells[0].metadata == {"tags": ["setup"]}
    assert said.text == "./data/samples <Gallery object at 0x…>\n"
    assert shown.data == {"text/html": "<p>.</p>"}
    assert book.metadata.language_info == {"name": "python"} and book.metadata.kernelspec.name == "python3"
    nbformat.validate(book)
