"""Hands: the letters of many handwriting fonts as pen strokes, and of two printing fonts as pictures.

Strokes can be drawn with any pen and bent in any way, so that one font gives many writers. No design of a font stands
in two splits; the letters of `ALPHABET`, written here, serve for training only.
"""

from __future__ import annotations

import string
from functools import cache

import numpy as np

from ocrkit.synth.atlas import load_sheet

Strokes = list[np.ndarray]  # polylines of x and y, in heights of a capital: x from 0, y from -1 at the top to 0

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
PRINTED = string.ascii_letters + string.digits + " :/-()É°è"
PRINT_CELL = 60  # height of a row of printed characters; the baseline is at PRINT_BASE
PRINT_BASE = 44

#: Capitals as pupils write them: variants parted by "|", strokes by a blank, points as x (0 to 6) and y (0 at the top
#: to 8); "~" begins a stroke that is smooth.
ALPHABET = {
    "A": "083068 1555|~080211305268 0565|0830 3068 0565|084068 0454|~0802204268 0565|084068 ~155666",
    "B": "0008 ~0030523404 ~0444664808|0008 ~0040613414 ~1454664808|"
    "~08001030523414 ~143455573808|2008 ~20505334 ~34566808",
    "C": "~61300305284866|~502003052858|~612001062867|600002 ~02063868|~403003064868",
    "D": "0008 ~003062653808|1018 ~004063654808|0008 ~0030525538 18|~18100040636548 18",
    "E": "60000868 0454|0008 0060 0454 0868|~61200234 ~34062867|~612003062867 0454|50000858 0343|0008 0050 0858 0444",
    "F": "6000 0008 0454|600008 0444|0060 1008 1454|0008 0050 0444|~60200208 0454",
    "G": "~61300305284866 346468|~60300305285865 6535|~613002063867 67643464|"
    "~502003062858 586434|~602004063868 6865 3575",
    "H": "0008 6068 0464|0008 5058 0553|0008 5158 0454|1008 6058 0464|0008 6068 0563",
    "I": "3038|3038 1050 1858|3338 30|3338 3031|3038 2040 2848|3338 2141|3038",
    "J": "~505628 0706|2060 ~4045381706|3060 ~5055381807|~4045371807|1050 ~30362807",
    "K": "0008 600468|0008 6004 1468|0008 500558|0008 ~6041044468|0008 ~61340414 3468",
    "L": "000868|000858|0008 0868|100868|~00060868|~000608 0858",
    "M": "0800346068|0810345068|0800376068|0008 ~0220313338 ~3342506368|"
    "0008 0034 3460 6068|0800335068|08003860 6068|~0801102033 ~3351606268",
    "N": "08006860|0008 0068 6860|0008 0167 6068|0008 ~0331526368|08006861|~08001068 6860|08005860",
    "O": "~301205284865624020|~200206284866625030|~401103063866634120|~301104275866632010|~200205285653302010",
    "P": "0008 ~0040624404|0008 ~0030523505|1018 ~0040633515|~08004051530404|0008 ~1040615505",
    "Q": "~301205284865624020 4669|~200206284866625030 4769|~301205284865624020 3658|~401103063866634120 3679",
    "R": "0008 ~0040624404 3468|0008 ~0030523404 0468|1018 ~0040523515 1568|"
    "~08003051530404 0468|0008 ~0040615404 4468|0008 ~0040524404 ~04345568",
    "S": "~61300234654807|~50200234 ~345547 ~473807|6020 ~2002345648 4808|~613011145556380706|~6030112365573807",
    "T": "0060 3038|0161 3038|0050 3038|0060 ~30363848|0161 4028",
    "U": "~000528486560|~0006284866 6068|~0006286560|~00042748645060|~000628576160|0006286660",
    "V": "003860|002860|~0015386360|~00062840 ~284460|013860",
    "W": "0018346860|0018335860|~00062834 ~34486660|001832 325860|~000718374233 ~3347586560",
    "X": "0068 6008|0058 6018|~0068 ~6008|1068 6008",
    "Y": "0034 6034 3438|0034 6018|~000224446260 ~6065481807|0034 6008|0134 61343338",
    "Z": "00600868|00600868 1454|~0060 600868|~01105060 ~60340868|005008 0858 1444",
}


@cache
def load_hands() -> tuple[dict[str, dict[str, list[Strokes]]], dict[str, list[str]]]:
    """Return `(hands, names)`: `hands[name][character]` lists the ways in which a hand writes the character, each as
    strokes; `names[split]` has the names of the fonts. The hand "pupil" has capitals only, from `ALPHABET`.

    Used in notebook 08.
    """
    hands, names = {}, {"train": [], "test": []}
    for face in load_sheet("names")[1]["hands"]:
        letters = zip(CHARACTERS, face["letters"], strict=True)
        hands[face["name"]] = {c: [[_points(stroke) for stroke in paths.split(",")]] for c, paths in letters}
        names[face["split"]].append(face["name"])
    hands["pupil"] = {c: [_read(v) for v in variants.split("|")] for c, variants in ALPHABET.items()}
    return hands, names


@cache
def load_print() -> dict[str, dict[str, np.ndarray]]:
    """Return `glyphs[weight][character]`, uint8 (60, advance), 255 is ink; capitals are 36 high, on row 44."""
    sheet, index = load_sheet("names")
    rows = np.split(sheet, len(index["print"]))
    return {
        weight: dict(zip(PRINTED, np.split(row, np.cumsum(widths), axis=1)))
        for row, (weight, widths) in zip(rows, index["print"].items())
    }


def _points(stroke: str) -> np.ndarray:
    return _divide(np.array(stroke.split(), float).reshape(-1, 2) / 100)


def _divide(points: np.ndarray, step: float = 0.3) -> np.ndarray:
    """Put further points on long straight pieces, so that these can be bent as well."""
    counts = np.ceil(np.hypot(*np.diff(points, axis=0).T) / step).astype(int)
    if counts.max(initial=0) < 2:
        return points
    at = np.concatenate([[0], *(k + np.arange(1, n + 1) / n for k, n in enumerate(counts) if n)])
    return np.stack([np.interp(at, np.arange(len(points)), v) for v in points.T], axis=1)


def _read(variant: str) -> Strokes:
    """The strokes of an entry of `ALPHABET`."""
    paths = []
    for stroke in variant.split():
        numbers = np.array([int(d) for d in stroke.lstrip("~")], float).reshape(-1, 2)
        points = numbers * [0.115, 0.125] - [0, 1]
        paths.append(_smooth(points) if stroke.startswith("~") else _divide(points))
    return paths


def _smooth(points: np.ndarray, steps: int = 5) -> np.ndarray:
    """A curve through all points (centripetal enough for short strokes: Catmull and Rom, 1974)."""
    p = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = (p[k : len(p) - 3 + k, None] for k in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])
