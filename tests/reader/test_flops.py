"""FLOPs against counts by hand."""

import pytest
import torch
from torch import nn

from ocrkit.reader.crnn import BACKBONES, CRNN
from ocrkit.reader.shapes import count_flops


def test_a_convolution_by_hand():
    # 5 output channels of 3 x 3 x 2 products and sums on 6 x 7 places; the images need no gradient, the weights do.
    forward = 2 * 4 * 5 * (3 * 3 * 2) * 6 * 7
    assert count_flops(nn.Conv2d(2, 5, 3, padding=1), (4, 2, 6, 7)) == forward
    assert count_flops(nn.Conv2d(2, 5, 3, padding=1), (4, 2, 6, 7), backward=True) == 2 * forward
    two = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 3, 1))
    assert count_flops(two, (4, 2, 6, 7), backward=True) == 2 * forward + 3 * 2 * 4 * 3 * 5 * 6 * 7


def test_a_linear_layer_by_hand():
    assert count_flops(nn.Linear(10, 7), (4, 10)) == 2 * 4 * 10 * 7


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
def test_an_lstm_by_hand(layers, directions):
    (steps, n, d), hidden = (5, 3, 12), 8
    widths = [d, *[directions * hidden] * (layers - 1)]
    # Four gates of (inputs + hidden) products each, for every step and direction.
    by_hand = sum(2 * directions * steps * n * 4 * hidden * (width + hidden) for width in widths)
    lstm = nn.LSTM(d, hidden, layers, bidirectional=directions == 2)
    assert count_flops(lstm, (steps, n, d)) == by_hand
    # The first layer's input and the first state of each layer and direction are constants, so two of three products
    # fall away on the way back, or one of three.
    first = 2 * directions * steps * n * 4 * hidden * d
    state = layers * directions * 2 * n * 4 * hidden * hidden
    assert count_flops(lstm, (steps, n, d), backward=True) == 3 * by_hand - first - state


def test_a_crnn_is_the_sum_of_its_parts_and_untouched():
    model, shape = CRNN(20, "light", 1, (32, 64)), (2, 1, 32, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    t, lstm = model.time_steps, model.lstm
    parts = count_flops(model.features, shape) + count_flops(lstm, (t, 2, lstm.input_size))
    assert count_flops(model, shape) == parts + count_flops(model.classifier, (t, 2, 2 * lstm.hidden_size))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_counts_each_image_alike(backbone):
    model = CRNN(20, backbone, 1, (32, 128))
    one, four = (count_flops(model, (n, 1, 32, 128)) for n in (2, 8))
    assert four == 4 * one > 0
