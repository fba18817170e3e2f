"""The cost model: counts against counts by hand and by torch, memory against sums by hand, predictions as ranges."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ocrkit.reader.crnn import CRNN
from ocrkit.training.costs import lstm_flops, memory_bytes, operations, saved_bytes, training_flops
from ocrkit.training.devices import DEVICES, TERA, Device, measure_device
from ocrkit.training.predictions import predict, recipe_step
from ocrkit.training.recipe import find_recipe
from tools.benchmarks import costs

PLATES = find_recipe("plates", batch_size=8)


class Sequence(nn.Module):
    """An LSTM as a model of `(T, N, D)`, in whose gradient somebody has an interest."""

    def __init__(self, **settings):
        super().__init__()
        self.lstm = nn.LSTM(12, 8, bidirectional=True, **settings)

    def forward(self, x):
        return self.lstm(x.requires_grad_())[0]


def test_a_convolution_by_hand():
    # 5 output channels of 3 x 3 x 2 products and sums on 6 x 7 places; the images need no gradient, the weights do.
    forward = 2 * 4 * 5 * (3 * 3 * 2) * 6 * 7
    assert training_flops(nn.Conv2d(2, 5, 3, padding=1), (4, 2, 6, 7)) == 2 * forward
    two = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 3, 1))
    assert training_flops(two, (4, 2, 6, 7)) == 2 * forward + 3 * 2 * 4 * 3 * 5 * 6 * 7


def test_a_linear_layer_by_hand():
    assert training_flops(nn.Linear(10, 7), (4, 10)) == 2 * (2 * 4 * 10 * 7)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_lstm_by_hand_and_step_by_step(layers):
    (steps, n, d), hidden = (5, 3, 12), 8
    by_hand = 0
    for layer in range(layers):
        width = d if layer == 0 else 2 * hidden
        gates = 4 * hidden
        by_hand += 2 * steps * (2 * n * gates * width + 2 * n * gates * hidden)  # both directions
    assert lstm_flops(steps, n, d, hidden, layers) == 3 * by_hand
    model = Sequence(num_layers=layers)
    assert training_flops(model, (steps, n, d)) == 3 * by_hand
    # On "meta" tensors torch takes an LSTM apart into matrix products. It need not find the gradient of the first
    # state, which is a product less for each layer and direction.
    with FlopCounterMode(display=False) as counter:
        Sequence(num_layers=layers).to("meta")(torch.zeros(steps, n, d, device="meta")).sum().backward()
    assert counter.get_total_flops() == 3 * by_hand - 2 * layers * 2 * n * 4 * hidden * hidden


def test_the_crnn_agrees_with_torch_where_torch_counts():
    model, images = CRNN(20, "light", 1, (32, 64)), torch.zeros(2, 1, 32, 64)
    table = operations(model, lambda: model(images).sum().backward())
    with FlopCounterMode(display=False) as counter:
        out = model.features(images)
        model.classifier(out.flatten(1, 2).permute(2, 0, 1)[..., :256]).sum().backward()
    assert table["flops"].drop("lstm").sum() == counter.get_total_flops()
    t = model.time_steps
    assert table.loc["lstm", "flops"] == lstm_flops(t, 2, model.lstm.input_size, 128)
    assert table.loc["lstm", "steps"] == 3 * 2 * t
    assert table.loc["convolution", "calls"] == 5
    assert "forward" not in vars(model.lstm), "the stand-in is gone"


def test_bytes_read_and_written():
    x = torch.zeros(1000)
    table = operations(nn.Identity(), lambda: torch.relu(x).view(10, 100) + 1)
    assert table.loc["relu", "bytes"] == 8000 and table.loc["add", "bytes"] == 8000
    assert table.loc["view", "bytes"] == 0


def test_what_is_saved_for_the_way_back():
    model = nn.Sequential(nn.Linear(10, 7), nn.ReLU(), nn.Linear(7, 3))
    x = torch.zeros(4, 10)
    # The input and the output of ReLU, which is also the second layer's input; weights are no activations.
    assert saved_bytes(model, lambda: model(x).sum().backward()) == 4 * (10 + 7) * 4
    assert saved_bytes(model, lambda: model(x.clone()).sum().backward()) == 4 * (10 + 7) * 4


def test_memory_grows_with_the_batch_and_shrinks_with_the_bits():
    model = nn.Sequential(nn.Linear(10, 70), nn.ReLU(), nn.Linear(70, 3))
    weights = 4 * sum(p.numel() for p in model.parameters())
    found = memory_bytes(model, (100, 10))
    assert found["weights"] == found["gradients"] == weights and found["optimizer"] == 2 * weights
    assert found["activations"] == 4 * 100 * 80
    assert found["total"] == 4 * weights + found["activations"]
    crnn = CRNN(20, "light", 1, (32, 64))
    whole, half = (memory_bytes(crnn, (64, 1, 32, 64), bits)["activations"] for bits in (32, 16))
    assert 0.4 * whole < half < 0.8 * whole


def flat(**changes):
    """A device without ranges, of which all but what is changed costs nothing."""
    values = {"peak": {32: 1e30}, "bandwidth": 1e30, "memory": 1e9, "call": (0.0, 0.0), "step": (0.0, 0.0)}
    shares = dict.fromkeys(("convolution", "matrix", "lstm", "traffic"), (1.0, 1.0))
    return Device("flat", **values | {"shares": shares} | changes)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"peak": {32: 1e9}}, "compute"),
        ({"bandwidth": 1e7}, "memory traffic"),
        ({"call": (0.1, 0.1)}, "launches"),
        ({"step": (0.1, 0.1)}, "LSTM steps"),
        ({}, "loader"),
    ],
)
def test_what_limits(changes, limit):
    found = predict(PLATES, 800, flat(**changes), bits=32)
    assert found["limit"] == limit and found["bits"] == 32
    assert found["epoch_seconds_low"] == pytest.approx(800 / found["images_per_second_high"])
    assert found["hours_high"] == pytest.approx(PLATES.epochs * found["epoch_seconds_high"] / 3600)


def test_time_is_the_flops_over_the_peak():
    model, step = recipe_step(PLATES)
    step(8)
    flops = operations(model, lambda: step(8))["flops"].sum()
    found = predict(PLATES, 8, flat(peak={32: 1e6}), bits=32)
    assert found["epoch_seconds_low"] == pytest.approx(flops / 1e6, rel=0.02)


def test_ranges_and_better_cards():
    recipe = find_recipe("plates", batch_size=64)
    by_card = {name: predict(recipe, 200_000, name) for name in DEVICES}
    for found in by_card.values():
        assert 0 < found["images_per_second_low"] < found["images_per_second_high"]
        assert 0 < found["gigabytes_low"] < found["gigabytes_high"] < 16
        assert found["largest_batch"] > recipe.batch_size and found["bits"] == 16
    assert by_card["2xT4"]["images_per_second_low"] == pytest.approx(1.6 * by_card["T4"]["images_per_second_low"])
    assert by_card["H200"]["hours_high"] <= by_card["A100-80"]["hours_high"] <= by_card["T4"]["hours_high"]
    batches = [by_card[name]["largest_batch"] for name in ("T4", "L4", "A100-40", "A100-80", "H200")]
    assert batches == sorted(set(batches))


@pytest.mark.parametrize("name", ["glyphs-gpu", "letters-gpu", "names-gpu"])
def test_recipes_of_all_kinds(name):
    small = {
        "glyphs-gpu": {"image_size": (32, 32), "backbone": "resnet18-short"},
        "letters-gpu": {"image_size": (128, 96)},
    }
    recipe = find_recipe(name, batch_size=8, **small.get(name, {}))
    found = predict(recipe, 1000, "L4", bits=32, used=0.5)
    assert found["epoch_seconds_high"] > found["epoch_seconds_low"] > 0


def test_padding_that_is_cut_costs_less():
    recipe = dataclasses.replace(find_recipe("names-gpu", batch_size=4), augment="none")
    whole, half = (predict(recipe, 100, flat(peak={32: TERA}), 32, used)["epoch_seconds_low"] for used in (1.0, 0.5))
    assert 0.5 < half / whole < 0.75


def test_this_processor(monkeypatch):
    monkeypatch.setattr("ocrkit.training.devices._MATRIX", 128)
    monkeypatch.setattr("ocrkit.training.devices._seconds", lambda work, device, tries: (work(), 0.05 / tries)[1])
    assert measure_device(tries=1).peak[32] == pytest.approx(2 * 128**3 / 0.05)
    device = measure_device()
    assert device.peak[32] == pytest.approx(2 * 128**3 / 0.01) and device.bandwidth == pytest.approx(2**27 / 0.01)
    assert not device.beside and "this processor" in device.name
    assert all(0 < low <= high for low, high in device.shares.values())
    assert predict(PLATES, 100, device)["images_per_second_low"] > 0


def test_what_is_refused():
    with pytest.raises(ValueError, match="no device is named 'T5'; there are: T4, 2xT4"):
        predict(PLATES, 100, "T5")
    with pytest.raises(ValueError, match="images=0: there must be at least 1"):
        predict(PLATES, 0)


def test_the_report_marks_what_is_only_predicted():
    ranges = {f"{what}_{end}": v for what in costs.RANGES for end, v in (("low", 1.0), ("high", 4.0))}
    row = {"run": "plates", "batch_size": 8, "bits": 32, "limit": "compute", **ranges, "images_per_second": 3.0}
    row |= {"images_per_second_ratio": 1.5, "gigabytes": 2.0, "gigabytes_ratio": 1.0}
    planned = {"what": "331,059 names", "recipe": "names-gpu", "epochs": 10, "device": "T4", "largest_batch": 1300}
    planned |= ranges | {"limit": "loader"}
    facts = {"device": {"name": "a laptop"}, "torch": "2", "rows": [row], "plan": [planned]}
    text = costs.report(facts)
    assert "| plates | 8 | 32 | compute | 3 | 1 to 4 | 1.50 | 2.0 | 1.0 to 4.0 | 1.00 |" in text
    before, after = text.split("## Graphics cards: predicted, not measured")
    assert "T4" not in before
    assert "| names-gpu, 10 epochs | T4 | 1 to 4 | 1.00 to 4.00 | 1.0 to 4.0 | 1,300 | loader |" in after
