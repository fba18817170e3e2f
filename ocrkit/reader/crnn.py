"""`CRNN`: a convolutional network reads columns, a recurrent one reads the columns in order.

Shi, Bai, Yao (2015), "An end-to-end trainable neural network for image-based sequence
recognition", https://arxiv.org/abs/1507.05717. Taught in notebook 03.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrkit.ctc.lattice import BLANK
from ocrkit.reader.backbones import NarrowingLSTM, Stretch, init_lenet, init_resnet, lenet, light, resnet, vgg

BACKBONES = ("light", "vgg", "resnet", "lenet")

# backbone -> (convolutions, LSTM width, LSTM layers, LSTM dropout)
_PARTS = {
    "light": (light, 128, 1, 0.0),
    "vgg": (vgg, 512, 2, 0.0),
    "resnet": (resnet, 256, 3, 0.15),
    "lenet": (lenet, 64, 1, 0.0),  # behind a wider LSTM, see `NarrowingLSTM`
}


class CRNN(nn.Module):
    """Convolutions, bidirectional LSTM, classifier: `(N, C, H, W)` images to `(T, N, K)` logits.

    Args:
        num_classes: K, all classes with the blank (`Tokenizer.num_classes`).
        backbone: `"light"` (1.2M parameters, for a laptop), `"vgg"` (5 convolutions and 2
            BiLSTM, 16.3M) or `"resnet"` (5 stages and 3 BiLSTM, T = 256), after two published
            plate systems, or `"lenet"` (2 convolutions, a dense layer and 2 BiLSTM, 0.6M for grey
            64 x 256), after a published Keras system for handwritten names.
        in_channels: C, 3 for RGB and 1 for grey.
        image_size: (H, W) in pixels of the images to come. The width of the LSTM's input is found
            by a dry pass, so another size than 32 x 128 needs no arithmetic from you.

    Input values are floats, 0..1 shifted and scaled as `Recognizer` does. The logits are raw: take
    `log_softmax(-1)` for CTC.

    Raises:
        ValueError: an unknown backbone, fewer than 2 classes, or an image too small for the convolutions.

    Taught in notebook 03.
    """

    def __init__(
        self, num_classes: int, backbone: str = "light", in_channels: int = 3, image_size: tuple[int, int] = (32, 128)
    ):
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"no backbone is named {backbone!r}; there are: {', '.join(BACKBONES)}")
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: a CRNN needs the blank and at least one character")
        self.backbone, self.num_classes = backbone, num_classes
        self.in_channels, self.image_size = in_channels, tuple(image_size)

        convolutions, width, layers, dropout = _PARTS[backbone]
        self.features = convolutions(in_channels)
        if backbone == "resnet":
            self.features.append(Stretch())
        channels, height, self._steps = self._dry_pass()
        if backbone == "lenet":
            self.lstm = NarrowingLSTM(channels * height)
        else:
            self.lstm = nn.LSTM(channels * height, width, layers, bidirectional=True, dropout=dropout)
        if backbone == "resnet":
            self.classifier = nn.Sequential(
                nn.Linear(2 * width, 256), nn.GELU(), nn.Dropout(0.15), nn.Linear(256, num_classes)
            )
            self.apply(init_resnet)
        else:
            self.classifier = nn.Sequential(
                nn.Dropout(0.1 if backbone == "light" else 0.0), nn.Linear(2 * width, num_classes)
            )
            if backbone == "lenet":
                self.apply(init_lenet)

    @torch.no_grad()
    def _dry_pass(self) -> tuple[int, int, int]:
        training, rng = self.training, torch.get_rng_state()
        try:
            shape = self.features.eval()(torch.zeros(1, self.in_channels, *self.image_size)).shape
        except RuntimeError as error:
            raise ValueError(
                f"an image of {self.image_size[0]} x {self.image_size[1]} pixels is too small for "
                f"the {self.backbone!r} backbone ({error}); use 32 x 128 or more"
            ) from error
        finally:
            self.features.train(training)
            torch.set_rng_state(rng)
        return tuple(shape[1:])

    @property
    def time_steps(self) -> int:
        """T, the number of time steps that an image of `image_size` gives."""
        return self._steps

    def sequence(self, images: Tensor, steps: Tensor | None = None) -> Tensor:
        """`(N, C, H, W) -> (T, N, D)`: what the last layer sees, one vector a time step.

        `steps` `(N,)` says how many time steps of each image count; in the others the LSTM sees zeros, whatever the
        padding looks like.
        """
        columns = self.features(images)
        columns = columns.flatten(1, 2).permute(2, 0, 1)
        if steps is not None:
            columns = columns * step_mask(steps, len(columns)).to(columns).unsqueeze(-1)
        return self.lstm(columns.contiguous())[0]

    def forward(self, images: Tensor, steps: Tensor | None = None) -> Tensor:
        """`(N, C, H, W)` float images to `(T, N, K)` float32 logits; past an image's `steps` `(N,)` all is blank."""
        return _blank_rest(self.classifier(self.sequence(images, steps)).float(), steps)

    @property
    def feature_size(self) -> int:
        """D, the number of inputs of the last linear layer."""
        return self.classifier[-1].in_features

    def features_and_logits(self, images: Tensor, steps: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`forward`, and with it what the last linear layer sees: `(T, N, D)` and `(T, N, K)`, both float32.

        Taught in notebook 07.
        """
        features = self.classifier[:-1](self.sequence(images, steps))
        return features.float(), _blank_rest(self.classifier[-1](features).float(), steps)


def _blank_rest(logits: Tensor, steps: Tensor | None) -> Tensor:
    if steps is None:
        return logits
    blank = blank_logits(logits.shape[-1]).to(logits)
    return torch.where(step_mask(steps, len(logits)).unsqueeze(-1), logits, blank)


def blank_logits(num_classes: int) -> Tensor:
    """`(K,)` logits that say surely blank."""
    logits = torch.full((num_classes,), -1e4)
    logits[BLANK] = 0.0
    return logits


def step_mask(steps: Tensor, total: int) -> Tensor:
    """`(N,)` numbers of time steps that count -> `(total, N)` booleans. Taught in notebook 08."""
    return torch.arange(total, device=steps.device)[:, None] < steps
