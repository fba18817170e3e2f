"""Runs: a recipe from its data to a model folder with a card, as `python -m ocrkit train` makes it. See notebook 03."""

import dataclasses
import os
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from ocrkit.data.files import atomic, write_json
from ocrkit.data.packed import Mixed, Packed, concatenate, pack
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.data.sources import SOURCES
from ocrkit.data.store import packed_store
from ocrkit.errors.classes import score_classes
from ocrkit.errors.metrics import score
from ocrkit.reader.model_files import model_folder
from ocrkit.reader.recognizer import Recognizer
from ocrkit.synth.store import GLYPHS, RENDERERS, SPLIT_FONTS, rendered_store
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.training import train_glyphs
from ocrkit.tasks.letters.detector import FieldDetector
from ocrkit.tasks.letters.detector_run import field_card, field_figures, letter_data, train_detector
from ocrkit.text.strings import names_text
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.text.words import read_counts
from ocrkit.training.loop import fit, print_epoch
from ocrkit.training.processes import accelerator, print_once
from ocrkit.training.recipe import BaseRecipe, DetectorRecipe, GlyphRecipe, Recipe
from ocrkit.training.splicing import splice_words

#: What reads one image at a time, and what a recipe can make.
Reader = Recognizer | GlyphClassifier
Model = Reader | FieldDetector
#: Rendered images that stand in for a validation set where a recipe has no other samples.
RENDERED_VALID = 400


