"""`CRNN`: a convolutional network reads columns, a recurrent one reads the columns in order.

Shi, Bai, Yao (2015), "An end-to-end trainable neural network for image-based sequence recognition",
https://arxiv.org/abs/1507.05717. Its backbones come after systems that were published. Taught in notebooks 03 and 08.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrkit.ctc.lattice import BLANK
from ocrkit.reader.device import evaluating


def _conv_bn_relu(c_in: int, c_out: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


def light(in_channels: int) -> nn.Sequential:
    """Small and quick on a CPU: the first convolution already halves the size, the width is halved only twice."""
    return nn.Sequential(
        *_conv_bn_relu(in_channels, 48, kernel=4, stride=2),
        *_conv_bn_relu(48, 64), nn.MaxPool2d(2),
        *_conv_bn_relu(64, 128), nn.MaxPool2d((2, 1)),
        *_conv_bn_relu(128, 192),
        *_conv_bn_relu(192, 192), nn.MaxPool2d((2, 1)),
    )  # fmt: skip


def vgg(in_channels: int) -> nn.Sequential:
    """The five convolutions of the VGG plate system; the odd pools are its own."""
    return nn.Sequential(
        *_conv_bn_relu(in_channels, 64), nn.MaxPool2d(2, 2),
        *_conv_bn_relu(64, 128), nn.MaxPool2d(2, 2),
        *_conv_bn_relu(128, 256), nn.MaxPool2d((1, 2), 2),
        *_conv_bn_relu(256, 512), nn.MaxPool2d((1, 2), (2, 1), (0, 1)),
        *_conv_bn_relu(512, 1024, kernel=2, padding=0),
    )  # fmt: skip


class ResidualBlock(nn.Module):
    """conv -> batch norm -> dropout, plus the input, then LeakyReLU: one block of the ResNet plate system.

    Where the number of channels changes, the block halves the size and a 1x1 convolution fits the input to it.
    """

    def __init__(self, c_in: int, c_out: int, dropout: float = 0.15):
        super().__init__()
        stride = 1 if c_in == c_out else 2
        self.body = nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.BatchNorm2d(c_out), nn.Dropout(dropout))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1, stride)
        self.activation = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


def resnet(in_channels: int) -> nn.Sequential:
    """The stem and five stages of the ResNet plate system."""
    stem = [nn.Conv2d(in_channels, 64, 7), nn.BatchNorm2d(64), nn.Dropout(0.15), nn.LeakyReLU()]
    blocks = [ResidualBlock(64, 64), ResidualBlock(64, 64)]
    for c in (128, 256, 512, 1024):
        blocks += [ResidualBlock(c // 2, c), ResidualBlock(c, c), ResidualBlock(c, c)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks)


class Stretch(nn.Module):
    """`(N, C, H, W) -> (N, 256, 1, 256)`: the ResNet system pools its features to 256 x 256, up or down."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((256, 256))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x.flatten(1, 2).unsqueeze(1)).transpose(1, 2)


def lenet(in_channels: int) -> nn.Sequential:
    """Two convolutions with their pools, as in LeNet: those of the Keras names system."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.3),
    )  # fmt: skip


class SharedDropout(nn.Dropout):
    """Leaves out the same features of an image at all time steps `(T, N, D)`: https://arxiv.org/abs/1512.05287."""

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(torch.ones_like(x[:1]))


class NarrowingLSTM(nn.Module):
    """Dense layer, BiLSTM 128, BiLSTM 64 of the Keras names system: `(T, N, D)` to `(T, N, 128)` and None."""

    def __init__(self, features: int):
        super().__init__()
        self.dense = nn.Linear(features, 64)
        self.dropout, self.before_first, self.before_second = nn.Dropout(0.2), SharedDropout(0.2), SharedDropout(0.25)
        self.first = nn.LSTM(64, 128, bidirectional=True)
        self.second = nn.LSTM(256, 64, bidirectional=True)

    def forward(self, columns: Tensor) -> tuple[Tensor, None]:
        x = self.dropout(F.relu(self.dense(columns)))
        x, _ = self.first(self.before_first(x))
        return self.second(self.before_second(x))[0], None


