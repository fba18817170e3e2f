"""Hooks remove themselves, and an observed model is afterwards bit by bit what it was."""

import pytest
import torch
from torch import nn

from ocrkit.reader.crnn import CRNN
from ocrkit.reader.hooks import Hook, Hooks, find_layer, observed


class Small(nn.Module):
    """Everything that has a state: batch normalization, dropout, an in-place ReLU, an LSTM with dropout."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.lstm = nn.LSTM(4 * 6, 5, 2, dropout=0.5, bidirectional=True)
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(10, 3)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.lstm(x.flatten(1, 2).permute(2, 0, 1))[0]
        return self.out(self.drop(x))


@pytest.fixture
def model():
    """In a state that no call of train() or eval() gives, with gradients in some weights."""
    model = Small()
    model(images()).sum().backward()
    model.norm.eval()
    model.out.weight.grad = None
    return model


def images():
    return torch.randn(2, 1, 6, 8, generator=torch.Generator().manual_seed(1))


def state(model):
    """All that `observed` promises to restore."""
    return (
        {name: t.clone() for name, t in model.state_dict().items()},
        {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        [m.training for m in model.modules()],
        [m.p if isinstance(m, nn.Dropout) else m.dropout for m in (model.drop, model.lstm)],
        torch.get_rng_state(),
        hooks(model),
    )


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


# --- hooks ---


def test_a_hook_keeps_output_and_gradient(model):
    model.eval()
    with Hook(model.conv) as hook:
        score = model(images()).pow(2).sum()
        (expected,) = torch.autograd.grad(score, hook.output, retain_graph=True)
        score.backward()
    assert torch.equal(hook.output, model.conv(images()))
    assert torch.equal(hook.gradient, expected) and expected.abs().sum() > 0
    assert not hook.output.requires_grad and hooks(model) == 0


def test_a_layer_that_writes_in_place_does_not_change_what_was_kept(model):
    model.eval()
    with torch.no_grad(), Hook(model.norm) as hook:
        model(images())
    assert (hook.output < 0).any()  # the ReLU behind it has not touched it
    assert torch.equal(hook.output, model.norm(model.conv(images())))
    assert hook.gradient is None


def test_a_hook_changes_no_output(model):
    model.eval()
    plain = model(images())
    with Hooks(model) as found:
        assert torch.equal(model(images()), plain)
    assert list(found) == ["conv", "norm", "relu", "lstm", "drop", "out"] and len(found) == 6
    assert torch.equal(found["out"].output, plain)


def test_of_a_tuple_the_first_part_is_kept(model):
    with observed(model), Hooks(model, "lstm", model.out) as found:
        model(images()).sum().backward()
    assert found["lstm"].output.shape == found["lstm"].gradient.shape == (8, 2, 10)
    assert found["out"].output.shape == (8, 2, 3)


@pytest.mark.parametrize("make", [lambda m: Hook(m.lstm), lambda m: Hooks(m, "conv", "lstm")])
def test_hooks_are_removed_when_the_block_raises(model, make):
    with pytest.raises(ZeroDivisionError), make(model):
        assert hooks(model) > 0
        raise ZeroDivisionError
    assert hooks(model) == 0


def test_hooks_are_removed_when_the_forward_pass_raises(model):
    with pytest.raises(RuntimeError), Hooks(model):
        model(torch.zeros(2, 7, 6, 8))
    assert hooks(model) == 0


def test_a_layer_without_a_tensor_is_refused():
    class Odd(nn.Module):
        def forward(self, x):
            return {"x": x}

    odd = Odd()
    with pytest.raises(TypeError, match="Odd gives a dict"), Hook(odd):
        odd(torch.zeros(1))
    assert hooks(odd) == 0


def test_layers_by_name_and_by_module():
    model = CRNN(10)
    assert find_layer(model, "features.3") == ("features.3", model.features[3])
    assert find_layer(model, model.lstm) == ("lstm", model.lstm)
    with pytest.raises(ValueError, match="no layer 'feature.3'.*features.3"):
        find_layer(model, "feature.3")
    with pytest.raises(ValueError, match="this LSTM is no layer of the CRNN"):
        Hooks(model, nn.LSTM(1, 1))


# --- observed ---


def damage(model):
    """All that may go wrong with a model in a block."""
    model.train()
    model(images()).sum().backward()  # running statistics, gradients, random numbers
    with torch.no_grad():
        model.conv.weight.zero_()
        model.norm.running_var.fill_(float("nan"))
    model.lstm.dropout = 0.9


def test_observed_restores_everything(model):
    before = state(model)
    with observed(model) as inside:
        assert inside is model and all(p.grad is None for p in model.parameters())
        damage(model)
        assert not same(before, state(model))
    assert same(before, state(model))


def test_observed_restores_everything_when_the_block_raises(model):
    before, gradient = state(model), model.conv.weight.grad
    with pytest.raises(ZeroDivisionError), observed(model), Hooks(model):
        damage(model)
        raise ZeroDivisionError
    assert same(before, state(model))
    assert model.conv.weight.grad is gradient  # an optimizer that holds it holds the right one


def test_what_was_not_a_number_stays_so(model):
    with torch.no_grad():
        model.conv.bias[0] = float("nan")
    before = model.conv.bias.detach().clone()
    with observed(model):
        model.conv.bias.data.zero_()
    assert torch.equal(model.conv.bias.isnan(), before.isnan()) and torch.equal(model.conv.bias[1:], before[1:])


def test_observed_computes_as_in_evaluation(model):
    model.eval()
    plain = model(images()).detach()
    model.train()
    with torch.inference_mode(), observed(model):
        out = model(images())
        out.sum().backward()
        assert model.conv.weight.grad.abs().sum() > 0  # although the caller wanted no gradients
        # cuDNN goes back through a recurrent layer in training mode alone; only the dropout makes a difference.
        assert model.lstm.training and model.lstm.dropout == 0.0
        assert not model.norm.training and not model.drop.training
    assert torch.equal(out.detach(), plain)


def test_a_graph_from_before_still_works(model):
    loss = model(images()).sum()
    with observed(model):
        model(images()).sum().backward()
    before = model.conv.weight.grad.clone()
    loss.backward()
    assert not torch.equal(model.conv.weight.grad, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_backward_through_an_lstm_with_cudnn(model):
    model.eval().cuda()
    with pytest.raises(RuntimeError, match="training mode"):
        model(images().cuda()).sum().backward()
    with observed(model), Hook(model.conv) as hook:
        model(images().cuda()).sum().backward()
    assert hook.gradient.abs().sum() > 0
