"""Writes capitals as pupils do: a `Writer` has a hand, a pen and habits, and no letter comes out twice the same."""

import numpy as np
from PIL import ImageDraw

from ocrkit.synth.hands import Strokes, load_hands
from ocrkit.synth.ink import Rng, one_of, require_known

#: Accents that French names may carry, by letter, with how often one is chosen.
_ACCENTS = {"E": ("'", "'", "'", "'", "`", "`", "^", '"'), "I": ('"', "^"), "C": (",",), "O": ("^",), "A": ("^", "`")}
#: Their strokes, in heights of a capital: x from the middle of the letter, y from its top.
_MARKS = {
    "'": [[[-0.1, -0.1], [0.12, -0.3]]],
    "`": [[[0.1, -0.1], [-0.12, -0.3]]],
    "^": [[[-0.15, -0.1], [0.0, -0.28], [0.15, -0.1]]],
    '"': [[[-0.13, -0.18]], [[0.13, -0.18]]],
    ",": [[[0.0, 1.0], [0.06, 1.13], [-0.06, 1.23]]],
}
_SIGNS = {"-": [[[0.0, -0.45], [0.2, -0.46], [0.4, -0.45]]], "'": [[[0.08, -1.05], [0.05, -0.9], [0.0, -0.78]]]}


class Writer:
    """A writer of `split`, "train" or "test", with habits drawn by chance; `face` names the hand.

    Lengths are in heights of a capital, but for `pen`, which is in pixels.
    """

    def __init__(self, rng: Rng, split: str = "train", face: str | None = None):
        hands, names = load_hands()
        require_known("split", names, split)
        own = names[split]
        main = face or ("pupil" if split == "train" and rng.random() < 0.55 else one_of(own, rng))
        require_known("hand", hands, main)
        others = [own[k] for k in rng.integers(len(own), size=2)] if face is None and rng.random() < 0.3 else []
        self.hands, kind = [main, *others], rng.random()
        self.pen = float(np.clip(rng.lognormal(0.03, 0.28), 0.6, 2.8))
        self.width = float(np.clip(rng.normal(0.95, 0.15), 0.62, 1.4))  # of the letters
        self.slant = rng.normal(0.03, 0.1)
        self.boxes = rng.random() < 0.88  # whether each letter is put into its box
        self.gap = rng.uniform(0.12, 0.7)  # between letters, without boxes
        self.wobble = rng.uniform(0.5, 1.4)  # how uneven the writing is
        self.small = 0.95 if kind < 0.05 else 0.25 if kind < 0.11 else 0.0  # share of letters in lower case
        self.small_i = rng.random() < 0.35  # I with a dot
        self.accents = 0.6 if rng.random() < 0.3 else 0.0  # share of letters that get the accent they might have
        self.faint = (
            rng.uniform(0.3, 1) if rng.random() < 0.3 else 0.0
        )  # 0: an even stroke; 1: a pen that hardly writes
        self.ways: dict[str, int] = {}  # which way of writing a letter was taken


def write(text: str, writer: Writer, rng: Rng, height: float, pitch: float, room: float = np.inf) -> list[Strokes]:
    """Write A to Z, digits, - ' and blanks: each letter's strokes; (0, 0) is the middle of the first box, on the line.

    In pixels, as is all: the `height` of a capital, the `pitch` from one box of the form to the next, and the `room`
    for the whole text: a longer one is set closer and made narrower.
    """
    letters, extents = [], []
    for k, c in enumerate(text):
        strokes = _bend(_letter(c, k, writer, rng), writer, rng, height) if c != " " else []
        left = min((s[:, 0].min() for s in strokes), default=0.0)
        right = max((s[:, 0].max() for s in strokes), default=0.6 * height)
        letters.append([s - [(left + right) / 2, 0] for s in strokes])
        extents.append(right - left)
    widths = np.array(extents)
    if writer.boxes:
        pitch = min(pitch, room / len(text))
        middles = np.arange(len(text)) * pitch + rng.normal(0, 0.055 * writer.wobble, len(text)) * pitch
        across = np.minimum(1.0, rng.uniform(0.75, 0.95) * pitch / np.maximum(widths, 1e-6))
    else:
        gaps = np.maximum(writer.gap * height * rng.lognormal(0, 0.3 * writer.wobble, len(text)), 1.5 + writer.pen)
        across = np.full(len(text), min(1.0, room / (widths + gaps).sum()))
        starts = np.cumsum(widths + gaps) - widths - gaps
        middles = (starts + widths / 2) * across - min(0.35 * height, 0.5 * pitch)
    lifts = rng.normal(0, 0.04 * writer.wobble, len(text)) * height + rng.normal(0, 0.012) * middles
    placed = zip(letters, across, middles, lifts, strict=True)
    return [[s * [a, 1] + [x, y] for s in strokes] for strokes, a, x, y in placed if strokes]


