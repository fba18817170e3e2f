import pytest
import torch

from ocrkit.maps.receptive_fields import receptive_field
from ocrkit.reader.crnn import CRNN, SharedDropout
from ocrkit.reader.shapes import summary


@pytest.mark.parametrize(
    ("backbone", "channels", "classes", "steps", "millions"),
    [("light", 3, 76, 32, 1.2), ("vgg", 1, 68, 16, 16.3), ("resnet", 3, 69, 256, 36.5), ("lenet", 1, 34, 32, 0.5)],
)
def test_shapes_of_the_backbones(backbone, channels, classes, steps, millions):
    model = CRNN(classes, backbone, channels)
    logits = model(torch.zeros(2, channels, 32, 128))
    assert logits.shape == (steps, 2, classes) and logits.dtype == torch.float32
    assert model.time_steps == steps
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


def test_vgg_is_the_plate_system():
    table = summary(CRNN(68, "vgg", 1)).set_index("layer")
    convolutions = table[table.kind == "Conv2d"].output.tolist()
    assert convolutions == [
        "1 x 64 x 32 x 128",
        "1 x 128 x 16 x 64",
        "1 x 256 x 8 x 32",
        "1 x 512 x 4 x 16",
        "1 x 1024 x 1 x 16",
    ]
    assert table.output["lstm"] == "16 x 1 x 1024"


def test_resnet_is_the_plate_system():
    model = CRNN(69, "resnet")
    table = summary(model)
    stages = table[table.kind == "Conv2d"].drop_duplicates("output").output.tolist()
    assert stages == [
        "1 x 64 x 26 x 122", "1 x 64 x 13 x 61", "1 x 128 x 7 x 31", "1 x 256 x 4 x 16",
        "1 x 512 x 2 x 8", "1 x 1024 x 1 x 4",
    ]  # fmt: skip
    assert (model.lstm.num_layers, model.lstm.hidden_size, model.lstm.dropout) == (3, 256, 0.15)
    assert isinstance(model.classifier[1], torch.nn.GELU)
    assert torch.all(model.features[0].bias == 0.01)


def test_lenet_is_the_keras_names_system():
    """30 characters, A to Z and four marks, with the blank 31 classes: 571,615 parameters, as Keras counts them."""
    model = CRNN(31, "lenet", 1, (64, 256))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 571_615
    second_biases = [p for name, p in model.named_parameters() if "bias_hh" in name]
    assert sum(p.numel() for p in second_biases) == 1536 and not any(p.requires_grad for p in second_biases)
    table = summary(model).set_index("layer")
    assert table.output.tolist() == [
        "1 x 64 x 64 x 256", "1 x 64 x 32 x 128", "1 x 128 x 32 x 128", "1 x 128 x 16 x 64",
        "64 x 1 x 64", "64 x 1 x 256", "64 x 1 x 128", "64 x 1 x 31", "",
    ]  # fmt: skip
    assert table.parameters["total"] == 571_615 + 1536
    assert model.time_steps == 64 and model.lstm.dense.in_features == 2048
    forget = model.lstm.first.bias_ih_l0[128:256]
    assert torch.all(forget == 1) and model.lstm.first.bias_ih_l0.sum() == 128


def test_lenet_learns_all_but_the_second_biases():
    model = CRNN(5, "lenet", 1, (32, 64))
    model(torch.rand(2, 1, 32, 64)).square().sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert still == {name for name, _ in model.named_parameters() if "bias_hh" in name}


def test_shared_dropout_leaves_out_the_same_features_at_all_steps():
    torch.manual_seed(0)
    layer, x = SharedDropout(0.5), torch.ones(9, 50, 40)
    dropped = layer(x)
    assert torch.equal(dropped, dropped[:1].expand_as(x)) and set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(layer.eval()(x), x)


def test_summary_counts_every_parameter_and_changes_nothing():
    model = CRNN(20)
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    table = summary(model)
    assert table.parameters.iloc[-1] == sum(p.numel() for p in model.parameters())
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("size", [(32, 96), (48, 200), (64, 256)])
def test_other_image_sizes_need_no_arithmetic(size):
    model = CRNN(20, image_size=size)
    assert model(torch.zeros(1, 3, *size)).shape == (model.time_steps, 1, 20)
    assert len(receptive_field(model)) == model.time_steps


@pytest.mark.parametrize(("backbone", "channels"), [("light", 3), ("vgg", 1), ("lenet", 1)])
def test_receptive_field_against_gradients(backbone, channels):
    torch.manual_seed(0)
    model = CRNN(20, backbone, channels).eval()
    # Average pools instead of max pools, so that no pixel hides behind a larger neighbor.
    for name, module in model.features.named_children():
        if isinstance(module, torch.nn.MaxPool2d):
            setattr(model.features, name, torch.nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
        if isinstance(module, torch.nn.ReLU):
            setattr(model.features, name, torch.nn.Identity())
    image = torch.randn(1, channels, 32, 128, requires_grad=True)
    columns = model.features(image)
    for row in receptive_field(CRNN(20, backbone, channels)).itertuples():
        (gradient,) = torch.autograd.grad(columns[..., row.step].sum(), image, retain_graph=True)
        touched = gradient.abs().amax((0, 1, 2)).nonzero().flatten()
        assert (row.start, row.end) == (touched[0].item(), touched[-1].item() + 1)


def test_receptive_field_of_the_stretched_resnet_has_four_columns():
    table = receptive_field(CRNN(20, "resnet"))
    assert len(table) == 256
    assert table[["start", "end"]].drop_duplicates().shape[0] <= 4


def test_making_a_model_draws_the_same_weights_whatever_the_dry_pass_does():
    torch.manual_seed(3)
    a = CRNN(20, "resnet").classifier[-1].weight
    torch.manual_seed(3)
    b = CRNN(20, "resnet").classifier[-1].weight
    assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 20, "backbone": "big"}, "light, vgg, resnet, lenet"),
        ({"num_classes": 1}, "blank and at least one"),
        ({"num_classes": 20, "image_size": (4, 128)}, "too small"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        CRNN(**arguments)


WEIGHTS = {"light": 166.6346, "vgg": 169.0340, "resnet": 200.8743, "lenet": 85.7906}


@pytest.mark.parametrize("backbone", WEIGHTS)
def test_a_seed_gives_the_same_weights_as_ever(backbone):
    torch.manual_seed(0)
    first = CRNN(76, backbone, 3, (32, 128)).features[0].weight
    assert first.abs().sum().item() == pytest.approx(WEIGHTS[backbone], rel=1e-5)
