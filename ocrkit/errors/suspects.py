"""Readings and labels that deserve a second look, and slices in which errors gather. Taught in notebook 05."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ocrkit.errors.confusions import in_words
from ocrkit.errors.metrics import score_by
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.strings import normalize, require_columns


def label_losses(recognizer: Recognizer, samples: pd.DataFrame, batch_size: int = 64) -> pd.Series:
    """The loss of each label: how little a `Recognizer` (CTC) or `GlyphClassifier` believes that it is in its image.

    Of N rows with `image` and `text`, returns N losses in nats (minus the log probability of the label), with the index
    of `samples`: inf where the model cannot write the label (a character outside its alphabet, too few time steps, or
    no class of it), NaN where the image cannot be read. Taught in notebook 05.
    """
    require_columns(samples, "image", "text")
    losses = np.full(len(samples), np.nan)
    numbered = samples.assign(_row=np.arange(len(samples)))
    for start in range(0, len(samples), 1024):  # bounds the memory of images and logits
        packed = recognizer.pack(numbered.iloc[start : start + 1024])
        losses[packed.samples["_row"].to_numpy()] = recognizer.label_losses(packed, batch_size)
    return pd.Series(losses, index=samples.index, name="loss")


def top_losses(results: pd.DataFrame, k: int = 30, largest: bool = True) -> pd.DataFrame:
    """The `k` rows with the largest (or smallest) `loss`, a column that `label_losses` makes. Taught in notebook 05."""
    require_columns(results, "loss")
    return results.dropna(subset="loss").sort_values("loss", ascending=not largest, kind="stable").head(k)


def confidently_wrong(results: pd.DataFrame, k: int = 30) -> pd.DataFrame:
    """Return the `k` wrong readings of which the model was most sure. Taught in notebook 05."""
    require_columns(results, "text", "prediction", "confidence")
    wrong = results["text"].map(normalize) != results["prediction"].map(normalize)
    return results[wrong].sort_values("confidence", ascending=False, kind="stable").head(k)


def likely_mislabelled(results: pd.DataFrame, k: int = 50) -> pd.DataFrame:
    """Return the `k` rows whose label is most likely wrong, with their `suspicion`, highest first.

    Only readings that disagree with their label are suspects. Suspicion is loss x confidence: the model does not
    believe the label, but in another text; a dark picture, of which it believes nothing, ranks low. See notebook 05.
    """
    require_columns(results, "loss")
    wrong = confidently_wrong(results, len(results)).dropna(subset="loss")
    suspicion = wrong["loss"] * wrong["confidence"].clip(lower=1e-12)  # an infinite loss stays infinite
    return wrong.assign(suspicion=suspicion).sort_values("suspicion", ascending=False, kind="stable").head(k)


def slices(results: pd.DataFrame, by: str | Sequence[str], bins: int = 4) -> pd.DataFrame:
    """Score the results in slices `by` a column or several, for instance those of `image_facts`.

    Numbers with more than `bins` values are cut into `bins` ranges of about one size, without their first number and
    with their last. Returns a row a slice: `by` (the column), `slice` (its value or range), then as `metrics.score_by`:
    `n` images, accuracy and CER with their 95% intervals. Numbers go upward, other values by n. Raises as `score_by`
    does. Taught in notebook 05.
    """
    names = [by] if isinstance(by, str) else list(by)
    require_columns(results, "text", "prediction", *names)
    tables = []
    for name in names:
        words, order = in_words(results[name], bins, bins)
        table = score_by(results.assign(slice=words.fillna("(missing)")), "slice")
        if order:
            table = table.iloc[table["slice"].map([*order, "(missing)"].index).argsort()]
        tables.append(table.assign(by=name))
    table = pd.concat(tables, ignore_index=True)
    return table[["by", *table.columns.drop("by")]]
