"""Checks on heat maps: a map that looks right may show the picture and not the model. Taught in notebook 06."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ocrkit.maps.cam import covered_scores, method_named, prepare
from ocrkit.maps.targets import Target, class_target
from ocrkit.reader.hooks import observed


def randomized_check(
    model: nn.Module,
    images: Tensor,
    layer: str | nn.Module,
    target: Target | int,
    method: str = "grad_cam",
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the maps of the trained model with those of ever more random ones, from the last layer to the first.

    A map that stays the same when the weights become random does not show what the model has learned. Arguments as of
    `cam.grad_cam`; `method` is a key of `cam.METHODS`. Returns a row a layer: `layer` (it and all after it are random)
    and `rank_correlation` with the maps of the trained model, the mean over all maps.

    Source: Adebayo et al. (2018), "Sanity checks for saliency maps", https://arxiv.org/abs/1810.03292.
    Taught in notebook 06.
    """
    explain, rows = method_named(method), []
    with observed(model):
        trained = _flat(explain(model, images, layer, target))
        torch.manual_seed(seed)
        for name, module in reversed(list(model.named_modules())):
            if not hasattr(module, "reset_parameters") or not any(True for _ in module.parameters(recurse=False)):
                continue
            module.reset_parameters()
            pairs = zip(trained, _flat(explain(model, images, layer, target)))
            rows.append((name, np.mean([rank_correlation(a, b) for a, b in pairs])))
    return pd.DataFrame(rows, columns=["layer", "rank_correlation"])


def _flat(maps: np.ndarray) -> np.ndarray:
    """All maps in one row `(M, H, W)`, without those of characters that an image lacks."""
    maps = maps.reshape(-1, *maps.shape[-2:])
    return maps[~np.isnan(maps).any((1, 2))]


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps, -1..1; 0 where one of them has a single value."""
    ranks = [pd.Series(m.ravel()).rank() for m in (a, b)]
    if any(r.nunique() == 1 for r in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def random_boxes(size: tuple[int, int], box: int = 8, seed: int = 0) -> np.ndarray:
    """A map `(H, W)` of boxes with random values: what any honest method must beat."""
    height, width = size
    values = np.random.default_rng(seed).random((-(-height // box), -(-width // box)))
    return np.kron(values, np.ones((box, box)))[:height, :width]


@torch.no_grad()
def deletion_insertion(
    model: nn.Module,
    images: Tensor,
    target: Target | int,
    maps: Mapping[str, np.ndarray],
    steps: int = 16,
    fill: float = 0.0,
    random: int = 5,
) -> pd.DataFrame:
    """Cover the pixels that a map calls important, the most important first, and see how fast the score falls.

    Deletion starts from the image and ends with nothing; insertion starts from nothing and puts pixels back. The areas
    under both curves are the scores: a map that shows what the model uses has little area for deletion and much for
    insertion. Take a target with `scale="probability"`, so that areas lie in 0..1.

    Args:
        images, target: as for `cam.grad_cam`; where the target is a number, it is the probability of that class.
        maps: name -> maps `(N, H, W)` or `(N, M, H, W)`, as the scores of the target; a ValueError where they are not.
        steps, fill: how often pixels are taken away, and the value of covered ones: 0 is mid-gray for a `Recognizer`.
        random: how many maps of random boxes are averaged in the row `"random boxes"`; 0 leaves it out.

    Returns a row a name, best first: `map`, `deletion`, `insertion`, `difference` (insertion less deletion), and `n`,
    the number of single maps.

    Source: Petsiuk, Das, Saenko (2018), "RISE", https://arxiv.org/abs/1806.07421. Taught in notebook 06.
    """
    images = prepare(model, images)
    target = target if callable(target) else class_target(target, "probability")
    size = tuple(images.shape[-2:])
    with observed(model), torch.no_grad():
        whole = target(model(images), torch.arange(len(images)))
        known = (~torch.isnan(whole)).cpu().numpy()
        trials = [(name, np.asarray(values)) for name, values in maps.items()]
        for name, values in trials:
            if values.shape != (*whole.shape, *size):
                raise ValueError(f"the maps {name!r} have shape {values.shape}, not {(*whole.shape, *size)}")
        chance = (random_boxes(size, seed=k) for k in range(random))
        trials += [("random boxes", np.broadcast_to(heat, (*known.shape, *size))) for heat in chance]
        rows = []
        for name, values in trials:
            for place in np.argwhere(known):
                curves = _curves(model, images, target, values[tuple(place)], place, steps, fill)
                rows.append((name, *((c[1:] + c[:-1]).mean() / 2 for c in curves)))
    of_map = pd.DataFrame(rows, columns=["map", "deletion", "insertion"]).groupby("map", sort=False)
    table = of_map.mean()
    table = table.assign(difference=table["insertion"] - table["deletion"], n=of_map.size()).reset_index()
    return table.sort_values("difference", ascending=False, ignore_index=True)


def _curves(model, images, target, heat, place, steps, fill) -> np.ndarray:
    """Scores `(2, steps + 1)` of one image and character: by deletion, and by insertion."""
    row = int(place[0])
    # Many pixels of a map are exactly 0; among equal ones the order is random, or the top left would always win.
    order = np.lexsort((np.random.default_rng(0).random(heat.size), -heat.ravel()))
    rank = torch.from_numpy(order.argsort().reshape(heat.shape)).to(images.device)
    counts = torch.linspace(0, heat.size, steps + 1, device=images.device)[:, None, None]
    first = rank < counts  # (steps + 1, H, W)
    covers = torch.cat([first, ~first])[:, None]
    scores = covered_scores(model, images, target, row, covers, fill).reshape(2 * (steps + 1), -1)
    return scores[:, int(place[1]) if len(place) > 1 else 0].reshape(2, -1).cpu().numpy()
