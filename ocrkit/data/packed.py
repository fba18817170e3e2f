"""Packed images: decoded and resized once, kept as bytes, and mixed from several sets. Taught in notebook 03."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ocrkit.data.images import ImageError, read_sample
from ocrkit.data.sizes import fit_size
from ocrkit.text.strings import require_columns


@dataclass
class Packed(Dataset):
    """Images of one size with their texts, in memory.

    Attributes:
        images: `(N, C, H, W)` uint8.
        samples: the N rows of the samples table, in the same order.
        widths: N, how many pixels of the image as it was the width W stands for; its own where it was squeezed.
        rejected: the rows that could not be read, with a column `reason`.
    """

    images: Tensor
    samples: pd.DataFrame
    widths: list[float]
    rejected: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self):
        if not len(self.images) == len(self.samples) == len(self.widths):
            raise ValueError(
                f"{len(self.images)} images, {len(self.samples)} samples and {len(self.widths)} widths: "
                "each image needs its row and its width"
            )
        self.texts = self.samples["text"].tolist() if "text" in self.samples else [""] * len(self.samples)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        return self.images[index], self.texts[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, list[str]]:
        """A whole batch in one indexing step; `DataLoader` calls this instead of N times `__getitem__`."""
        return self.images[torch.as_tensor(indices)], [self.texts[i] for i in indices]

    def keep(self, mask: Sequence[bool]) -> "Packed":
        """The part of the pack where `mask` (N booleans) is true."""
        mask = np.asarray(mask, dtype=bool)
        widths = [w for w, kept in zip(self.widths, mask) if kept]
        return Packed(self.images[torch.from_numpy(mask)], self.samples[mask], widths, self.rejected)


def pack(
    samples: pd.DataFrame, size: tuple[int, int] = (32, 128), mode: str = "RGB", resize: str = "squeeze"
) -> Packed:
    """Read every sample, crop it where the table says so, and bring it to `size`, (height, width) in pixels.

    `mode` is `"RGB"` or `"L"` (grey), `resize` `"squeeze"` or `"pad"`, see `sizes.fit_size`. A file that cannot be read
    stops nothing: it is left out, and `Packed.rejected` names it and why. Taught in notebook 03.
    """
    images = np.empty((len(samples), 1 if mode == "L" else 3, *size), dtype=np.uint8)
    kept, widths, reasons = [], [], {}
    for i, row in enumerate(samples.itertuples()):
        try:
            small, width = fit_size(read_sample(row, mode), size, resize)
        except ImageError as error:
            reasons[i] = error.reason
            continue
        images[len(kept)] = small[None] if small.ndim == 2 else small.transpose(2, 0, 1)
        kept.append(i)
        widths.append(width)
    rejected = samples.iloc[list(reasons)].assign(reason=list(reasons.values()))
    # A copy only where something was left out: otherwise the block is the image store itself.
    images = images if len(kept) == len(samples) else images[: len(kept)].copy()
    return Packed(torch.from_numpy(images), samples.iloc[kept], widths, rejected)


def pack_any(
    samples: pd.DataFrame | str | Path | np.ndarray | Sequence,
    size: tuple[int, int],
    mode: str = "RGB",
    resize: str = "squeeze",
) -> Packed:
    """As `pack`, of a samples table, of one image or of a list of them: paths or uint8 arrays.

    Raises:
        TypeError: `samples` is none of these.
        ValueError: the table has no column `image`, or an image that was not in a table cannot be read.
    """
    packed = pack(as_table(samples), size, mode, resize)
    if len(packed.rejected) and not isinstance(samples, pd.DataFrame):
        raise ValueError("; ".join(f"{r.image}: {r.reason}" for r in packed.rejected.itertuples()))
    return packed


def as_table(images: pd.DataFrame | str | Path | np.ndarray | Sequence) -> pd.DataFrame:
    """A table with `image`, of such a table, of one image or of a list of them; raises as `pack_any`."""
    if isinstance(images, pd.DataFrame):
        require_columns(images, "image")
        return images
    if isinstance(images, (str, Path, np.ndarray)):
        images = [images]
    if not isinstance(images, Sequence) or not all(isinstance(i, (str, Path, np.ndarray)) for i in images):
        raise TypeError(f"images are a samples table, paths or uint8 arrays, not {type(images).__name__}")
    images = [i if isinstance(i, np.ndarray) else str(i) for i in images]
    return pd.DataFrame({"image": pd.Series(images, dtype=object)})


def pack_arrays(images: np.ndarray, samples: pd.DataFrame) -> Packed:
    """Make a `Packed` of images that are in memory already: `(N, H, W, 3)` or `(N, H, W)` uint8 and N rows."""
    images = images[..., None] if images.ndim == 3 else images
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return Packed(tensor, samples, [images.shape[2]] * len(images))


def concatenate(packs: Sequence[Packed]) -> Packed:
    """Join packs of one image size by copying; `Mixed` joins without.

    Raises ValueError: the packs hold images of different sizes.
    """
    _check_sizes(packs)
    return Packed(
        torch.cat([p.images for p in packs]),
        pd.concat([p.samples for p in packs], ignore_index=True),
        [w for p in packs for w in p.widths],
        pd.concat([p.rejected for p in packs], ignore_index=True),
    )


class Mixed(Dataset):
    """`Packed`s of one image size dealt out as one set, without a copy.

    `repeats` says how often the images of each part count in an epoch, once by default. Raises ValueError: the packs
    hold images of different sizes.
    """

    def __init__(self, parts: Sequence[Packed], repeats: Sequence[int] | None = None):
        _check_sizes(parts)
        self.parts, self.repeats = list(parts), list(repeats or [1] * len(parts))
        self.ends = np.cumsum([len(p) * r for p, r in zip(self.parts, self.repeats, strict=True)])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        part = int(np.searchsorted(self.ends, index, side="right"))
        return self.parts[part][(index - self.ends[part]) % len(self.parts[part])]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, list[str]]:
        """A whole batch, gathered part by part and put back into the order of `indices`."""
        indices = np.asarray(indices)
        owners, images, texts = np.searchsorted(self.ends, indices, side="right"), [], []
        for k in np.unique(owners):
            some, words = self.parts[k].__getitems__((indices[owners == k] - self.ends[k]) % len(self.parts[k]))
            images.append(some)
            texts += words
        back = np.argsort(np.argsort(owners, kind="stable"))
        return torch.cat(images)[torch.from_numpy(back)], [texts[i] for i in back]


def _check_sizes(packs: Sequence[Packed]) -> None:
    for other in (p for p in packs if not hasattr(p, "images")):
        raise TypeError(
            f"{type(other).__name__} cannot be joined with other packs: write all sets into one folder of shards, "
            "see shards.write_shards"
        )
    shapes = {tuple(p.images.shape[1:]) for p in packs}
    if len(shapes) != 1:
        raise ValueError(f"these packs cannot be joined, their images (C, H, W) differ: {sorted(shapes)}")
