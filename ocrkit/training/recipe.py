"""Recipes: the settings of a training run, checked before it starts. Taught in notebook 03."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ocrkit.data.platforms import COURSE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = COURSE / "data" / "recipes"
#: What can be rendered: `synth.store.RENDERERS` says how; for "letters", pages for a detector, `detector_run`.
RENDERER_NAMES = (
    "plates", "look-alikes", "names", "chinese-glyphs", "persian-glyphs", "persian-letters", "persian-words",
    "persian-dates", "letters",
)  # fmt: skip
#: Backbones of glyph classifiers; `tasks.glyphs.network` says what they are.
GLYPH_BACKBONES = ("resnet18-short", "resnet18", "resnet34", "resnet50", "mobilenet-v2")


@dataclass(frozen=True)
class BaseRecipe:
    """The settings that all kinds of training have; checked when made (ValueError), frozen after.

    `data/recipes` has some as TOML files; `renderer` and `backbone` say of which kind. Sizes are (height, width).
    """

    # Data: the command line reads these, `fit` is given its data ready.
    samples: tuple[str, ...] = ()  # sample sets or folders, of which the train and valid splits are used
    rendered: int = 0  # rendered images beside them
    renderer: str = "plates"  # of what: one of RENDERER_NAMES
    start: str = ""  # a model to go on from; empty starts anew

    backbone: str = "light"
    image_size: tuple[int, int] = (32, 128)
    epochs: int = 8
    batch_size: int = 128  # of all processes together
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    amp: str = "auto"
    seed: int = 0
    half: bool = False  # store the model in 16-bit floats: half the size

    kind: ClassVar[str] = ""
    # What other kinds do not set.
    alphabet: ClassVar[str] = ""
    words: ClassVar[str] = ""
    spliced: ClassVar[int] = 0
    accumulate: ClassVar[int] = 1
    head_epochs: ClassVar[int] = 0

    _choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "optimizer": ("adamw", "adam"),
        "schedule": ("one-cycle", "plateau", "constant"),
        "amp": ("auto", "off", "bf16", "fp16"),
        "mode": ("RGB", "L"),
        "resize": ("squeeze", "pad", "ink"),
        "renderer": RENDERER_NAMES,
        "labels": ("", "names"),
    }
    _at_least: ClassVar[dict[str, int]] = {
        "epochs": 1, "batch_size": 1, "accumulate": 1, "repeat": 1, "rendered": 0, "spliced": 0, "patience": 0,
        "head_epochs": 0, "window": 0,
    }  # fmt: skip

    def __post_init__(self):
        for name, value in vars(self).items():
            if value not in (allowed := self._choices.get(name, (value,))):
                raise ValueError(f"recipe: {name}={value!r} must be one of {', '.join(allowed)}")
            if name in self._at_least and value < self._at_least[name]:
                raise ValueError(f"recipe: {name}={value} must be at least {self._at_least[name]}")
        if not self.learning_rate > 0:
            raise ValueError(f"recipe: learning_rate={self.learning_rate} must be above 0, for instance 0.003")
        if (fits := _kind(vars(self))) is not type(self):
            raise ValueError(
                f"recipe: renderer={self.renderer!r} with backbone={self.backbone!r} is the training of {fits.kind}, "
                f"and this is a {type(self).__name__}: make a {fits.__name__}"
            )

    @staticmethod
    def from_dict(values: dict) -> "BaseRecipe":
        """A recipe of the kind that the values are of; texts become the setting's type, `a,b` a tuple."""
        cls = _kind(values)
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        for name in unknown:
            if others := " or ".join(k.kind for k in _KINDS if name in k.__dataclass_fields__):
                needs = f"renderer and backbone make this a recipe of {cls.kind}: leave it out"
                raise ValueError(f"recipe: {name} is a setting of {others}, and {needs}")
        if unknown:
            raise ValueError(f"recipe: unknown setting {', '.join(unknown)}; there are: {', '.join(fields)}")
        return cls(**{name: _convert(name, value, fields[name]) for name, value in values.items()})


@dataclass(frozen=True)
class _ImageRecipe(BaseRecipe):
    """What readers and glyph classifiers have in common."""

    repeat: int = 1  # how often each image of the samples counts in an epoch
    split_by: str = ""  # a column, such as writer_id, by which these sets are split anew; empty keeps their own splits
    labels: str = ""  # "names" writes their labels as the set of names does: upper case, no accents
    use_test: bool = False  # learn from the samples' test splits too: where other images examine the model
    mode: str = "RGB"
    resize: str = "squeeze"  # or "pad": in proportion, filled up with white; for glyphs also "ink"
    augment: str = "plates"


@dataclass(frozen=True)
class Recipe(_ImageRecipe):
    """How a reader of lines of text is trained. With alphabet = "samples", `start` lends all but its last layer."""

    kind: ClassVar[str] = "readers of lines"

    words: str = ""  # a file with a name, a tab and a count a line, from which rendered names are drawn
    spliced: int = 0  # images made of pieces of the samples' training images, cut where `start` aligns their letters
    alphabet: str = "plates"  # a key of `alphabets.ALPHABETS`, or "samples": the characters of the training labels
    accumulate: int = 1  # pieces in which a batch is computed, one after the other, where memory is short
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    clip_norm: float = 2.0
    patience: int = 0  # stop after so many epochs without a better validation CER; 0 never stops early


@dataclass(frozen=True)
class GlyphRecipe(_ImageRecipe):
    """How a `GlyphClassifier` is trained. `start` lends all but its last layer; or "imagenet"."""

    kind: ClassVar[str] = "glyph classifiers"

    backbone: str = "resnet18-short"
    augment: str = "glyphs"
    head_epochs: int = 0  # epochs before the others, in which the body is frozen
    body_rate: float = 0.0  # the rate of the first layers, which grows to learning_rate at the head; 0: one


@dataclass(frozen=True)
class DetectorRecipe(BaseRecipe):
    """The settings of a training of a `FieldDetector`, which has no `start`."""

    kind: ClassVar[str] = "detectors of fields"
    mode: ClassVar[str] = "L"

    renderer: str = "letters"
    backbone: str = "faster-rcnn"
    image_size: tuple[int, int] = (704, 512)
    window: int = 0  # the height of the pieces of pages from which it learns; 0: whole pages


_KINDS = (Recipe, GlyphRecipe, DetectorRecipe)


def _kind(values: dict) -> type[BaseRecipe]:
    if values.get("renderer") == "letters":
        return DetectorRecipe
    return GlyphRecipe if values.get("backbone") in GLYPH_BACKBONES else Recipe


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


def find_recipe(where: str | Path, **changes) -> BaseRecipe:
    """Read a recipe file, or the shipped recipe of that name; `changes` win over it.

    Raises FileNotFoundError where there is neither, and ValueError where the file or a change is wrong.
    """
    path = next((path for path in (Path(where), RECIPES / f"{where}.toml") if path.is_file()), None)
    if path is None:
        shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml"))) or "none is here"
        raise FileNotFoundError(f"no recipe {str(where)!r}: give a .toml file, or a shipped name ({shipped})")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {path} is not valid TOML: {error}") from error
    return BaseRecipe.from_dict({**values, **changes})
