"""Model files: a folder with `config.json` and `model.safetensors`, which belong together. Taught in notebook 03."""

import json
from collections.abc import Callable
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
#: What the weights keep a fingerprint of, so that those of another model are noticed -> its name in the message.
MARKS = {"alphabet": "alphabets", "classes": "classes", "kinds": "kinds of fields"}


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


def read_model(
    where: str | Path, kind: str, keys: tuple[str, ...], build: Callable[[dict], tuple[nn.Module, str]], mark: str
) -> tuple[nn.Module, dict]:
    """Read what `write_model` wrote: the model in evaluation mode, and its config.

    `kind` is the class that asks, a value of `FORMATS`; `keys` are what its config must have, the network's name first.
    `build` makes of the config the network and the text of the `mark`, a key of `MARKS`.

    Raises:
        FileNotFoundError: there is no such model, or a file is missing.
        ValueError: a file is damaged or of another kind of model, or config and weights do not belong together.
    """
    folder, config = read_config(where, kind, keys)
    weights_path = folder / "model.safetensors"
    try:
        metadata, weights = read_tensors(weights_path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{weights_path} is missing: the model folder is not complete") from error
    except SafetensorError as error:
        why = f"{weights_path} is damaged or no safetensors file ({error}); copy or train it again"
        raise ValueError(why) from error
    model, text = build(config)
    if metadata.get(mark) != _fingerprint(text):
        raise ValueError(
            f"{folder}: config.json and model.safetensors have different {MARKS[mark]}, so the classes would be mixed "
            "up; take both files from one training run"
        )
    own, other = ({name: tuple(t.shape) for name, t in some.items()} for some in (model.state_dict(), weights))
    if own != other:
        name = min(n for n in own.keys() | other.keys() if own.get(n) != other.get(n))
        about = f"{keys[0]} {config[keys[0]]!r}, {model.num_classes} classes"
        raise ValueError(
            f"{weights_path} does not fit the model in config.json ({about}): "
            f"weight {name!r} has shape {other.get(name, 'none')}, the model needs {own.get(name, 'none')}"
        )
    model.load_state_dict(weights)
    return model.eval(), config


def write_model(
    folder: str | Path, kind: str, config: dict, model: nn.Module, mark: str, text: str, half: bool = False
) -> Path:
    """Write `model.safetensors` and `config.json`, each whole or not at all; `half=True` stores 16-bit floats.

    The weights keep a fingerprint of `text`, of what `mark` names in `MARKS`. It is their only metadata: safetensors
    writes several keys in no fixed order, and the same model shall give the same bytes.
    """
    folder = Path(folder)
    weights = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    with atomic(folder / "model.safetensors", sum(t.nbytes for t in weights.values())) as path:
        save_file(weights, path, {mark: _fingerprint(text)})
    write_config(folder, kind, config)
    return folder


def _fingerprint(text: str) -> str:
    return sha1(text.encode()).hexdigest()


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as it is now, on the CPU: further training does not change it."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
