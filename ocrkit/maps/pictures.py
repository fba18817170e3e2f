"""Pictures of heat maps and of CTC: what is drawn over the image, and what stands below it. Taught in notebook 06."""

from collections.abc import Iterable
from html import escape

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ocrkit.ctc.alignment import forced_alignment
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.ctc.lattice import BLANK
from ocrkit.data.images import resize
from ocrkit.errors.diffs import visible
from ocrkit.errors.gallery import Gallery, find_fonts, image_tag, in_words
from ocrkit.errors.plots import Picture
from ocrkit.maps.cam import CharacterMaps, read_one
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.strings import normalize
from ocrkit.text.tokenizer import Tokenizer

_MARK, _BOX = "#d55e00", "#00c8ff"


def overlay(image: np.ndarray, heat: np.ndarray, alpha: float = 0.6) -> np.ndarray:
    """A map `(h, w)` of any size laid over its uint8 image `(H, W, 3)` or `(H, W)`; gives uint8 `(H, W, 3)`.

    In the colors of magma, black is its lowest value and light yellow its highest; what is below 0, so speaks against
    the target, counts as 0. `alpha` says how much the map covers the image, 0..1.
    """
    heat = np.clip(np.nan_to_num(heat), 0, None).astype(np.float64)
    heat = heat - heat.min()
    small = np.uint8(np.round(255 * heat / max(heat.max(), 1e-30)))
    colors = 255 * colormaps["magma"](resize(small, image.shape[:2]))[..., :3]
    image = image[..., None] if image.ndim == 2 else image
    return np.uint8(np.round((1 - alpha) * image + alpha * colors))


def ctc_frames(recognizer: Recognizer, image, text: str | None = None, others: int = 2) -> Figure:
    """Where did it read that? The image, and below it the probability of each class at each time step.

    A row a character of the text, in reading order, with its frames boxed; below them the strongest `others` that were
    not chosen, and the blank. Arguments and errors are those of `cam.character_maps`. Taught in notebook 06.
    """
    pixels, tensor = read_one(recognizer, image)
    tokenizer, log_probs = recognizer.tokenizer, recognizer.logits(tensor).log_softmax(-1)
    reading = greedy_decode(log_probs, tokenizer)[0]
    text = reading.text if text is None else normalize(text)
    codes = tokenizer.encode(text)
    frames = forced_alignment(log_probs, [codes])[0].frames
    probs = log_probs[:, 0].exp()  # (T, K)
    strongest = probs.amax(0).argsort(descending=True).tolist()
    rest = [c for c in strongest if c >= Tokenizer.SPECIAL and c not in codes][:others]
    rows = [*codes, *rest, BLANK]
    names = _names([tokenizer.decode([c]) or "blank" for c in rows])

    drawing = Picture(figsize=(7, 1.5 + 0.24 * len(rows)), layout="constrained")
    top, below = drawing.subplots(2, 1, sharex=True, height_ratios=(1.3, 0.24 * len(rows)))
    steps = len(probs)
    top.imshow(pixels, cmap="gray", vmin=0, vmax=255, aspect="auto", extent=(0, steps, 1, 0))
    top.set_yticks([])
    top.tick_params(bottom=False)
    title = f"read: {''.join(_names(reading.text)) or '(nothing)'}, confidence {reading.confidence:.2f}"
    top.set_title(title, fontsize=10, fontfamily=find_fonts(reading.text)[0])
    picture = below.imshow(
        probs[:, rows].T.numpy(), cmap="magma", vmin=0, vmax=1, aspect="auto", extent=(0, steps, len(rows), 0)
    )
    below.set_yticks(np.arange(len(rows)) + 0.5, names, fontsize=9, fontfamily=find_fonts(text)[0])
    below.set(xlabel="time step")
    below.axhline(len(codes), color="white", linewidth=0.8)
    for k, (start, end) in enumerate(frames):
        box = Rectangle((start, k), end - start, 1, fill=False, edgecolor=_BOX, linewidth=1.5, clip_on=False)
        below.add_patch(box)
        top.axvspan(start, end, color=_BOX, alpha=0.25, linewidth=0)
    drawing.colorbar(picture, ax=[top, below], label="probability", fraction=0.03)
    return drawing


def maps_html(found: CharacterMaps, characters: Iterable[int] | None = None, height: int = 72) -> Gallery:
    """Overlays as HTML, `height` pixels high, of all `characters` or those at the given places, marked in the text."""
    chosen = range(len(found.text)) if characters is None else characters
    width = round(height * found.image.shape[1] / found.image.shape[0])
    boxes = [
        f'<div style="width:{width}px">{image_tag(overlay(found.image, found.maps[k]), height)}'
        f"{_strip_html(found, k)}</div>"
        for k in chosen
    ]
    style = "display:flex;flex-wrap:wrap;gap:16px;font:14px sans-serif"
    return Gallery(f'<div style="{style}">{"".join(boxes) or "<i>(no characters)</i>"}</div>')


def _strip_html(found: CharacterMaps, chosen: int) -> str:
    cells = []
    for k in found.order:
        look = f"color:{_MARK};font-weight:700" if k == chosen else "opacity:.6"
        cells.append(f'<bdi style="flex:1;text-align:center;{look}">{escape(visible(found.text[k]))}</bdi>')
    return f'<div style="display:flex">{"".join(cells)}</div>'


def _names(characters: Iterable[str]) -> list[str]:
    """What matplotlib can write: a character that no font here has is written in words."""
    missing = find_fonts("".join(characters))[1]
    return [in_words(c) if c in missing else visible(c).replace("$", r"\$") for c in characters]
