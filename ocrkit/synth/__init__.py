"""Rendered training images with true labels: Chinese number plates, look-alike characters, names on forms, and
Persian letters, digits, words and dates, whole Persian business letters. Taught in notebooks 01, 07, 08, 09 and 10.
"""

from ocrkit.synth.degrade import DEGRADATIONS
from ocrkit.synth.forms import LAYOUTS
from ocrkit.synth.glyphs import LETTER_CLASSES, THESIS_CLASSES, render_glyph, render_glyphs
from ocrkit.synth.letter_layouts import LETTER_LAYOUTS
from ocrkit.synth.letters import render_letter, render_letters
from ocrkit.synth.lines import random_face, random_line_text, render_characters, render_line, render_lines
from ocrkit.synth.names import random_name, render_name, render_names, write_names
from ocrkit.synth.plates import (
    INGREDIENTS,
    PLATE_COLORS,
    plate_layout,
    plate_size,
    random_plate_text,
    render_plate,
    render_plates,
)
from ocrkit.synth.words import persian_words, render_crop, render_dates, render_words

__all__ = [
    "DEGRADATIONS", "INGREDIENTS", "LAYOUTS", "LETTER_CLASSES", "LETTER_LAYOUTS", "PLATE_COLORS", "THESIS_CLASSES",
    "persian_words", "plate_layout", "plate_size", "random_face", "random_line_text", "random_name",
    "random_plate_text", "render_characters", "render_crop", "render_dates", "render_glyph", "render_glyphs",
    "render_letter", "render_letters", "render_line", "render_lines", "render_name", "render_names", "render_plate",
    "render_plates", "render_words", "write_names",
]  # fmt: skip