def training_splits(samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The train and valid rows of a samples table; without a valid split, a tenth of train by plate text."""
    train, valid = samples[samples["split"] == "train"], samples[samples["split"] == "valid"]
    if not len(valid):
        parted = assign_splits(train, {"train": 0.9, "valid": 0.1})
        train, valid = parted[parted["split"] == "train"], parted[parted["split"] == "valid"]
    return train, valid


def recipe_samples(recipe: BaseRecipe, where: str) -> pd.DataFrame:
    """A sample set or folder, with the splits and the labels that the recipe asks for."""
    samples = load_samples(where)
    if recipe.split_by:
        samples = assign_splits(samples, by=recipe.split_by)
    if recipe.labels == "names":
        samples = samples.assign(text=samples["text"].map(names_text))
    return samples


def recipe_data(recipe: BaseRecipe, stores: str | Path) -> tuple[Mixed, Packed, list[str]]:
    """Pack what the recipe trains and validates on; also a line for each part of it, for the card.

    The packs are kept in the folder `stores` for the next run. Test splits are never touched.
    """
    # What cannot work is refused before thousands of images are rendered.
    if recipe.spliced and not (recipe.samples and recipe.words and recipe.start):
        raise ValueError(f"recipe: spliced={recipe.spliced} needs samples to cut, words to make and start to align")
    if not (recipe.samples or recipe.rendered):
        raise ValueError("the recipe names no data: set samples=FOLDER, or rendered=20000 to render plates")
    if recipe.start not in ("", "imagenet"):
        model_folder(recipe.start)
    form = recipe.image_size, recipe.mode, recipe.resize
    way = "" if recipe.resize == "squeeze" else f"-{recipe.resize}"
    shape = f"{recipe.image_size[0]}x{recipe.image_size[1]}-{recipe.mode}{way}"

    def place(path: str) -> str:
        return sha1(os.path.abspath(path).encode()).hexdigest()[:8]

    def kept(part: pd.DataFrame, where: str, split: str) -> Packed:
        return packed_store(part, Path(stores, f"{Path(where).name}-{split}-{shape}-{place(where)}"), *form)

    def rendered(n: int, seed: int, split: str = "train") -> Packed:
        own = place(recipe.words) if recipe.words else ""
        fonts = "" if split == "train" else f"-{split}"
        folder = Path(stores, f"rendered-{recipe.renderer}{own}-{n}-{seed}{fonts}-{shape}")
        return rendered_store(n, seed, folder, *form[:2], recipe.renderer, recipe.resize, recipe.words, split)

    parts, valids, rows = [], [], []
    for where in recipe.samples:
        samples = recipe_samples(recipe, where)
        train, valid = training_splits(samples)
        if recipe.use_test:
            train = pd.concat([train, samples[samples["split"] == "test"]])
        rows.append(train)
        line = f"{Path(where).name}: {len(train)} for training (x {recipe.repeat}), {len(valid)} for validation"
        parts.append((kept(train, where, "train"), recipe.repeat, line))
        valids.append(kept(valid, where, "valid"))
    if recipe.rendered:
        line = f"{recipe.rendered} rendered {recipe.renderer} for training (seed {recipe.seed})"
        parts.append((rendered(recipe.rendered, recipe.seed), 1, line))
    if recipe.spliced:
        cutter, words = Recognizer.load(recipe.start), read_counts(recipe.words)
        made = pack(splice_words(cutter, pd.concat(rows), words, recipe.spliced, recipe.seed), *form)
        made.samples = made.samples.assign(image=[f"spliced {recipe.seed}/{i}" for i in range(len(made))])
        parts.append((made, 1, f"{recipe.spliced} spliced images out of those for training (seed {recipe.seed})"))
    trains, repeats, lines = map(list, zip(*parts))
    if not valids:
        own = recipe.renderer in SPLIT_FONTS
        n, split = (5 * RENDERED_VALID, "valid") if own else (RENDERED_VALID, "train")  # small ones are read quickly
        valids.append(rendered(n, recipe.seed + 1_000_000, split))
        others = " in other fonts" * own
        lines.append(f"{n} rendered {recipe.renderer}{others} for validation (seed {recipe.seed + 1_000_000})")
    train, valid = Mixed(trains, repeats), concatenate(valids)
    print_once(f"{len(train)} training and {len(valid)} validation images an epoch")
    return train, valid, lines


def run_recipe(recipe: BaseRecipe, run_dir: str | Path, resume: bool = False, command: str = "") -> Model:
    """Train by `recipe` into the folder `run_dir`: model, history, checkpoint, `run.json` and a model card.

    Several processes (see `processes`) all call this; the main one makes the stores, measures and writes the card.
    Raises a FileExistsError where the folder holds a run and `resume` is off, and a ValueError where the recipe cannot
    be followed, or not in several processes.
    """
    run_dir, world, kind = Path(run_dir), accelerator(), KINDS[type(recipe)]
    processes = world.num_processes if world else 1
    _check_run(recipe, kind, run_dir, resume, processes)
    with world.main_process_first() if world else nullcontext():
        train, valid, lines = kind.data(recipe, run_dir.parent / "stores")
    model, history = kind.train(recipe, train, valid, *((run_dir, resume) if kind.resumes else ()))
    if history.empty:
        raise ValueError(f"stopped before the first epoch was finished: {run_dir} holds no model")
    if not kind.resumes:
        model.save(run_dir, recipe.half)
        with atomic(run_dir / "history.csv") as path:
            history.to_csv(path, index=False)
    model = type(model).load(run_dir)  # the figures are those of the files, which may hold 16-bit weights
    if world and not world.is_main_process:
        return model
    facts = {
        "command": command,
        "date": date.today().isoformat(),
        "seconds": round(history["seconds"].sum()),
        "torch": torch.__version__,
        "device": str(model.device),
        "processes": processes,
        "data": lines,
        "recipe": dataclasses.asdict(recipe),
        "best": {name: history.attrs["best"][name] for name in ("epoch", *kind.chosen)},
        "tests": kind.figures(recipe, model),
    }
    write_json(run_dir / "run.json", facts)
    with atomic(run_dir / "README.md") as path:
        path.write_text(model_card(run_dir.name, model, facts, kind), encoding="utf-8")
    return model


def _check_run(recipe: BaseRecipe, kind: "Kind", run_dir: Path, resume: bool, processes: int) -> None:
    if kind.resumes:
        if (run_dir / "checkpoint.safetensors").exists() and not resume:
            raise FileExistsError(f"{run_dir} holds a run already: pass --resume to go on, or choose another --out")
    elif processes > 1:
        raise ValueError(
            f"only a model that reads lines of text trains in parts; this recipe is of {recipe.kind}, and was started "
            f"with {processes} processes: start one"
        )
    elif resume:
        raise ValueError(f"a run of {recipe.kind} keeps no checkpoint: start it again, in another --out")
    elif (run_dir / "config.json").exists():
        raise FileExistsError(f"{run_dir} holds a model already: choose another --out")


def _train_texts(recipe: Recipe, train: Mixed, valid: Packed, *run: Path | bool) -> tuple[Recognizer, pd.DataFrame]:
    own = recipe.alphabet == "samples"
    if recipe.start and not own:
        recognizer = Recognizer.load(recipe.start)
    else:
        shape = recipe.image_size, recipe.mode, recipe.seed
        texts = (text for part in train.parts for text in part.texts)
        alphabet = Tokenizer.from_texts(texts) if own else recipe.alphabet
        recognizer = Recognizer.create(alphabet, recipe.backbone, *shape, resize=recipe.resize)
        if recipe.start:
            _take_body(recognizer, recipe.start)
    return recognizer, fit(recognizer, train, valid, recipe, *run, on_epoch=print_epoch)


def _take_body(recognizer: Recognizer, start: str) -> None:
    """Give a new recognizer all weights of another but those of the last layer, which knows the other alphabet."""
    other, mine = Recognizer.load(start), recognizer.model.state_dict()
    body = {name: w for name, w in other.model.state_dict().items() if not name.startswith("classifier")}
    if (other.mode, recognizer.mode) == ("RGB", "L"):
        first = next(iter(body))
        body[first] = body[first].sum(dim=1, keepdim=True)  # gray is the same value in red, green and blue
    if any(name not in mine or mine[name].shape != weight.shape for name, weight in body.items()):
        raise ValueError(
            f"recipe: {recognizer!r} cannot start from {start!r}, {other!r}: backbone, image height and mode must be "
            'the same (mode="L" may start from "RGB"), or start empty'
        )
    recognizer.model.load_state_dict(mine | body)


def image_figures(recipe: BaseRecipe, reader: Reader) -> list[dict]:
    """Measure on what no training touches: test splits, the shipped sample of what is rendered, and test fonts."""
    sets = [] if recipe.use_test else [(w, recipe_samples(recipe, w)) for w in dict.fromkeys(recipe.samples)]
    if recipe.renderer in SOURCES and recipe.alphabet != "samples":
        sets.append((recipe.renderer, load_samples(recipe.renderer)))
    tests = [split_figures(reader, samples, name) for name, samples in sets]
    if isinstance(reader, GlyphClassifier) or recipe.renderer in SPLIT_FONTS:
        tests.append(rendered_figures(reader, recipe.renderer, recipe.seed + 2_000_000))
    return [figures for figures in tests if figures]


def split_figures(reader: Reader, samples: pd.DataFrame, name: str) -> dict | None:
    """Measure on the test split of a set; None where it has none. `known_texts`: the share of those seen elsewhere."""
    test = samples[(samples["split"] == "test") & (samples["text"] != "")]
    if not len(test):
        return None
    known = test["text"].isin(samples.loc[samples["split"] != "test", "text"]).mean()
    return _figures(reader, test, name) | {"known_texts": round(float(known), 4)}


def rendered_figures(reader: Reader, renderer: str, seed: int, n: int = 4000) -> dict:
    """Measure on `n` pictures that are rendered in the fonts for testing."""
    size = GLYPHS.get(renderer, None if reader.resize == "pad" else reader.image_size)
    images, table = RENDERERS[renderer](n, seed, size, os.cpu_count() or 1, split="test")
    samples = table.assign(image=pd.Series(list(images), dtype=object))
    return _figures(reader, samples, f"rendered {renderer} in test fonts (seed {seed})")


def _figures(reader: Reader, samples: pd.DataFrame, name: str) -> dict:
    results = reader.read(samples)
    scores = score_classes if isinstance(reader, GlyphClassifier) else score
    table = scores(results[results["error"] == ""]).set_index("metric").round(4)
    rows = {metric: table.loc[metric, ["value", "low", "high"]].tolist() for metric in table.index}
    return {"samples": name, "n": int(table.n["accuracy"]), **{k: rows[k] for k in ("accuracy", "cer") if k in rows}}


def _image_card(name: str, facts: dict) -> tuple[str, str]:
    """What was measured on images, and how to measure it again."""
    recipe, tests = facts["recipe"], facts["tests"]
    if recipe["renderer"] in (*SPLIT_FONTS, "chinese-glyphs"):
        about = "Measured on fonts, words or files that are in no training or validation image; with 95% intervals."
    else:
        known = {t["samples"]: t["known_texts"] for t in tests if t.get("known_texts")}
        which = "of which no image is for training or validation" if known else "whose texts no other image shows"
        about = f"Measured on test splits, {which}; with 95% intervals."
        for where, share in known.items():
            about += f"\nOf the test images of {where}, {share:.0%} show a text that other splits show, too."
        if any(t["samples"] == recipe["renderer"] for t in tests):
            about += f"\n`{recipe['renderer']}` is the shipped sample of rendered images."
    again = f"\n\nAgain with `python -m ocrkit evaluate {name} SAMPLES --split test`."
    if by := recipe["split_by"]:
        again = f"\n\nThe sets were split anew by `{by}`: their own test splits cannot examine this model."
    return about, again


class Kind(NamedTuple):
    """What a kind of model brings to `run_recipe`."""

    train: Callable  # gives model and history; if it `resumes`, it is given the folder of the run, and writes itself
    data: Callable  # (recipe, folder for stores) -> what is trained and validated on, and a line for each part
    figures: Callable  # (recipe, model) -> what is measured
    card: Callable  # (name, what `run.json` holds) -> what stands above the table and below it
    chosen: dict[str, str]  # columns of the history, with their words
    columns: dict[str, str] | None = None  # those of the figures; None: all
    resumes: bool = False


_IMAGES = recipe_data, image_figures, _image_card
_COLUMNS = {"samples": "samples", "n": "images"}
_READ, _CHOSEN = {"accuracy": "exact match", "cer": "CER"}, {"valid_cer": "CER", "valid_accuracy": "exact match"}
KINDS = {
    Recipe: Kind(_train_texts, *_IMAGES, _CHOSEN, _COLUMNS | _READ, resumes=True),
    GlyphRecipe: Kind(train_glyphs, *_IMAGES, {"valid_accuracy": "accuracy"}, _COLUMNS | {"accuracy": "accuracy"}),
    DetectorRecipe: Kind(
        train_detector, letter_data, field_figures, field_card, {"valid_recall": "recall", "valid_iou": "mean overlap"}
    ),
}


def model_card(name: str, model: Model, facts: dict, kind: Kind) -> str:
    """The text of a model card: what the model is, what it was made from, and how to make it again."""

    def cell(value: object) -> str:
        return "{} ({} to {})".format(*value) if isinstance(value, list) else str(value)

    settings = "\n".join(f"{k} = {v!r}" for k, v in facts["recipe"].items())
    data = "\n".join(f"* {line}" for line in facts["data"])
    columns = kind.columns or {k: k for k in facts["tests"][0]}
    tests = "\n".join(f"| {' | '.join(cell(t[c]) for c in columns)} |" for t in facts["tests"])
    best, (about, again) = facts["best"], kind.card(name, facts)
    chosen = ", ".join(f"{words} {best[column]:.4f}" for column, words in kind.chosen.items())
    return f"""# {name}

{model!r}

Made on {facts["date"]} in {facts["seconds"] / 60:.0f} minutes on {facts["device"]} with torch {facts["torch"]}, by

```
{facts["command"]}
```

## Data
{data}

## Figures
{about}

| {" | ".join(columns.values())} |
|{"---|" * len(columns)}
{tests}{again}

Epoch {best["epoch"]} was taken as the best on the validation data: {chosen}.
What chose the epoch is no measure of the model.

## Settings
```
{settings}
```
"""
