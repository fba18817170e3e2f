"""Rendered training images with true labels: Chinese number plates. Taught in notebook 01."""

from __future__ import annotations

from ocrkit.synth.degrade import DEGRADATIONS
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
    "random_plate_text",
    "render_plate",
    "render_plates",
    "write_plates",
]
