"""How far features lie from their centers while a model trains: tables, a plot, and TensorBoard.

Taught in notebook 07.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from ocrkit.data.packed import Packed
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.alphabets import LOOK_ALIKES, brothers
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.centers import Aligned, class_means, collect


def _kin(texts: Sequence[str], groups: Iterable[str]) -> Tensor:
    """`(K, K)`: which characters are brothers, others of one group of look-alikes."""
    alike = brothers(groups)
    return torch.tensor([[bool(b) and b in alike.get(a, "") for b in texts] for a in texts])


def center_distances(
    found: Aligned, tokenizer: Tokenizer, centers: Tensor | None = None, groups: Iterable[str] = LOOK_ALIKES
) -> pd.DataFrame:
    """Where each feature lies between its own center and those of its brothers, the look-alikes of its character.

    Without `centers` `(K, D)` they are the means of the features, and a feature is left out of the mean of its own
    class: among few it would draw that near, and seem to lie well wherever it lies.

    Returns a row a feature: `image`, `text` (the character), `own` (distance to its own center), `brother` (to the
    nearest center of a brother), `nearest` (that brother), `margin` (`brother - own`) and `confidence`; NaN and ""
    without a brother that has a center, and NaN for `own` of a class's only feature without `centers`.
    """
    known = class_means(found.features, found.classes) if centers is None else dict(enumerate(centers.detach().cpu()))
    texts, points = [tokenizer.decode([c]) for c in known], torch.stack(list(known.values()))
    place = torch.tensor([list(known).index(c) for c in found.classes.tolist()])
    own = (found.features - points[place]).norm(dim=1)
    if centers is None:  # the mean of the n - 1 others is n / (n - 1) as far away as that of all n
        n = place.bincount()[place]
        own = (own * n / (n - 1)).where(n > 1, torch.nan)
    away = torch.cdist(found.features, points, compute_mode="donot_use_mm_for_euclid_dist")
    brother, nearest = away.where(_kin(texts, groups)[place], torch.inf).min(1)
    columns = {
        "image": found.images.tolist(),
        "text": [texts[k] for k in place.tolist()],
        "own": own.tolist(),
        "brother": brother.where(brother.isfinite(), torch.nan).tolist(),
        "nearest": [texts[k] if d < torch.inf else "" for k, d in zip(nearest.tolist(), brother.tolist())],
        "margin": (brother - own).where(brother.isfinite(), torch.nan).tolist(),
        "confidence": found.confidence.tolist(),
    }
    return pd.DataFrame(columns)


def between_centers(
    centers: Mapping[int, Tensor], tokenizer: Tokenizer, groups: Iterable[str] = LOOK_ALIKES
) -> tuple[float, float]:
    """Mean distance of centers that are brothers, and of all pairs; `centers` is class -> `(D,)`."""
    kin, n = _kin([tokenizer.decode([c]) for c in centers], groups), len(centers)
    apart = torch.cdist(points := torch.stack(list(centers.values())), points)
    return (apart[kin].mean().item() if kin.any() else float("nan")), apart.sum().item() / max(n * (n - 1), 1)


class Tracker:
    """Measures distances in `packed`, a few hundred images, every so many steps; pass it to `loop.fit` as `on_step`.

    `centers` is the `CenterLoss` whose centers are meant; None takes the means of the features, which makes models
    comparable. The features of the steps in `keep` are kept in `maps`, step -> `centers.Aligned`.

    `table` has a row a measurement: `step`; over the look-alikes, the means `own`, `brother` and `margin`, the share
    `astray` of features that lie nearer to a brother's center, and `agreement`, the rank correlation of margin and
    confidence; then `spread`, the mean distance of all features to their centers, and `between_brothers` and
    `between_all`, mean distances of centers.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        packed: Packed,
        centers: torch.nn.Module | None = None,
        groups: Iterable[str] = LOOK_ALIKES,
        every: int = 50,
        keep: Iterable[int] = (),
    ):
        self.recognizer, self.packed, self.centers = recognizer, packed, centers
        self.groups, self.every, self.keep = tuple(groups), every, set(keep)
        self.rows: list[dict[str, float]] = []
        self.maps: dict[int, Aligned] = {}
        self(0)

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def __call__(self, step: int) -> None:
        if step % self.every and step not in self.keep:
            return
        found = collect(self.recognizer, self.packed)
        if step in self.keep:
            self.maps[step] = found
        if step % self.every == 0:
            self.rows.append({"step": step, **self._measure(found)})

    def _measure(self, found: Aligned) -> dict[str, float]:
        tokenizer, centers = self.recognizer.tokenizer, None if self.centers is None else self.centers.centers
        distances = center_distances(found, tokenizer, centers, self.groups)
        known = class_means(found.features, found.classes)
        if centers is not None:
            known = {c: centers[c].detach().cpu() for c in known}
        between = between_centers(known, tokenizer, self.groups)
        alike = distances[distances["margin"].notna()]
        return {
            **alike[["own", "brother", "margin"]].mean().to_dict(),
            "astray": (alike["margin"] < 0).mean(),
            "agreement": alike["margin"].rank().corr(alike["confidence"].rank()),
            "spread": distances["own"].mean(),
            **dict(zip(("between_brothers", "between_all"), between)),
        }
