"""Recipes: the settings of a training run, checked before it starts. `data/recipes` holds them as short files.

Taught in notebook 03.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from ocrkit.data.platforms import COURSE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = COURSE / "data" / "recipes"
#: What can be rendered: `store.RENDERERS` says how, `letter_runs` for the pages of "letters", where a detector learns.
RENDERER_NAMES = (
    "plates", "look-alikes", "names", "chinese-glyphs", "persian-glyphs", "persian-letters", "persian-words",
    "persian-dates", "letters",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; checked when made, frozen after.

    The first block says what is trained on, the second how. `data/recipes` has them as TOML files,
    a line a setting. Learning rates are per step of AdamW; sizes are (height, width) in pixels.

    Raises:
        ValueError: a value that cannot work; the message names it and what may stand there.
    """

    # Data: the command line reads these, `fit` is given its data ready.
    samples: tuple[str, ...] = ()  # sample sets or folders, of which the train and valid splits are used
    repeat: int = 1  # how often each of those images counts in an epoch
    split_by: str = ""  # a column, such as writer_id, by which these sets are split anew; empty keeps their own splits
    labels: str = ""  # "names" writes their labels as the set of names does: upper case, no accents
    rendered: int = 0  # rendered images beside them
    renderer: str = "plates"  # of what: one of RENDERER_NAMES
    words: str = ""  # a file with a name, a tab and a count a line, from which rendered names are drawn
    spliced: int = 0  # images made of pieces of the samples' training images, cut where `start` aligns their letters
    # A model to go on from; empty starts anew. For glyphs, or with alphabet = "samples", all but its last layer.
    start: str = ""  # for glyphs also "imagenet"
    use_test: bool = False  # learn from the samples' test splits too: where other images examine the model

    alphabet: str = "plates"  # a key of `alphabets.ALPHABETS`, or "samples": the characters of the training labels
    backbone: str = "light"
    image_size: tuple[int, int] = (32, 128)
    mode: str = "RGB"
    resize: str = "squeeze"  # or "pad": in proportion, filled up with white; for glyphs also "ink"
    augment: str = "plates"
    window: int = 0  # for a detector of fields: the height of the pieces of pages from which it learns; 0: whole pages
    head_epochs: int = 0  # for glyphs: epochs before the others, in which the body is frozen
    epochs: int = 8
    batch_size: int = 128  # of all processes together
    accumulate: int = 1  # pieces in which a batch is computed, one after the other, where memory is short
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    body_rate: float = 0.0  # for glyphs: the rate of the first layers, which grows to learning_rate at the head; 0: one
    weight_decay: float = 0.01
    schedule: str = "one-cycle"
    clip_norm: float = 2.0
    amp: str = "auto"
    patience: int = 0  # stop after so many epochs without a better validation CER; 0 never stops early
    seed: int = 0
    half: bool = False  # store the model in 16-bit floats: half the size

    def __post_init__(self):
        choices = {
            "optimizer": ("adamw", "adam"),
            "schedule": ("one-cycle", "plateau", "constant"),
            "amp": ("auto", "off", "bf16", "fp16"),
            "mode": ("RGB", "L"),
            "resize": ("squeeze", "pad", "ink"),
            "renderer": RENDERER_NAMES,
            "labels": ("", "names"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"recipe: {name}={getattr(self, name)!r} must be one of {', '.join(allowed)}")
        at_least = {"epochs": 1, "batch_size": 1, "accumulate": 1, "repeat": 1}
        for name, least in (at_least | dict.fromkeys(("rendered", "spliced", "patience", "head_epochs"), 0)).items():
            if getattr(self, name) < least:
                raise ValueError(f"recipe: {name}={getattr(self, name)} must be at least {least}")
        if not self.learning_rate > 0:
            raise ValueError(f"recipe: learning_rate={self.learning_rate} must be above 0, for instance 0.003")

    @classmethod
    def from_dict(cls, values: dict) -> Recipe:
        """Build from plain values; texts are turned into the type of the setting, `a,b` into a tuple."""
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"recipe: unknown setting {', '.join(unknown)}; there are: {', '.join(fields)}")
        return cls(**{name: _convert(name, value, fields[name]) for name, value in values.items()})

    @classmethod
    def from_toml(cls, path: str | Path, **changes) -> Recipe:
        """Read a recipe file; `changes` win over it."""
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"recipe {path} is not valid TOML: {error}") from error
        return cls.from_dict({**values, **changes})


def _convert(name: str, value, default):
    kind = type(default)
    try:
        if kind is tuple:
            parts = [p for p in value.split(",") if p] if isinstance(value, str) else list(value)
            return tuple(int(p) for p in parts) if default and isinstance(default[0], int) else tuple(map(str, parts))
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(value, bool) or (kind is int and float(value) != int(value)):
            raise ValueError
        return kind(value)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"recipe: {name}={value!r} must be of type {kind.__name__}, like {default!r}") from error


def find_recipe(where: str | Path, **changes) -> Recipe:
    """Read a recipe file, or the shipped recipe of that name; `changes` win over it.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: the file or a change is wrong.
    """
    for path in (Path(where), RECIPES / f"{where}.toml"):
        if path.is_file():
            return Recipe.from_toml(path, **changes)
    shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
    raise FileNotFoundError(
        f"no recipe {str(where)!r}: give a .toml file, or a shipped name ({shipped or 'none is here'})"
    )
