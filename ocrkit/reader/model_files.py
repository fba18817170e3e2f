"""Model files: a folder with `config.json` and `model.safetensors`, which belong together. Taught in notebook 03."""

import json
from hashlib import sha1
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ocrkit.data.files import atomic, read_tensors, write_json
from ocrkit.data.platforms import COURSE

MODELS = COURSE / "data" / "models"
#: The first line of a config.json -> the class that reads the model.
FORMATS = {
    "ocrkit recognizer 1": "Recognizer",
    "ocrkit glyph classifier 1": "GlyphClassifier",
    "ocrkit field detector 1": "FieldDetector",
    "ocrkit letter reader 1": "LetterReader",
}


def model_folder(where: str | Path) -> Path:
    """The folder of a model, given as such or by the name of a shipped one; raises FileNotFoundError."""
    for folder in (Path(where), MODELS / str(where)):
        if (folder / "config.json").is_file():
            return folder
    if Path(where).is_dir():
        raise FileNotFoundError(f"{where} has no config.json: it is not a model folder that ocrkit wrote")
    shipped = ", ".join(sorted(p.parent.name for p in MODELS.glob("*/config.json"))) or "none is here"
    raise FileNotFoundError(f"no model {str(where)!r}: give a folder, or a shipped name ({shipped})")


def read_config(where: str | Path, kind: str, keys: tuple[str, ...]) -> tuple[Path, dict]:
    """The folder of a model and its config; arguments and errors are those of `read_model`."""
    folder = model_folder(where)
    other, config = read_format(folder)
    if other != kind:
        raise ValueError(f"{folder} holds a {other}, not a {kind}: load it with ocrkit.{other}.load")
    if missing := [key for key in keys if key not in config]:
        raise ValueError(f"{folder / 'config.json'} lacks {', '.join(missing)}; copy it again from the training run")
    return folder, config


def write_config(folder: str | Path, kind: str, config: dict) -> None:
    """Write `config.json`, whole or not at all."""
    (line,) = (line for line, name in FORMATS.items() if name == kind)
    write_json(Path(folder) / "config.json", {"format": line, **config})


def read_format(folder: Path) -> tuple[str, dict]:
    """The name of the class that wrote the `config.json` of a folder, and what it holds."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); copy it again from the training run") from error
    found = config.get("format") if isinstance(config, dict) else type(config).__name__
    if found not in FORMATS:
        known = " or ".join(map(repr, FORMATS))
        raise ValueError(f"{path} has format {found!r}, this ocrkit reads {known}; use the version that wrote it")
    return FORMATS[found], config


def read_model(where: str | Path, kind: str, keys: tuple[str, ...]) -> tuple[Path, dict, dict[str, str], dict]:
    """Read what `write_model` wrote: the folder, its config, the metadata and the weights.

    `kind` is the class that asks, a value of `FORMATS`, and `keys` are what its config must have. Raises
    FileNotFoundError: no such model, or a file is missing; ValueError: a file is damaged or of another kind of model.
    """
    folder, config = read_config(where, kind, keys)
    weights_path = folder / "model.safetensors"
    try:
        metadata, weights = read_tensors(weights_path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{weights_path} is missing: the model folder is not complete") from error
    except SafetensorError as error:
        raise ValueError(f"{weights_path} is damaged or no safetensors file ({error}); get it again") from error
    return folder, config, metadata, weights


def write_model(
    folder: str | Path, kind: str, config: dict, model: nn.Module, metadata: dict[str, str], half: bool = False
) -> Path:
    """Write `model.safetensors` and `config.json`, each whole or not at all; `half=True` stores 16-bit floats.

    `metadata` has one key only: safetensors writes several in no fixed order, and the same model has the same bytes.
    """
    folder = Path(folder)
    weights = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    with atomic(folder / "model.safetensors", sum(t.nbytes for t in weights.values())) as path:
        save_file(weights, path, metadata)
    write_config(folder, kind, config)
    return folder


def check_weights(model: nn.Module, weights: dict[str, Tensor], path: Path, about: str) -> None:
    """Raise a ValueError that names the first weight which does not fit the model; `about` describes the model."""
    own = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    other = {name: tuple(t.shape) for name, t in weights.items()}
    if own != other:
        name = min(n for n in own.keys() | other.keys() if own.get(n) != other.get(n))
        raise ValueError(
            f"{path} does not fit the model in config.json ({about}): "
            f"weight {name!r} has shape {other.get(name, 'none')}, the model needs {own.get(name, 'none')}"
        )


def fingerprint(text: str) -> str:
    """What the weights keep of the alphabet or the classes, so that those of another model are noticed."""
    return sha1(text.encode()).hexdigest()


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as it is now, on the CPU: further training does not change it."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
