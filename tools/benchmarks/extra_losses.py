"""Rivals of the center loss: other losses that are added to CTC so that look-alikes come apart.

Two look at the outputs and are an `extra` of `loop.fit` as they are; two look at aligned features and stand in a
`centers.AlignedLoss`. Taught in notebook 07.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrkit.ctc.lattice import BLANK


class LabelSmoothing(nn.Module):
    """How far each frame's distribution is from the uniform one, which keeps a model from being too sure.

    `weight` times the mean of KL(uniform, frame) over all frames, as an `extra` of `loop.fit`. CTC has no label a
    frame that could be smoothed, so the outputs are: Kim et al. (2018), https://arxiv.org/abs/1711.02212.
    """

    def __init__(self, weight: float = 0.05):
        super().__init__()
        self.weight = weight

    def forward(self, features: Tensor, logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        uniform = torch.full_like(logits[0], 1 / logits.shape[-1]).expand_as(logits)
        return self.weight * F.kl_div(logits.log_softmax(-1), uniform, reduction="sum") / logits[..., 0].numel()

    def extra_repr(self) -> str:
        return f"weight={self.weight}"


class FocalCTC(nn.Module):
    """What makes the focal loss out of CTC when it is added to it: `((1 - p) ** gamma - 1) * ctc`.

    p is the probability of an image's text, so images that are read well count less. As an `extra` of
    `loop.fit`. Feng et al. (2019), "Focal CTC loss for Chinese optical character recognition on unbalanced
    datasets", https://doi.org/10.1155/2019/9345861.
    """

    def __init__(self, gamma: float = 1.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, features: Tensor, logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.full((logits.shape[1],), logits.shape[0])
        log_probs = logits.log_softmax(-1)
        loss = F.ctc_loss(log_probs, targets, steps, lengths, BLANK, reduction="none", zero_infinity=True)
        # The smallest 1 - p keeps the slope of the power finite where a text is certain.
        factor = (1 - (-loss).exp()).clamp_min(1e-6) ** self.gamma
        return ((factor - 1) * loss / lengths.to(loss).clamp_min(1)).mean()

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"


class SupervisedContrastive(nn.Module):
    """Features of one class attract each other, all others repel: `(M, D)`, `(M,)` -> the mean over M.

    Only directions count. Features that are the only one of their class in the batch have nothing to be drawn to and
    take no part but as others. Khosla et al. (2020), https://arxiv.org/abs/2004.11362.
    """

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        directions = F.normalize(features, dim=1)
        same = classes[:, None] == classes
        same.fill_diagonal_(False)
        itself = torch.eye(len(classes), dtype=torch.bool, device=features.device)
        close = (directions @ directions.T / self.temperature).masked_fill(itself, -1e9)
        partners = same.sum(1)
        loss = -(close.log_softmax(1) * same).sum(1) / partners.clamp_min(1)
        return loss.sum() / (partners > 0).sum().clamp_min(1)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"


class AdditiveMargin(nn.Module):
    """Cross-entropy over the cosines to one learned direction a class; the right one must win by `margin`.

    `(M, D)`, `(M,)` -> the mean over M. Wang et al. (2018), https://arxiv.org/abs/1801.05599.
    """

    def __init__(self, num_classes: int, dim: int, margin: float = 0.35, scale: float = 16.0, seed: int = 0):
        super().__init__()
        self.margin, self.scale = margin, scale
        self.directions = nn.Parameter(torch.randn(num_classes, dim, generator=torch.Generator().manual_seed(seed)))

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        cosines = F.normalize(features, dim=1) @ F.normalize(self.directions, dim=1).T
        won = cosines - self.margin * F.one_hot(classes, cosines.shape[1])
        return F.cross_entropy(self.scale * won, classes, reduction="sum") / max(len(classes), 1)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, scale={self.scale}"
