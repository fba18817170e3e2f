"""`python -m tools.smoke`: whether ocrkit works with the versions that are installed, with what it needs and no extras.

Imports every module; then reads with the shipped model, trains, saves, loads and measures a small one. `make versions`
runs it with the oldest and the newest packages.
"""

from __future__ import annotations

import contextlib
import io
import os
import pkgutil
import tempfile
from importlib import import_module, metadata
from pathlib import Path

import ocrkit
from ocrkit.data import platforms

PACKAGES = platforms.requirements()
#: Modules that need one of these may fail to import for the lack of it, not otherwise. IPython comes with ipywidgets.
OTHERS = (*platforms.requirements("notebooks"), *platforms.requirements("scale"))
EXTRAS = {*map(platforms.import_name, OTHERS), "IPython"}


def import_all() -> int:
    """Import every module of the package; returns how many there are."""
    names = [m.name for m in pkgutil.walk_packages(ocrkit.__path__, "ocrkit.") if not m.name.endswith("__main__")]
    for name in names:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            print(f"  {name} waits for {error.name}, of an extra")
    for name in ocrkit.__all__:
        with contextlib.suppress(ModuleNotFoundError):
            getattr(ocrkit, name)
    return len(names)


def read() -> float:
    """The share of fifty shipped plates that the shipped model reads."""
    plates = ocrkit.load_samples("plates", split="test").head(50)
    results = ocrkit.Recognizer.load("plates", device="cpu").read(plates)
    assert not results["error"].any(), results["error"]
    return ocrkit.accuracy(results["text"].tolist(), results["prediction"].tolist())


def train(folder: Path) -> None:
    """A run of each kind, small: lines of text, glyphs; each saved, loaded and measured by the command line."""
    from ocrkit.__main__ import main
    from ocrkit.tasks.run import run_recipe
    from ocrkit.training.recipe import find_recipe

    small = {"epochs": 1, "batch_size": 8, "rendered": 24}
    for recipe, samples in {"plates": "plates", "chinese-glyphs": "persian-glyphs"}.items():
        run_recipe(find_recipe(recipe, **small), folder / recipe)
        assert main(["evaluate", str(folder / recipe), samples, "--split", "test", "--json"]) == 0
    page = ocrkit.load_pages("letters", split="test")["image"].iloc[0]
    assert main(["read", "letters", page]) == 0


def main() -> None:
    """Run all, and print a line a part."""
    os.environ["TQDM_DISABLE"] = "1"
    print(", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES))
    print(f"{import_all()} modules imported")
    right = read()
    print(f"the shipped model reads {right:.0%} of fifty plates")
    assert right >= 0.8
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        train(Path(folder))
    print("trained, saved, loaded and measured: plates, glyphs; read: a letter")


if __name__ == "__main__":
    main()
