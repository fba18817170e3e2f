"""Rendered training images with true labels: Chinese number plates, and lines of look-alike characters.

Taught in notebooks 01 and 07.
"""

from __future__ import annotations

from ocrkit.synth.degrade import DEGRADATIONS
from ocrkit.synth.lines import random_face, random_line_text, render_line, render_lines, write_lines
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
    "PLATE_COLORS",
    "Box",
    "plate_layout",
    "plate_size",
    "random_face",
    "random_line_text",
    "random_plate_text",
    "render_line",
    "render_lines",
    "render_plate",
    "render_plates",
    "write_lines",
    "write_plates",
]
