"""The faces of rendered lines: Chinese characters, letters and digits in many fonts, none of which is in two splits."""

from functools import cache

import numpy as np

from ocrkit.synth.atlas import load_cells

CELL = 40  # pixels of a cell, which holds one character


@cache
def load_faces() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, list[str]]]]:
    """Return `(glyphs, names)`: `glyphs[face][character]` is uint8 (40, 40), 255 is ink; `names[split]` has the names
    of the faces with Chinese characters under `"chinese"`, and of those without under `"latin"`. Used in notebook 07.
    """
    glyphs, names = {}, {"train": {}, "test": {}}
    for part, cells in load_cells("lines"):
        for k, face in enumerate(part["faces"]):
            glyphs[face["name"]] = {c: faces[k] for c, faces in cells.items()}
            names[face["split"]].setdefault(part["kind"], []).append(face["name"])
    return glyphs, names
