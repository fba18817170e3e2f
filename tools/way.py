"""Through which files of `ocrkit` goes the way of a recipe to a trained model? Prints them and their number.

    python -m tools.way [plates]

A file counts, unless it is an `__init__.py`, where a function of it runs between `python -m ocrkit train RECIPE` and
the saved model, other than to import something. One epoch of 32 rendered images is made twice: the first run renders
them, and the number that counts is that of the second, which finds them packed in a store.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from pathlib import Path

import ocrkit
from ocrkit.__main__ import main

ROOM = str(Path(ocrkit.__file__).parent)


def files_of_run(*arguments: str) -> list[str]:
    """The files, as they are entered, of which `python -m ocrkit ARGUMENTS` runs a function until a model is saved."""
    decided, found = set(), {}

    def note(frame, event, _) -> None:
        code, file = frame.f_code, frame.f_code.co_filename
        if event == "return" and code.co_name == "write_model":
            sys.setprofile(None)
        if event == "call" and code not in decided and file.startswith(ROOM) and not file.endswith("__init__.py"):
            above = [own for own in inspect.getouterframes(frame, 0) if own.filename.startswith(ROOM)]
            if all(own.frame.f_code.co_flags & inspect.CO_OPTIMIZED for own in above):  # no module or class is made
                decided.add(code)
                found[str(Path(file).relative_to(ROOM))] = True

    sys.setprofile(note)
    if main([*arguments]):
        raise SystemExit("the run failed")
    return [*found]


if __name__ == "__main__":
    arguments = "train", *(sys.argv[1:] or ["plates"]), "rendered=32", "batch_size=16", "epochs=1", "--out"
    with tempfile.TemporaryDirectory() as folder:
        first, second = (files_of_run(*arguments, str(Path(folder, name))) for name in ("first", "second"))
    print(*second, sep="\n")
    print(f"{len(second)} files; with rendering {len(first)}: also {', '.join(f for f in first if f not in second)}")
