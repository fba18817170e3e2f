"""Checkpoints: what a run needs to go on, in one safetensors file, whole or not at all. Taught in notebook 03."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ocrkit.data.files import atomic, read_tensors
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper

FORMAT = "ocrkit checkpoint 1"
PLAIN = (int, float, str, list, bool, type(None))


@dataclass
class Checkpoint:
    """The state of a run, besides weights and optimizer; runs that keep none have neither `recipe` nor `alphabet`."""

    recipe: dict = field(default_factory=dict)
    alphabet: str = ""
    history: list[dict] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # the weights of the best epoch so far
    stopped: bool = False  # by Ctrl-C; never true in a file


def save_checkpoint(path: Path, state: Checkpoint, stepper: Stepper, schedule: LRScheduler | None) -> None:
    """Write `state` with the stepper's weights and optimizer; a kill at any moment leaves the old file whole."""
    saved = stepper.optimizer.state_dict()
    tensors = {f"model.{name}": t for name, t in stepper.model.state_dict().items()}
    tensors |= {f"best.{name}": t for name, t in state.best.items()}
    tensors |= {f"optimizer.{i}.{name}": t for i, slot in saved["state"].items() for name, t in slot.items()}
    if stepper.extra is not None:
        tensors |= {f"extra.{name}": t for name, t in stepper.extra.state_dict().items()}
    meta = {
        "format": FORMAT,
        "recipe": state.recipe,
        "alphabet": state.alphabet,
        "history": state.history,
        "groups": saved["param_groups"],
        # Numbers, texts and lists; the rest is rebuilt by the constructor.
        "schedule": schedule and {k: v for k, v in schedule.state_dict().items() if isinstance(v, PLAIN)},
        "scaler": stepper.scaler.state_dict(),
    }
    # Tensors may share memory or be strided; safetensors stores plain blocks.
    tensors = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
    text = json.dumps(meta)
    with atomic(path, sum(t.nbytes for t in tensors.values()) + len(text)) as temporary:
        save_file(tensors, temporary, {"ocrkit": text})


def load_checkpoint(path: Path, fresh: Checkpoint, stepper: Stepper, schedule: LRScheduler | None) -> Checkpoint:
    """Put weights, optimizer and schedule back and return the state; `fresh` is that of the run that wants to go on.

    Raises ValueError: the file is damaged, of another format, or of another recipe or alphabet.
    """
    try:
        metadata, tensors = read_tensors(path)
        meta = json.loads(metadata["ocrkit"])
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged or no checkpoint ({error}); delete it to start the run anew") from error
    # Files without a mark are from before there was one, and of this format.
    if (found := meta.get("format", FORMAT)) != FORMAT:
        raise ValueError(
            f"{path} has format {found!r}, this ocrkit reads {FORMAT!r}: go on with the version that wrote it, "
            "or delete it to start the run anew"
        )
    if meta["alphabet"] != fresh.alphabet:
        raise ValueError(f"{path} was trained with another alphabet; use another run folder, or delete it")
    wanted = json.loads(json.dumps(fresh.recipe))
    # A setting that is younger than the checkpoint stood at its default.
    was = json.loads(json.dumps(dataclasses.asdict(Recipe()) | meta["recipe"]))
    if differ := "; ".join(f"{k} was {was.get(k)!r}, is {v!r}" for k, v in wanted.items() if was.get(k) != v):
        raise ValueError(f"{path} is of another recipe ({differ}); use another run folder, or the old settings")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "extra": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    stepper.model.load_state_dict(parts["model"])
    if stepper.extra is not None:
        stepper.extra.load_state_dict(parts["extra"])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, key = name.split(".", 1)
        slots.setdefault(int(index), {})[key] = tensor
    stepper.optimizer.load_state_dict({"state": slots, "param_groups": meta["groups"]})
    stepper.scaler.load_state_dict(meta["scaler"])
    if schedule:
        schedule.load_state_dict(meta["schedule"])
    return Checkpoint(meta["recipe"], meta["alphabet"], meta["history"], parts["best"])
