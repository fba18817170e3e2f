"""`make notebooks`: run notebooks from top to bottom and keep their outputs, small enough to live in git.

python -m tools.notebooks [NOTEBOOK ...]      (default: all), with the settings of OCRKIT_PROFILE, else "laptop".
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb")) + sorted(FOLDER.glob("solutions/*.ipynb"))


def shrink(png: str) -> str:
    """A base64 PNG with 256 colors, where that is smaller and nobody sees it (mean error below 1 of 255)."""
    full = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    small = full.quantize(256, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(small.convert("RGB"), dtype=int) - np.asarray(full)).mean()
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode()
    return text if error < 1 and len(text) < len(png) else png


def plain(text: str) -> str:
    """Printed text without what is of one machine or one run: the course folder, the home folder, addresses."""
    for folder, sign in ((FOLDER.parent, "."), (Path.home(), "~")):
        text = re.sub(rf"{re.escape(str(folder))}(?![\w-])", sign, text)
    return re.sub(r" at 0x[0-9a-f]{6,}", " at 0x…", text)


def strip(notebook: nbformat.NotebookNode) -> None:
    """Take out, in place, what is of one machine or one run: run times, editor's settings, versions, paths, widgets."""
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key == "tags"})
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = plain(output["text"])
            data = output.get("data", {})
            # The state of widgets is not kept, so their view would be an error; the HTML beside it stays.
            data.pop("application/vnd.jupyter.widget-view+json", None)
            for kind in {"text/plain", "text/html"} & set(data):
                data[kind] = plain(data[kind])
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.get("language_info", {}).pop("version", None)


def run(path: Path) -> None:
    """Execute one notebook in its own folder and write it back, small, and without what is of this machine."""
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(path.parent)}}).execute()
    strip(notebook)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            output["data"]["image/png"] = shrink(output["data"]["image/png"])
    nbformat.write(notebook, path)


def main(paths: list[str]) -> None:
    """Run the notebooks and print what each took."""
    os.environ.setdefault("OCRKIT_PROFILE", "laptop")
    os.environ["TQDM_DISABLE"] = "1"
    for path in map(Path, paths or NOTEBOOKS):
        started = time.perf_counter()
        run(path)
        print(f"{path.name}: {time.perf_counter() - started:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
