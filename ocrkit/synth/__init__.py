"""Rendered training images with true labels: Chinese number plates, look-alike characters, and names on forms.

Taught in notebooks 01, 07 and 08.
"""

from __future__ import annotations

from ocrkit.synth.degrade import DEGRADATIONS
from ocrkit.synth.forms import LAYOUTS
from ocrkit.synth.lines import random_face, random_line_text, render_line, render_lines, write_lines
from ocrkit.synth.names import random_name, render_name, render_names, write_names
from ocrkit.synth.plates import (
    INGREDIENTS,
    PLATE_COLORS,
    Box,
    plate_layout,
    plate_size,
    random_plate_text,
    render_plate,
    render_plates,
    write_plates,
)

__all__ = [
    "DEGRADATIONS",
    "INGREDIENTS",
    "LAYOUTS",
    "PLATE_COLORS",
    "Box",
    "plate_layout",
    "plate_size",
    "random_face",
    "random_line_text",
    "random_name",
    "random_plate_text",
    "render_line",
    "render_lines",
    "render_name",
    "render_names",
    "render_plate",
    "render_plates",
    "write_lines",
    "write_names",
    "write_plates",
]
