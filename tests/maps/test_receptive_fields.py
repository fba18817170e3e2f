"""Where a place of a layer stands in the image: against what is measured, and against dots whose place is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import ocrkit as ok
from ocrkit.maps import cam
from ocrkit.maps.receptive_fields import ReceptiveFields, receptive_field
from ocrkit.reader.crnn import CRNN
from ocrkit.tasks.glyphs.network import BACKBONES, GlyphNet
from ocrkit.tasks.letters.detector_models import Body


def positive(model, kernel="ones"):
    """The model with kernels whose answer is known, in place, and nothing in it that normalizes or picks.

    `"ones"`: each pixel of a window counts as much. `"middle"`: only its middle counts, one pixel of an odd side and
    two of an even one. `"dots"`: the middle, but all of a window that moves by more than a pixel, so that nothing is
    missed. A pool gives the mean of its window.
    """
    for parent in list(model.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                pool = nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
                setattr(parent, name, pool)
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm, nn.ReLU, nn.ReLU6, nn.LeakyReLU)):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                whole = kernel == "ones" or (kernel == "dots" and max(module.stride) > 1)
                rows, columns = (torch.ones(n) if whole else middle(n) for n in module.weight.shape[-2:])
                module.weight.copy_((rows[:, None] * columns).expand_as(module.weight) / module.weight[0].numel())
                if module.bias is not None:
                    module.bias.zero_()
    return model.eval().double()


def middle(n):
    taps = torch.zeros(n)
    taps[[(n - 1) // 2, n // 2]] = 1.0
    return taps


def follow(model, images, *layers):
    """What each layer gives, with its rows and columns."""
    with ok.Hooks(model, *layers) as hooks, ReceptiveFields(images) as fields:
        model(images)
        outputs = [hooks[layer].output for layer in layers]
        return [(output, *fields.of(output, output.shape[-2:])) for output in outputs]


def check_centers(model, layers, channels, size, most=None):
    """Wherever a window lies inside the image, its measured center is the one that is said.

    The model is linear, so ramps instead of images give, place by place, the mean of the coordinates that are seen.
    """
    rows, columns = (torch.arange(n, dtype=torch.float64) + 0.5 for n in size)
    ramps = torch.stack([torch.ones(size).double(), rows[:, None].expand(size), columns.expand(size)])
    with torch.no_grad():
        found = follow(model, ramps[:, None].expand(-1, channels, -1, -1).clone(), *layers)
    for layer, (output, *sides) in zip(layers, found):
        seen, *measured = output[:, 0]
        whole = seen > (most or seen.max()) * (1 - 1e-9)  # nothing of the window lies in a padding
        assert most or whole.any(), layer
        for side, total, shape in zip(sides, measured, ((-1, 1), (1, -1))):
            said = torch.from_numpy(side.center).reshape(shape).expand_as(seen)
            torch.testing.assert_close(said[whole], (total / seen)[whole], rtol=0, atol=1e-6, msg=layer)


def check_windows(model, layer, channels, size):
    """Each place sees the pixels that are said, by its gradient: corners, middle and their neighbors."""
    images = torch.ones(1, channels, *size).double().requires_grad_()
    with ReceptiveFields(images) as fields, ok.Hook(model.get_submodule(layer)) as hook:
        model(images)
        output = hook.output
        rows, columns = fields.of(output, output.shape[-2:])
    h, w = output.shape[-2:]
    for y, x in {(0, 0), (h - 1, w - 1), (h // 2, w // 2), (min(1, h - 1), max(w - 2, 0))}:
        (gradient,) = torch.autograd.grad(output[0, :, y, x].sum(), images, retain_graph=True)
        touched = gradient[0].abs().sum(0) > 0
        for cells, place, seen in ((rows, y, touched.any(1)), (columns, x, touched.any(0))):
            (pixels,) = seen.nonzero(as_tuple=True)
            if len(pixels):  # a place may see nothing but padding
                assert (cells.start[place], cells.end[place]) == (pixels[0], pixels[-1] + 1), (layer, y, x)


# --- the networks of the course ---

READERS = [("light", 3, (32, 128)), ("light", 1, (37, 101)), ("vgg", 1, (32, 128)), ("lenet", 1, (64, 256)),
           ("resnet", 3, (64, 200)), ("resnet", 3, (97, 131))]  # fmt: skip


@pytest.mark.parametrize(("backbone", "channels", "size"), READERS)
def test_every_feature_layer_of_the_readers(backbone, channels, size):
    model = CRNN(20, backbone, channels, size)
    layers = [name.removeprefix("features.") for name in cam.feature_layers(model)]
    check_centers(positive(model.features, "middle"), layers, channels, size)
    check_windows(positive(model.features, "ones"), layers[-1], channels, size)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_stage_of_the_glyph_bodies(backbone):
    model, size = positive(GlyphNet(5, backbone).features, "middle"), (75, 131)
    stages = model.features if backbone == "mobilenet-v2" else model
    layers = [f"features.{name}" if backbone == "mobilenet-v2" else name for name, _ in stages.named_children()]
    check_centers(model, layers, 3, size)
    check_windows(positive(model, "ones"), layers[4], 3, size)


def test_places_of_a_resnet_start_at_the_first_pixel():
    model, images = GlyphNet(5, "resnet18-short").features.eval(), torch.zeros(1, 3, 64, 96)
    ((_, rows, columns),) = follow(model, images, "layer3")
    assert rows.center.tolist() == [0.5, 16.5, 32.5, 48.5]
    assert columns.center.tolist() == [16 * i + 0.5 for i in range(6)]


def test_the_body_of_the_detector_and_its_pyramid():
    model, size = positive(Body(), "middle"), (96, 160)
    check_centers(model, ["stages.0", "stages.2", "stages.4", "pyramid.inner_blocks.1"], 1, size)
    ((_, rows, columns),) = follow(model, torch.zeros(1, 1, *size).double(), "pyramid.layer_blocks.0")
    assert rows.center.tolist() == [4 * i + 0.5 for i in range(24)]  # of the finest map, not of those added to it
    assert columns.center.tolist() == [4 * i + 0.5 for i in range(40)]


def test_the_stretched_resnet_has_four_columns():
    model = CRNN(20, "resnet").eval()
    for layer in ("features", "lstm"):
        module = model.get_submodule(layer)
        images = torch.zeros(1, 3, 32, 128)
        with torch.no_grad(), ok.Hook(module) as hook, ReceptiveFields(images) as fields:
            model(images)
            rows, columns = fields.of(hook.output, (1, 256))
        assert columns.center.tolist() == np.repeat([3.5, 35.5, 67.5, 99.5], 64).tolist()
        assert rows.center.tolist() == [16.0]
    table = receptive_field(model, axis="rows")
    assert table.values.tolist() == [[0, 0, 32, 16.0]]


def test_time_steps_stand_at_the_centers_of_their_columns(reader):
    images = torch.zeros(1, 3, 32, 128)
    with torch.no_grad(), ok.Hook(reader.model.lstm) as hook, ReceptiveFields(images) as fields:
        reader.model.eval()(images)
        _, columns = fields.of(hook.output, (1, 32))
    assert columns.center.tolist() == [4 * t + 2 for t in range(32)]
    assert receptive_field(reader.model)["center"].tolist() == columns.center.tolist()


def test_a_cut_canvas_keeps_its_places(reader):
    model = reader.model.features.eval()
    (wide,), (cut,) = (follow(model, torch.zeros(1, 3, 32, n), "16") for n in (128, 64))
    assert np.array_equal(wide[2].center[:16], cut[2].center) and len(cut[2].center) == 16


# --- dots whose place is known ---


def check_dot(model, channels, size, place, cells, away):
    """A map of an image with one bright dot is brightest at most `away` pixels (down, across) from it.

    Where all rows are one place, the dot is a line from top to bottom.
    """
    image = torch.zeros(1, channels, *size).double()
    y, x = (int(p) if len(c.center) > 1 else slice(None) for p, c in zip(place, cells))
    image[:, :, y, x] = 1.0
    heat = ok.activation_map(model, image, "0")[0]
    brightest = np.argwhere(heat > heat.max() * (1 - 1e-6)) + 0.5
    for found, at, c, least in zip(brightest.T, place, cells, away):
        assert len(c.center) == 1 or np.abs(found - at).min() <= least, (place, brightest)


class Small(nn.Module):
    """Odd pools, rectangular strides and a dilation; two pools are called as functions."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 5, (1, 2), 1), nn.Conv2d(4, 4, 3, 1, 2, dilation=2)
        self.last = nn.Conv2d(4, 4, (3, 1), (2, 1), (1, 0))

    def forward(self, x):
        x = F.avg_pool2d(self.first(x), (3, 2), (2, 1), (1, 0))
        return self.last(F.avg_pool2d(self.second(x), 3, 2))