def _init_resnet(module: nn.Module) -> None:
    """The start values of the ResNet plate system."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.01)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


@torch.no_grad()
def _init_lenet(module: nn.Module) -> None:
    """The start values that Keras gives its layers."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LSTM):
        for name, values in module.named_parameters():
            if "weight" in name:
                (nn.init.xavier_uniform_ if "_ih_" in name else nn.init.orthogonal_)(values)
            else:
                values.zero_()
            if "bias_ih" in name:
                values[module.hidden_size : 2 * module.hidden_size] = 1.0  # the forget gate starts open
            if "bias_hh" in name:  # Keras's LSTM has one bias where torch's has two
                values.requires_grad_(False)


#: Backbone -> convolutions, LSTM width, LSTM layers, LSTM dropout.
_PARTS = {
    "light": (light, 128, 1, 0.0),
    "vgg": (vgg, 512, 2, 0.0),
    "resnet": (resnet, 256, 3, 0.15),
    "lenet": (lenet, 64, 1, 0.0),  # behind a wider LSTM, see `NarrowingLSTM`
}
BACKBONES = tuple(_PARTS)


class CRNN(nn.Module):
    """Convolutions, bidirectional LSTM, classifier: `(N, C, H, W)` images to `(T, N, K)` logits.

    Args:
        num_classes: K, all classes with the blank (`Tokenizer.num_classes`).
        backbone: `"light"` (1.2M parameters, for a laptop), `"vgg"` (5 convolutions and 2 BiLSTM, 16.3M) or `"resnet"`
            (5 stages and 3 BiLSTM, T = 256), after two plate systems, or `"lenet"` (2 convolutions, a dense layer and
            2 BiLSTM, 0.6M for grey 64 x 256), after a Keras system for handwritten names.
        image_size: (H, W) in pixels of the images to come, which have values from -1 to 1 (`device.normalize_images`).

    `time_steps` is T for such images, `feature_size` D, the inputs of the last linear layer. Raises ValueError: an
    unknown backbone, fewer than 2 classes, or an image too small for the convolutions. Taught in notebook 03.
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
        channels, height, self.time_steps = self._dry_pass()
        if backbone == "lenet":
            self.lstm = NarrowingLSTM(channels * height)
        else:
            self.lstm = nn.LSTM(channels * height, width, layers, bidirectional=True, dropout=dropout)
        if backbone == "resnet":
            last = nn.Linear(2 * width, 256), nn.GELU(), nn.Dropout(0.15), nn.Linear(256, num_classes)
        else:
            last = nn.Dropout(0.1 if backbone == "light" else 0.0), nn.Linear(2 * width, num_classes)
        self.classifier, self.feature_size = nn.Sequential(*last), last[-1].in_features
        if init := {"resnet": _init_resnet, "lenet": _init_lenet}.get(backbone):
            self.apply(init)

    @torch.no_grad()
    def _dry_pass(self) -> tuple[int, int, int]:
        try:
            with evaluating(self.features):
                return tuple(self.features(torch.zeros(1, self.in_channels, *self.image_size)).shape[1:])
        except RuntimeError as error:
            raise ValueError(
                f"an image of {self.image_size[0]} x {self.image_size[1]} pixels is too small for "
                f"the {self.backbone!r} backbone ({error}); use 32 x 128 or more"
            ) from error

    def sequence(self, images: Tensor, steps: Tensor | None = None) -> Tensor:
        """`(N, C, H, W) -> (T, N, D)`: what the last layer sees, one vector a time step.

        `steps` `(N,)` says how many time steps of each image count; in the others the LSTM sees zeros, whatever the
        padding looks like.
        """
        columns = self.features(images).flatten(1, 2).permute(2, 0, 1)
        if steps is not None:
            columns = columns * step_mask(steps, len(columns)).to(columns).unsqueeze(-1)
        return self.lstm(columns.contiguous())[0]

    def forward(self, images: Tensor, steps: Tensor | None = None) -> Tensor:
        """`(N, C, H, W)` float images to `(T, N, K)` float32 logits; past an image's `steps` `(N,)` all is blank."""
        return _blank_rest(self.classifier(self.sequence(images, steps)).float(), steps)

    def features_and_logits(self, images: Tensor, steps: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the last linear layer sees, and `forward`: `(T, N, D)` and `(T, N, K)` float32. See notebook 07."""
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
