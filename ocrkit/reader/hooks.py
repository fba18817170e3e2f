"""Hooks: what single layers give out in a forward pass, and the gradients that come back. Taught in notebook 06."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from ocrkit.reader.device import evaluating


def find_layer(model: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    """Dotted name and module of a layer, given either; raises a ValueError where the model has no such layer."""
    modules = dict(model.named_modules())
    if isinstance(layer, nn.Module):
        name = next((name for name, module in modules.items() if module is layer), None)
        if name is None:
            raise ValueError(f"this {type(layer).__name__} is no layer of the {type(model).__name__}")
        return name, layer
    if layer not in modules:
        names = [name for name in modules if name]
        near = get_close_matches(layer, names) or names[:8]
        raise ValueError(f"the {type(model).__name__} has no layer {layer!r}; it has, among others: {', '.join(near)}")
    return layer, modules[layer]


class Hook:
    """Keeps what one layer gives out: `with Hook(model.lstm) as hook: model(images).sum().backward()`.

    `output` is the tensor of the last forward pass (of a tuple, as an LSTM gives, its first part), and `gradient` what
    the last `backward` brought to it; None where there is none. Inside the block, `output` belongs to the graph, so
    `torch.autograd.grad(score, hook.output)` works; on leaving, it is cut off. A layer that gives no tensor raises a
    TypeError. Taught in notebook 06.
    """

    def __init__(self, layer: nn.Module):
        self.layer = layer
        self.output: Tensor | None = None
        self.gradient: Tensor | None = None

    def __enter__(self) -> "Hook":
        self._handle = self.layer.register_forward_hook(self._keep)
        return self

    def _keep(self, module, inputs, output):
        first = output[0] if isinstance(output, tuple) else output
        if not isinstance(first, Tensor):
            raise TypeError(f"{type(module).__name__} gives a {type(first).__name__}, and a hook keeps tensors")
        self.output = first
        if first.requires_grad:
            first.register_hook(self._keep_gradient)
        # The next layer works on a copy: one that writes in place (ReLU often does) would change what is kept.
        return (first.clone(), *output[1:]) if isinstance(output, tuple) else first.clone()

    def _keep_gradient(self, gradient: Tensor) -> None:
        self.gradient = gradient.detach()

    def __exit__(self, *error) -> None:
        self._handle.remove()
        if self.output is not None:
            self.output = self.output.detach()


class Hooks(dict[str, Hook]):
    """A `Hook` a layer: `with Hooks(model, "features.2", model.lstm) as hooks: ...`, then `hooks["lstm"].output`.

    Layers are given as modules or by dotted name; without any, all modules that have no parts of their own are hooked.
    Taught in notebook 06.
    """

    def __init__(self, model: nn.Module, *layers: str | nn.Module):
        chosen = layers or [m for m in model.modules() if not any(m.children())]
        super().__init__((name, Hook(module)) for name, module in (find_layer(model, layer) for layer in chosen))

    def __enter__(self) -> "Hooks":
        with ExitStack() as stack:  # if one fails, those before it are removed
            for hook in self.values():
                stack.enter_context(hook)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()


@contextmanager
def observed(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode with gradients; afterwards the model is bit by bit as it was, also where the block raises.

    Restored are weights, buffers, `.grad` (empty inside), the mode of each module, dropout, and the random generators.
    Gradients are computed although the caller said `no_grad`. Taught in notebook 06.
    """
    dropouts = {module: module.dropout for module in model.modules() if isinstance(module, nn.RNNBase)}
    gradients = {parameter: parameter.grad for parameter in model.parameters()}
    tensors = [*model.parameters(), *model.buffers()]
    saved = [t.detach().clone() for t in tensors]
    devices = {t.device.index for t in tensors if t.is_cuda}
    try:
        forked = torch.random.fork_rng(sorted(devices))
        with evaluating(model), forked, torch.inference_mode(False), torch.enable_grad():
            # Without dropout this gives the same; in evaluation mode, cuDNN cannot go back through a recurrent layer.
            for module in dropouts:
                module.training, module.dropout = True, 0.0
            for parameter in gradients:
                parameter.grad = None
            yield model
    finally:
        for module, dropout in dropouts.items():
            module.dropout = dropout
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        with torch.no_grad():
            for now, before in zip(tensors, saved):
                if not torch.equal(now, before):  # to write marks a tensor as changed, for graphs that need it
                    now.copy_(before)