NETWORKS = {
    **{b: lambda b=b: (GlyphNet(5, b).features, 3, (96, 128)) for b in ("resnet18", "resnet34", "resnet18-short")},
    "mobilenet-v2": lambda: (GlyphNet(5, "mobilenet-v2").features, 3, (96, 128)),
    "light": lambda: (CRNN(20).features, 3, (32, 128)),
    "vgg": lambda: (CRNN(20, "vgg", 1).features, 1, (32, 128)),
    "resnet": lambda: (CRNN(20, "resnet", 3, (96, 200)).features[:-1], 3, (96, 200)),
    "odd pools": lambda: (Small(), 1, (61, 103)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_dot_on_a_center_is_where_the_map_is_brightest(name):
    features, channels, size = NETWORKS[name]()
    model = positive(nn.Sequential(features), "dots")
    ((_, *cells),) = follow(model, torch.zeros(1, channels, *size).double(), "0")
    inside = [(y, x) for y in cells[0].center for x in cells[1].center if y < size[0] and x < size[1]]
    assert len(inside) >= 4
    for place in inside[:: max(1, len(inside) // 7)]:
        check_dot(model, channels, size, place, cells, (1, 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_dot_anywhere_is_within_half_a_stride(name):
    features, channels, size = NETWORKS[name]()
    model = positive(nn.Sequential(features), "dots")
    ((_, *cells),) = follow(model, torch.zeros(1, channels, *size).double(), "0")
    rng = np.random.default_rng(0)
    for _ in range(6):
        ends = [(max(0, int(c.center[0])), min(n, int(c.center[-1]) + 1)) for c, n in zip(cells, size)]
        place = [rng.integers(*pair) + 0.5 for pair in ends]
        check_dot(model, channels, size, place, cells, [c.step / 2 + 1 for c in cells])


def test_between_centers_a_map_is_linear_and_beyond_them_constant():
    model = nn.Conv2d(1, 1, 3, 4, 1, bias=False)  # centers at 0.5, 4.5, 8.5
    model.weight.data = torch.zeros(1, 1, 3, 3)
    model.weight.data[0, 0, 1, 1] = 1
    image = torch.zeros(1, 1, 1, 12)
    image[0, 0, 0, ::4] = torch.tensor([1.0, 3.0, 7.0])
    expected = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 7, 7, 7]
    assert ok.activation_map(nn.Sequential(model), image, "0")[0, 0].tolist() == expected


# --- networks of any kind ---

WINDOWS = st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 3)] * 2, *[st.integers(0, 2)] * 2, st.integers(1, 2))


def layer_of(kind, values):
    kernel, stride, padding, dilation = values[:2], values[2:4], values[4:6], values[6]
    half = tuple(min(p, k // 2) for p, k in zip(padding, kernel))  # what PyTorch allows for pools
    if kind == "conv":
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    if kind == "transposed":
        return nn.ConvTranspose2d(1, 1, kernel, stride, tuple(min(p, k - 1) for p, k in zip(padding, kernel)))
    if kind == "same":
        return nn.Conv2d(1, 1, kernel, 1, "same", dilation)
    if kind == "adaptive":
        return nn.AdaptiveAvgPool2d((3 + kernel[0], 5 * kernel[1]))
    if kind == "bilinear":
        return nn.Upsample(scale_factor=2, mode="bilinear")
    if kind == "nearest":
        return nn.Upsample(scale_factor=2)
    if kind == "pad":
        return nn.ZeroPad2d((padding[0], padding[1], 1, 0))
    return nn.AvgPool2d(kernel, stride, half, ceil_mode=kind == "ceil")


KINDS = ("conv", "pool", "ceil", "same", "transposed", "adaptive", "bilinear", "nearest", "pad")


STACKS = st.lists(st.tuples(st.sampled_from(KINDS), WINDOWS), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(STACKS, st.tuples(*[st.integers(20, 40)] * 2))
def test_any_stack_sees_what_is_said(stack, size):
    model = positive(nn.Sequential(*(layer_of(*layer) for layer in stack)), "ones")
    kinds, last = {kind for kind, _ in stack}, str(len(stack) - 1)
    try:
        model(torch.zeros(1, 1, *size).double())
    except RuntimeError:  # too small for these windows
        return
    check_windows(model, last, 1, size)
    uneven = {"adaptive", "ceil", "nearest", "transposed"}  # where a mean over the window is not its middle
    if not uneven & kinds and "bilinear" not in {kind for kind, _ in stack[:-1]}:
        check_centers(model, [last], 1, size, most=1)  # the kernels have a sum of 1


class Block(nn.Module):
    """Steps that are functions and no modules: padding as TensorFlow's, a shortcut by a pool, a gate, channels last."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.gate = nn.Conv2d(1, 2, 3, 2), nn.Conv2d(2, 2, 3, 2, 1), nn.Conv2d(2, 2, 1)
        self.out = nn.Identity()

    def forward(self, x):
        x = self.first(F.pad(x, (0, 1, 0, 1)))
        y = self.second(x) + F.max_pool2d(x, 1, 2)
        y = y * self.gate(F.adaptive_avg_pool2d(y, 1)).sigmoid()
        y = F.layer_norm(y.permute(0, 2, 3, 1), (2,)).permute(0, 3, 1, 2)
        return self.out(torch.cat([y, F.relu(y)], 1))


def test_operations_that_are_no_modules():
    ((output, rows, columns),) = follow(Block(), torch.randn(1, 1, 24, 40), "out")
    assert output.shape == (1, 4, 6, 10)
    assert rows.center.tolist() == [4 * i + 1.5 for i in range(6)]
    assert columns.center.tolist() == [4 * i + 1.5 for i in range(10)]
    assert rows.start.tolist() == [0] * 6 and rows.end.tolist() == [24] * 6  # the gate looks at all


def test_what_is_not_known_is_spread_evenly():
    class Unknown(nn.Module):
        def forward(self, x):
            return torch.from_numpy(x.detach().numpy()[:, :, ::4, ::4].copy())

    ((_, rows, columns),) = follow(nn.Sequential(Unknown(), nn.Identity()), torch.zeros(1, 1, 16, 24), "1")
    assert rows.center.tolist() == [2, 6, 10, 14] and columns.center.tolist() == [2, 6, 10, 14, 18, 22]
    assert columns.start.tolist() == [0] * 6 and columns.end.tolist() == [24] * 6
