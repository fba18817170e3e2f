"""A model by its folder, whatever it is. Taught in notebook 09."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ocrkit.reader.model_files import model_folder, read_format

#: Kind of model, as its `config.json` names it -> the module that has the class; imported when such a model is met.
KINDS = {
    "Recognizer": "ocrkit.reader.recognizer",
    "GlyphClassifier": "ocrkit.tasks.glyphs.classifier",
    "FieldDetector": "ocrkit.tasks.letters.detector",
    "LetterReader": "ocrkit.tasks.letters.reader",
}


def load_model(where: str | Path, device: str | torch.device | None = None) -> Any:
    """Load a model of any of `KINDS`, from a folder or by the name of a shipped one; errors as of `Recognizer.load`."""
    kind, _ = read_format(model_folder(where))
    return getattr(import_module(KINDS[kind]), kind).load(where, device)
