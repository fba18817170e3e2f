"""The clinic: tests that take seconds and tell why a recognizer does not read, or why its score cannot be believed."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss
from torch.nn.modules.batchnorm import _BatchNorm

from ocrkit.data.duplicates import CLOSELY, NEARLY, near_pairs, thumbnail
from ocrkit.data.images import ImageError, read_sample
from ocrkit.data.packed import Packed
from ocrkit.errors.metrics import cer
from ocrkit.reader.device import evaluating, normalize_images
from ocrkit.reader.hooks import observed
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.strings import require_columns
from ocrkit.text.tokenizer import Tokenizer, min_steps

COLUMNS = ["check", "ok", "finding", "cure"]
MOST = 1000  # images of training that are compared with those of the test
_MISSING = ("nan", "None", "NaN", "<NA>", "NaT")  # what missing values become where they are turned into text
#: Other ways than `normalize_images` to bring bytes to floats; a model trained on one of them prefers it.
SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda x: x.float(),
    "0..1": lambda x: x / 255,
    "-1..1 with black and white swapped": lambda x: 1 - x / 127.5,
}


class _Case(NamedTuple):
    """What all tests look at: the whole table, and of some labeled images what the model makes of them."""

    recognizer: Recognizer
    samples: pd.DataFrame
    packed: Packed
    codes: Tensor  # (T, N), the best class of each time step
    readings: list[str]

    def losses(self, images: Tensor) -> float:
        """The mean CTC loss a character, in nats, of float images `(N, C, H, W)`, in the mode that the model is in."""
        reader, device = self.recognizer, self.recognizer.device
        steps = reader.steps(self.packed.images)
        log_probs = reader.model(images.to(device), steps.to(device)).log_softmax(-1).cpu()
        rows, lengths = reader.tokenizer.encode_batch(self.packed.texts)
        lengths = torch.tensor(lengths)
        loss = ctc_loss(log_probs, torch.tensor(rows), steps.clamp(max=len(log_probs)), lengths, reduction="none")
        return float((loss / lengths)[loss.isfinite()].mean())

    def share(self, *classes: int) -> float:
        """The share of the frames that say one of these classes."""
        return torch.isin(self.codes, torch.tensor(classes)).float().mean().item()


def examine(recognizer: Recognizer, samples: pd.DataFrame, n: int = 64) -> pd.DataFrame:
    """Try the tests of the clinic on a recognizer and the samples it shall read; print OK or ILL, a line a test.

    Labels are looked at in all rows of `samples`. The model reads `n` images, evenly spaced over those of the split
    `test`, or over all where no such split is, and is left as it was, train or eval mode included. Returns a row a
    test: `check`, `ok`, `finding` (what was measured), and `cure` (what to do, "" where all is well).

    OK proves nothing; ILL is a symptom. Where texts come again by nature, as names do, a text in two splits is a
    question, not a fault. Taught in notebook 12a.
    """
    require_columns(samples, "image", "text")
    if n < 1:
        raise ValueError(f"n={n}: at least one image must be read")
    usable = samples[[not _fault(text, recognizer.tokenizer) for text in samples["text"]]]
    if "split" in usable and (usable["split"] == "test").any():
        usable = usable[usable["split"] == "test"]
    packed = recognizer.pack(_spaced(usable, n))
    rows = [("labels", *_labels(recognizer.tokenizer, samples, packed), CURES["labels"])]
    if len(packed):
        readings = [reading.text for reading in recognizer.decode(packed.images)]
        case = _Case(recognizer, samples, packed, recognizer.logits(packed.images).argmax(-1), readings)
        rows += [(name, *test(case), CURES[name]) for name, test in TESTS.items()]
    else:
        rows += [(name, False, "not tried: no image with a usable label is left", CURES["labels"]) for name in TESTS]
    table = pd.DataFrame([(name, ok, finding, "" if ok else cure) for name, ok, finding, cure in rows], columns=COLUMNS)
    for row in table.itertuples():
        print(f"{'OK ' if row.ok else 'ILL'}  {row.check:<16} {row.finding}")
    return table


def _spaced(samples: pd.DataFrame, n: int) -> pd.DataFrame:
    """`n` rows, evenly spaced, or all where there are fewer."""
    return samples.iloc[np.unique(np.linspace(0, len(samples) - 1, min(n, len(samples))).round().astype(int))]


def _fault(text: object, tokenizer: Tokenizer) -> str:
    """Why a label cannot be used, or ""."""
    if not isinstance(text, str):
        return "missing" if pd.api.types.is_scalar(text) and pd.isna(text) else "not text"
    if not text.strip():
        return "empty"
    if text in _MISSING and tokenizer.missing(text):
        return "missing, turned into text"
    return "not in the alphabet" if tokenizer.unknown == "error" and tokenizer.missing(text) else ""


def _labels(tokenizer: Tokenizer, samples: pd.DataFrame, packed: Packed) -> tuple[bool, str]:
    faults = Counter(filter(None, (_fault(text, tokenizer) for text in samples["text"])))
    if len(packed.rejected):
        faults[f"with an image that cannot be read ({packed.rejected['reason'].iloc[0]})"] = len(packed.rejected)
    found = "; ".join(f"{count} {fault}" for fault, count in faults.items())
    return not faults, f"of {len(samples)} labels: {found}" if faults else f"{len(samples)} labels are texts"


def _steps(case: _Case) -> tuple[bool, str]:
    tokenizer, most = case.recognizer.tokenizer, case.recognizer.model.time_steps
    texts = [text for text in case.samples["text"] if isinstance(text, str)]
    long = sum(min_steps(tokenizer.on_paper(text)) > most for text in texts)
    own = case.recognizer.steps(case.packed.images).tolist()
    here = sum(min_steps(tokenizer.on_paper(t)) > steps for t, steps in zip(case.packed.texts, own))
    return not long and not here, (
        f"{long} of {len(texts)} labels need more than the {most} time steps of the model; "
        f"{here} of {len(own)} more than their image has"
    )


def _speaks(case: _Case) -> tuple[bool, str]:
    silent = np.mean([not text for text in case.readings])
    common, labels = (Counter(texts).most_common(1)[0][1] / len(texts) for texts in (case.readings, case.packed.texts))
    blank = case.share(Tokenizer.BLANK)
    finding = f"{silent:.0%} of the readings are empty, {common:.0%} are one text; {blank:.0%} of the frames are blank"
    return bool(max(silent, common - labels) <= 0.5), finding


def _blank(case: _Case) -> tuple[bool, str]:
    """With the blank at a wrong index, the class that plays the blank is read between all characters."""
    read, labels = Counter("".join(case.readings)), Counter("".join(case.packed.texts))
    total, wanted = max(read.total(), 1), labels.total()
    excess, worst = max(((read[c] / total - labels[c] / wanted, c) for c in read), default=(0.0, ""))
    blank, many = case.share(Tokenizer.BLANK), read.total() / wanted
    finding = f"blank takes {blank:.0%} of the frames; {many:.2f} characters are read for one written"
    if excess <= 0.2 or many <= 1.1:
        return True, finding
    return False, f"{finding}, and {worst!r} stands between the others"


def _padding(case: _Case) -> tuple[bool, str]:
    share = case.share(Tokenizer.PAD, *[Tokenizer.OOV] * (case.recognizer.tokenizer.unknown != "oov"))
    return share <= 0.002, f"{share:.1%} of the frames say PAD or OOV, which no label has"


def _neighbors(case: _Case) -> tuple[bool, str]:
    training = sum(module.training for module in case.recognizer.model.modules())
    images = case.packed.images
    together, alone = (case.recognizer.logits(some).softmax(-1)[:, 0] for some in (images, images[:1]))
    change = (together - alone).abs().max().item()
    finding = f"{training} layers are in training mode; alone or in a batch, probabilities differ by {change:.0e}"
    return not training and change < 0.01, finding


def _statistics(case: _Case) -> tuple[bool, str]:
    norms = [module for module in case.recognizer.model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return True, "the model has no batch normalization"
    images = normalize_images(case.packed.images)
    with observed(case.recognizer.model), torch.no_grad():
        kept = case.losses(images)
        for module in norms:
            module.train()
        fresh = case.losses(images)
    finding = f"loss a character {kept:.3f} with the statistics it kept, {fresh:.3f} with those of the batch"
    return not (kept > 0.3 and kept > 2 * fresh), finding


def _scale(case: _Case) -> tuple[bool, str]:
    images = case.packed.images
    if images.max() <= 1:
        return False, f"the largest byte of all pixels is {images.max()}: the images were divided by 255 before"
    with evaluating(case.recognizer.model), torch.inference_mode():
        own = case.losses(normalize_images(images))
        others = {name: case.losses(scale(images)) for name, scale in SCALES.items()}
    best = min(others, key=others.get)
    finding = f"loss a character {own:.3f} on images in -1..1, {others[best]:.3f} on {best}"
    return not (own > 0.3 and own > 2 * others[best]), finding


def _order(case: _Case) -> tuple[bool, str]:
    texts = case.packed.texts
    right_to_left = sum(any(unicodedata.bidirectional(c) in ("R", "AL") for c in text) for text in texts)
    typed = right_to_left if case.recognizer.tokenizer.order == "logical" else 0
    rate, turned = cer(texts, case.readings), cer(texts, [text[::-1] for text in case.readings])
    finding = f"CER {rate:.3f}, turned around {turned:.3f}; {typed} labels from right to left are encoded as typed"
    return rate <= 0.1 or not (typed or turned < rate / 2), finding


def _leak(case: _Case) -> tuple[bool, str]:
    samples = case.samples
    if "split" not in samples or not {"train", "test"} <= set(samples["split"]):
        return True, "the samples are not split into train and test: nothing to compare"
    train, test = (samples[samples["split"] == name] for name in ("train", "test"))
    texts = test["text"][test["text"].map(lambda text: isinstance(text, str) and bool(text))]
    seen = int(texts.isin(set(train["text"])).sum())
    old, new = _thumbs(_spaced(train, MOST)), _thumbs(case.packed.samples)
    pairs = near_pairs(*(np.stack([small for small, _ in part]) for part in (old, new)), NEARLY) if old and new else []
    # As in `lint`, those that look alike small are looked at again, larger.
    twins = {j for i, j, _ in pairs if float(old[i][1].astype(np.float32) @ new[j][1]) >= CLOSELY}
    return not seen and not twins, (
        f"{seen} of {len(texts)} test labels and {len(twins)} of {len(new)} test images are in training, too "
        f"({len(old)} images compared)"
    )


def _thumbs(samples: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """A small and a large thumbnail of each image that can be read and is not even."""
    found = []
    for row in samples.itertuples():
        with suppress(ImageError):
            image = read_sample(row, "L")
            found.append((thumbnail(image), thumbnail(image, (64, 256))))
    return [pair for pair in found if all(thumb is not None for thumb in pair)]


TESTS: dict[str, Callable[[_Case], tuple[bool, str]]] = {
    "time steps": _steps,
    "speaks": _speaks,
    "blank index": _blank,
    "padding": _padding,
    "neighbors": _neighbors,
    "batch statistics": _statistics,
    "pixel range": _scale,
    "reading order": _order,
    "splits": _leak,
}
#: Test -> what to do where it says ILL.
CURES = {
    "labels": "read tables with keep_default_na=False and dtype=str; set aside what lint names, and say how many",
    "time steps": "widen the images or pool the width less; set aside what still does not fit, never count it as 0",
    "speaks": "early in training: wait; else lower the learning rate until overfit_one_batch learns a few by heart",
    "blank index": "give the loss and the decoder one blank index, 0 in ocrkit, and train again",
    "padding": "give the loss the true length of each label, not the length of the rectangle, and train again",
    "neighbors": "call model.eval() before reading, or read with Recognizer.read; normalize with kept statistics",
    "batch statistics": "load the buffers with the weights (state_dict, strict=True), or train with larger batches",
    "pixel range": "scale images for reading as for training: one function for both, normalize_images in ocrkit",
    "reading order": 'encode right-to-left labels as they stand on paper: Tokenizer(order="visual")',
    "splits": "split by text, not by image (assign_splits), look for twins with lint, and train again",
}
