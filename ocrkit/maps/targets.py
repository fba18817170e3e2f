"""Targets of heat maps: the score of a class, or of each character of a text. Taught in notebook 06."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ocrkit.ctc.alignment import Alignment, forced_alignment
from ocrkit.ctc.greedy import greedy_decode
from ocrkit.reader.recognizer import Recognizer

#: (output of the model, rows) -> scores `(B,)` or `(B, M)`; `rows` `(B,)` says of which image each output is. NaN
#: stands for a character that the image does not have.
Target = Callable[[Tensor, Tensor], Tensor]

_SCALES = {
    "logit": lambda logits: logits,
    "log_prob": lambda logits: logits.log_softmax(-1),
    "probability": lambda logits: logits.softmax(-1),
}


def _scaled(scale: str) -> Callable[[Tensor], Tensor]:
    if scale not in _SCALES:
        raise ValueError(f"scale={scale!r}: it must be one of {', '.join(map(repr, _SCALES))}")
    return _SCALES[scale]


def class_target(classes: int | Sequence[int], scale: str = "logit") -> Target:
    """The score of a class, or of one an image, for logits `(N, K)`; `scale` "logit", "log_prob" or "probability"."""
    scaled, classes = _scaled(scale), torch.as_tensor(classes)

    def score(output: Tensor, rows: Tensor) -> Tensor:
        chosen = classes.expand(len(output)) if classes.ndim == 0 else classes[rows.cpu()]
        return scaled(output).gather(1, chosen[:, None].to(output.device))[:, 0]

    return score


def character_target(alignments: Sequence[Alignment], scale: str = "log_prob") -> Target:
    """The mean score of each character at its aligned frames, `(N, M)`, for logits `(T, N, K)`; see `class_target`."""
    scaled = _scaled(scale)
    longest = max((len(a.frames) for a in alignments), default=0)
    steps = len(alignments[0].path) if alignments else 0
    frames = torch.zeros(len(alignments), longest, steps, dtype=torch.bool)
    codes = torch.zeros(len(alignments), longest, dtype=torch.long)
    for n, alignment in enumerate(alignments):
        for m, (start, end) in enumerate(alignment.frames):
            frames[n, m, start:end] = True
            codes[n, m] = alignment.path[start]

    def score(output: Tensor, rows: Tensor) -> Tensor:
        rows = rows.cpu()
        here, chosen = frames[rows].to(output.device), codes[rows].to(output.device)
        heard = scaled(output).permute(1, 2, 0).gather(1, chosen[..., None].expand(-1, -1, steps))  # (B, M, T)
        count = here.sum(-1)
        return torch.where(count > 0, (heard * here).sum(-1) / count.clamp_min(1), float("nan"))

    return score


def text_target(
    recognizer: Recognizer, images: Tensor, texts: Sequence[str] | None = None, scale: str = "log_prob"
) -> tuple[Target, list[Alignment]]:
    """The target of each character of each text (by default what is read) in `(N, C, H, W)` uint8 images, and where
    the characters are; ValueError where the recognizer cannot write a text: its alphabet or its time steps lack some.
    """
    log_probs = recognizer.logits(images).log_softmax(-1)
    if texts is None:
        texts = [reading.text for reading in greedy_decode(log_probs, recognizer.tokenizer)]
    alignments = forced_alignment(log_probs, [recognizer.tokenizer.encode(text) for text in texts])
    return character_target(alignments, scale), alignments
