"""Linting: what is wrong with a data set, found before it costs a training run.

What `lint` finds never stops anything: the image is named, counted and left where it is. Taught in notebook 01.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ocrkit.data.duplicates import CLOSELY, NEARLY, near_pairs, thumbnail
from ocrkit.data.images import ImageError, read_image, read_sample
from ocrkit.text.strings import normalize, quote, require_columns
from ocrkit.text.tokenizer import Tokenizer, min_steps

#: Check -> level, in the order of the printed table. An error spoils training or scores; a warning may.
CHECKS = {
    "unusable file": "error",
    "missing image": "error",
    "unreadable image": "error",
    "truncated image": "error",
    "tiny image": "warning",
    "corners outside the image": "warning",
    "corners in wrong order": "error",
    "empty label": "error",
    "label not NFC": "warning",
    "label rewritten": "warning",
    "label with outer spaces": "warning",
    "not in the alphabet": "error",
    "label too long": "error",
    "no plate pattern": "warning",
    "no split": "warning",
    "listed twice": "warning",
    "one image, two labels": "error",
    "duplicate image": "warning",
    "same image in two splits": "error",
    "nearly same image in two splits": "warning",
    "same text in two splits": "warning",
}
COLUMNS = ["check", "level", "image", "text", "split", "detail"]
MIN_SIDE = 8  # px; a character that is lower cannot be told from another

_CLOSE = (64, 256)  # pixels at which a second look correlates two images


class _Look(NamedTuple):
    """What one image shows: its faults as (check, detail), the hash of its bytes, a thumbnail."""

    faults: list[tuple[str, str]]
    digest: str | None = None
    thumb: np.ndarray | None = None


def lint(samples: pd.DataFrame, tokenizer: Tokenizer | None = None, time_steps: int | None = None) -> pd.DataFrame:
    """Check every label and every image of a samples table, and print a line a check. Taught in notebook 01.

    Args:
        tokenizer: with it, labels are checked against its alphabet.
        time_steps: T of the model; with it, labels are checked to fit, see `min_steps`.

    Returns:
        A row a finding: `check` and `level` (see `CHECKS`), `image`, `text`, `split`, `detail`. Of a pair of images,
        the row stands for the second, and `detail` names the first.
    """
    require_columns(samples, "image", "text")
    if not all(isinstance(image, (str, os.PathLike)) for image in samples["image"]):
        raise ValueError("lint reads image files: the column image must hold paths, not images in memory")
    samples = samples.reset_index(drop=True)
    if "split" not in samples:
        samples = samples.assign(split="")
    rows = list(samples.itertuples(index=False))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looks = list(tqdm(pool.map(_look, rows), total=len(rows), desc="lint", disable=len(rows) < 2000))
    found = [
        (check, i, detail)
        for i, (row, look) in enumerate(zip(rows, looks, strict=True))
        for check, detail in [*_label_faults(row, tokenizer, time_steps), *look.faults]
    ]
    if samples["split"].any():
        found += [("no split", i, "other images have one") for i, row in enumerate(rows) if not row.split]
    found += _same_text(samples)
    found += _same_image(samples, [look.digest for look in looks])
    found += _nearly_same_image(samples, looks)
    order = list(CHECKS)
    found.sort(key=lambda finding: (order.index(finding[0]), finding[1]))
    table = [(c, CHECKS[c], rows[i].image, rows[i].text, rows[i].split, detail) for c, i, detail in found]
    findings = pd.DataFrame(table, columns=COLUMNS)
    _print(findings, len(samples))
    return findings


def _look(row) -> _Look:
    """Open one image and take down its faults, hash and thumbnail. Never raises."""
    if getattr(row, "problem", ""):
        return _Look([("unusable file", row.problem)])
    try:
        whole = read_image(row.image, "L")
        crop = read_sample(row, "L") if hasattr(row, "corners") or hasattr(row, "box") else whole
        digest = hashlib.sha1(Path(row.image).read_bytes()).hexdigest()
    except (ImageError, OSError) as error:
        reason = getattr(error, "reason", str(error))
        kind = "missing" if not Path(row.image).exists() else "truncated" if "truncated" in reason else "unreadable"
        return _Look([(f"{kind} image", reason)])
    faults = []
    if min(crop.shape) < MIN_SIDE:
        faults.append(("tiny image", f"{crop.shape[1]} x {crop.shape[0]} px"))
    corners = getattr(row, "corners", None)
    if np.ndim(corners) == 2:
        x, y = np.asarray(corners, dtype=float).T
        if x.min() < 0 or y.min() < 0 or x.max() > whole.shape[1] or y.max() > whole.shape[0]:
            size = f"{whole.shape[1]} x {whole.shape[0]} px"
            faults.append(("corners outside the image", f"{corners} in {size}"))
        if np.dot(x, np.roll(y, -1)) < np.dot(y, np.roll(x, -1)):
            faults.append(("corners in wrong order", f"{corners} do not run clockwise from top left"))
    return _Look(faults, digest, thumbnail(crop))


def _label_faults(row, tokenizer: Tokenizer | None, time_steps: int | None) -> Iterator[tuple[str, str]]:
    text = row.text
    if getattr(row, "problem", ""):
        return
    if not text.strip():
        yield "empty label", "the label is empty"
        return
    raw = getattr(row, "label_raw", "") or text
    if raw != normalize(raw):
        yield "label not NFC", f"{quote(raw)} is stored as {quote(text)}"
    if raw != raw.strip():
        yield "label with outer spaces", repr(raw)
    if normalize(raw.strip()) != normalize(text.strip()):
        yield "label rewritten", f"{raw!r} is stored as {text!r}"
    if tokenizer is not None and (missing := tokenizer.missing(text)):
        yield "not in the alphabet", quote(missing)
    needed = min_steps(text if tokenizer is None else tokenizer.on_paper(text))
    if time_steps is not None and needed > time_steps:
        yield "label too long", f"needs {needed} time steps, the model has {time_steps}"
    if getattr(row, "kind", None) == "":
        yield "no plate pattern", f"{text!r} is no number that a Chinese plate can have"


def _same_text(samples: pd.DataFrame) -> Iterator[tuple[str, int, str]]:
    """The first sample of a text in each split but the first; classes of glyphs are in each split as they must be."""
    if "glyph_file" in samples:
        return
    labeled = samples[(samples["text"] != "") & (samples["split"] != "")]
    counts = labeled.groupby(["text", "split"], sort=False).size()
    first = labeled.drop_duplicates(["text", "split"])
    for i in first.index[first.duplicated("text")]:
        shares = counts[samples.at[i, "text"]].items()
        yield "same text in two splits", i, ", ".join(f"{n} in {name}" for name, n in shares)


def _same_image(samples: pd.DataFrame, digests: list[str | None]) -> Iterator[tuple[str, int, str]]:
    """Images that are byte for byte the same as an earlier one."""
    first: dict[str, int] = {}
    for i, digest in enumerate(digests):
        if digest is None or first.setdefault(digest, i) == i:
            continue
        old, new = samples.loc[first[digest]], samples.loc[i]
        detail = f"same bytes as {_name(old, new)}"
        if old["text"] != new["text"]:
            yield "one image, two labels", i, detail
        if old["split"] != new["split"]:
            yield "same image in two splits", i, detail
        else:
            yield ("listed twice" if old["image"] == new["image"] else "duplicate image"), i, detail


def _nearly_same_image(samples: pd.DataFrame, looks: list[_Look]) -> Iterator[tuple[str, int, str]]:
    """Each image whose thumbnail is close to that of an image of another split, with the closest one."""
    seen = [i for i, look in enumerate(looks) if look.thumb is not None and samples.at[i, "split"]]
    if not seen:
        return
    thumbs = np.stack([looks[i].thumb for i in seen])
    splits = samples["split"].to_numpy()[seen]
    best: dict[int, tuple[float, int]] = {}
    for name, other in combinations(dict.fromkeys(splits), 2):
        here, there = np.flatnonzero(splits == name), np.flatnonzero(splits == other)
        for a, b, correlation in near_pairs(thumbs[here], thumbs[there], NEARLY):
            old, new = seen[here[a]], seen[there[b]]
            if looks[old].digest != looks[new].digest:
                best[new] = max(best.get(new, (0.0, old)), (correlation, old))
    for i, (correlation, old) in best.items():
        pair = samples.loc[old], samples.loc[i]
        one, two = (thumbnail(read_sample(row, "L"), _CLOSE).astype(np.float32) for row in pair)
        if one @ two >= CLOSELY:
            yield "nearly same image in two splits", i, f"correlation {correlation:.3f} with {_name(*pair)}"


def _name(old: pd.Series, new: pd.Series) -> str:
    """How a finding about `new` names `old`: file, split, and the label where it differs."""
    notes = [old["split"]] if old["split"] else []
    notes += [f"label {old['text']!r}, not {new['text']!r}"] if old["text"] != new["text"] else []
    return f"{Path(old['image']).name} ({', '.join(notes)})" if notes else Path(old["image"]).name


def _print(findings: pd.DataFrame, n: int) -> None:
    if findings.empty:
        print(f"lint: {n:,} samples, nothing found")
        return
    errors = int((findings["level"] == "error").sum())
    print(f"lint: {n:,} samples, {errors} errors, {len(findings) - errors} warnings")
    width = findings["check"].str.len().max()
    for check, group in findings.groupby("check", sort=False):
        first = group.iloc[0]
        lines = [(first["level"], check, len(group), f"{Path(first['image']).name}: {first['detail']}")]
        kinds = group["detail"].value_counts()
        if check == "unusable file" and 1 < len(kinds) < len(group):
            lines += [("", "", n, f"  {kind}") for kind, n in kinds.head(5).items()]
            if len(kinds) > 5:
                lines.append(("", "", kinds.iloc[5:].sum(), "  for other reasons"))
        for level, name, count, example in lines:
            print(f"  {level:<7}  {name:<{width}}  {count:>6}  {example[:140]}")