def _letter(c: str, k: int, writer: Writer, rng: Rng) -> Strokes:
    """The strokes of one letter as this writer forms it, with an accent where the name may have one."""
    hands = load_hands()[0]
    if c in _SIGNS:
        return [np.array(s) for s in _SIGNS[c]]
    small = rng.random() < writer.small and not (k == 0 and rng.random() < 0.7)
    small = small and (c != "L" or writer.small > 0.5)  # among capitals, l would read as I
    form = c.lower() if small or (c == "I" and writer.small_i) else c
    name = one_of(writer.hands, rng) if len(writer.hands) > 1 else writer.hands[0]
    if form not in hands[name]:  # the pupil's own alphabet has capitals only
        if not small and form == "i":
            return hands[name]["I"][2 + rng.integers(2)]
        name = writer.hands[-1] if form in hands[writer.hands[-1]] else "delius"
    ways = hands[name][form]
    usual = writer.ways.setdefault(name + form, int(rng.integers(len(ways))))
    strokes = ways[usual if rng.random() < 0.8 else rng.integers(len(ways))]
    if c in _ACCENTS and rng.random() < writer.accents * (0.6 if c == "E" else 0.15):
        accent, (x, y) = one_of(_ACCENTS[c], rng), np.concatenate(strokes).T
        at = np.array([(x.min() + x.max()) / 2, y.min() if accent != "," else -1.0])
        strokes = strokes + [np.array(s) + at for s in _MARKS[accent]]
    return strokes


def _bend(strokes: Strokes, writer: Writer, rng: Rng, height: float) -> Strokes:
    """Scale, slant, turn and bend one letter; every stroke moves a little on its own."""
    w = writer.wobble
    r = rng.normal(size=14)
    grow = np.exp(0.095 * w * r[0])
    wide = writer.width * np.exp(0.1 * w * r[1])
    turn = 0.05 * w * r[2]
    slant = writer.slant + 0.05 * w * r[3]
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[wide * cos, sin * wide], [-slant * cos - sin, cos - slant * sin]]) * (grow * height)
    phase = rng.uniform(0, 2 * np.pi, 4)
    bent = []
    for s in strokes:
        x, y = s.T
        across = np.sin(3.5 * y + phase[0]) * r[4] + np.sin(4.5 * x + phase[1]) * r[5]
        down = np.sin(4.5 * x + phase[2]) * r[6] + np.sin(3.5 * y + phase[3]) * r[7]
        middle, own = s.mean(axis=0), rng.normal(0, 1, 3) * w
        s = middle + (s - middle) * (1 + 0.04 * own[2]) + 0.025 * own[:2]
        bent.append((s + np.stack([across, down], axis=1) * (0.035 * w)) @ matrix)
    return bent


def draw_letter(
    draw: ImageDraw.ImageDraw, strokes: Strokes, at: tuple[float, float], pen: float, scale: int, rng: Rng
) -> None:
    """Draw a letter's strokes with a round pen, about `pen` wide, from the point `at` on the line.

    Both are in pixels of the crop, of which one is `scale` pixels of the drawing.
    """
    for s in strokes:
        line = ((s + at) * scale).tolist()
        widths = (pen * scale * np.exp(rng.normal(0, 0.12) + np.cumsum(rng.normal(0, 0.06, len(line))))).tolist()
        if len(line) == 1:
            widths = [widths[0] * 1.25]
        before = None
        for (x, y), w in zip(line, widths, strict=True):
            half = w / 2
            draw.ellipse((x - half, y - half, x + half, y + half), 255)
            if before:
                draw.line((*before, x, y), 255, max(round(w), 1))
            before = x, y
