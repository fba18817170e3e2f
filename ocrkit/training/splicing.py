"""New handwriting out of old: labeled images are cut between their letters, and the pieces make other words.

Forced alignment says where each letter of a label stands, so a few hundred labeled images give some thousand pieces in
real handwriting. Lam et al. (2021) do the same with speech, https://arxiv.org/abs/2104.01393. Taught in notebook 08.
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from ocrkit.ctc.alignment import forced_alignment
from ocrkit.data.images import read_sample
from ocrkit.data.packed import pack
from ocrkit.data.sizes import INK, WHITE
from ocrkit.reader.recognizer import Recognizer


class Cut(NamedTuple):
    """An image (uint8 (H, W)), its label, and the columns between which its letters stand: len(text) + 1 of them."""

    image: np.ndarray
    text: str
    bounds: list[int]


def cut_letters(recognizer: Recognizer, samples: pd.DataFrame) -> list[Cut]:
    """Find the columns between the letters of each labeled image; images that no path can write are left out.

    A bound lies where there is least ink between the middles of two letters, as the model aligned them.
    """
    samples = samples[[bool(t) and not recognizer.tokenizer.missing(t) for t in samples["text"]]]
    packed = pack(samples, recognizer.image_size, recognizer.mode, recognizer.resize)
    steps = recognizer.steps(packed.images)
    log_probs, cuts = recognizer.logits(packed.images).log_softmax(-1), []
    for i, row in enumerate(packed.samples.itertuples()):
        codes = recognizer.tokenizer.encode(row.text)
        try:
            (found,) = forced_alignment(log_probs[: steps[i], i : i + 1], [codes])
        except ValueError:
            continue
        image, pixels = read_sample(row, "L"), packed.widths[i] / len(log_probs)
        middles = [(a + b) / 2 * pixels for a, b in found.frames]
        # Before the first letter and after the last, look as far as to the next letter on the other side.
        gap = np.median(np.diff(middles)) if len(middles) > 1 else image.shape[0] / 2
        middles = [middles[0] - gap, *middles, middles[-1] + gap]
        ink = (image < INK).sum(axis=0)
        cuts.append(Cut(image, row.text, [_emptiest(ink, a, b) for a, b in zip(middles, middles[1:])]))
    return cuts


def _emptiest(ink: np.ndarray, start: float, end: float) -> int:
    """The middle of the longest run of columns with the least ink in `start <= x < end`."""
    start, end = max(0, round(start)), min(len(ink), max(round(end), round(start) + 1))
    part = ink[start:end]
    if not len(part):
        return min(max(start, 0), len(ink))
    least = np.flatnonzero(part == part.min())
    runs = np.split(least, np.flatnonzero(np.diff(least) > 1) + 1)
    return start + int(np.mean(max(runs, key=len)))


class Splicer:
    """Makes images of words out of pieces, of at most `longest` letters, of images of about one size.

    `words` says how often each occurs; they are drawn by the square root of that. Raises ValueError where there is
    nothing to cut, no word, or no word whose letters are there.
    """

    def __init__(self, cuts: list[Cut], words: Mapping[str, int], longest: int = 4):
        if not cuts or not words:
            raise ValueError(f"{len(cuts)} cut images and {len(words)} words: splicing needs some of both")
        self.longest, self.words, weights = longest, list(words), np.sqrt(np.array(list(words.values()), dtype=float))
        self.weights = weights / weights.sum()
        self.members: dict[tuple[int, int], list[Cut]] = defaultdict(list)
        for cut in cuts:
            self.members[cut.image.shape[1] // 16, cut.image.shape[0] // 6].append(cut)
        self.groups = {size: _pieces(some, longest) for size, some in self.members.items()}
        self.group_weights = np.array([len(some) for some in self.members.values()]) / len(cuts)
        if not any(set(word) <= pieces.keys() for pieces in self.groups.values() for word in self.words):
            raise ValueError("no group of cut images has all the letters of a word: splicing cannot make any")

    def splice(self, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """A word and its image, uint8 (H, W); words whose letters a group lacks or has no room for are drawn anew."""
        for _ in range(10_000):
            size = list(self.groups)[rng.choice(len(self.groups), p=self.group_weights)]
            text = self.words[rng.choice(len(self.words), p=self.weights)]
            if parts := self._divide(text, self.groups[size], rng):
                form = self.members[size][rng.choice(len(self.members[size]))]
                strips = [form.image[:, : form.bounds[0]], *parts]
                if sum(strip.shape[1] for strip in strips) <= form.image.shape[1]:
                    return text, _join(strips, form.image.shape)
        raise ValueError("10,000 words in a row did not fit into any of the cut images: give shorter words")

    def _divide(self, text: str, pieces: Mapping[str, list], rng: np.random.Generator) -> list[np.ndarray]:
        """Pieces for a text from left to right, each as long as chance has it, or [] where a letter is not there."""
        parts, at = [], 0
        while at < len(text):
            lengths = [k for k in range(1, min(self.longest, len(text) - at) + 1) if text[at : at + k] in pieces]
            if not lengths:
                return []
            among = pieces[text[at : at + (length := int(rng.choice(lengths)))]]
            parts.append(among[rng.integers(len(among))])
            at += length
        return parts


def _pieces(cuts: list[Cut], longest: int) -> dict[str, list[np.ndarray]]:
    """Text of up to `longest` letters -> its pieces."""
    pieces = defaultdict(list)
    for image, text, bounds in cuts:
        for first, last in combinations(range(len(text) + 1), 2):
            if last - first <= longest:
                pieces[text[first:last]].append(image[:, bounds[first] : bounds[last]])
    return pieces


def _join(strips: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Strips side by side on white; where they differ in height, half of that is above the line."""
    canvas, x = np.full(shape, WHITE, np.uint8), 0
    for strip in strips:
        low = (len(canvas) - len(strip)) // 2
        rows = strip[max(0, -low) : max(0, -low) + len(canvas)]
        canvas[max(0, low) : max(0, low) + len(rows), x : x + strip.shape[1]] = rows
        x += strip.shape[1]
    return canvas


def splice_words(
    recognizer: Recognizer, samples: pd.DataFrame, words: Mapping[str, int], n: int, seed: int = 0
) -> pd.DataFrame:
    """`n` new images out of those of `samples`, as a samples table: `image` (uint8 (H, W)), `text`, `split`."""
    splicer, rng = Splicer(cut_letters(recognizer, samples), words), np.random.default_rng(seed)
    texts, images = zip(*(splicer.splice(rng) for _ in range(n)))
    return pd.DataFrame({"image": pd.Series(images, dtype=object), "text": texts, "split": "train"})
