"""One training run in several processes, each with its own part of every batch: the loss curve is that of one process.

The processes are started by `torchrun`, `accelerate launch` or `accelerate.notebook_launcher`. Hugging Face Accelerate
finds out who they are and connects them (https://huggingface.co/docs/accelerate). What must be exact is here: every
process sees the same batch and draws the same random numbers for it, computes its own part, and batch norm, dropout
and gradients are those of the whole batch. Taught in notebook 12.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from ocrkit.reader.recognizer import Recognizer

#: How long a process waits for the others, for instance while the first one packs the images for all.
PATIENCE = timedelta(hours=2)


class Share(NamedTuple):
    """Which images of a batch one process computes: those from `first` to `last`, of a piece from `start` to `stop`.

    All ends are excluded. A piece may have fewer images than there are processes; then `first == last` for some.
    """

    start: int
    first: int
    last: int
    stop: int

    @property
    def count(self) -> int:
        """How many images of the process count."""
        return self.last - self.first

    @property
    def total(self) -> int:
        """How many images the piece has."""
        return self.stop - self.start

    @property
    def rows(self) -> slice:
        """The images to compute. Without any of its own, a process computes the first, which counts for nothing."""
        return slice(self.first, self.last) if self.count else slice(self.start, self.start + 1)


class World:
    """The processes that train together, as one of them sees them; all that are made in a process are the same.

    In a function for `accelerate.notebook_launcher`, make one before anything else is computed: if the notebook has
    used several threads of the CPU already, the function would wait for them forever.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are; with 1, all methods do nothing and Accelerate is not needed.
        device: where this process computes; None leaves it to the recognizer.

    Raises:
        RuntimeError: there are several processes, and Accelerate is not installed.
    """

    def __init__(self):
        self.rank, self.size, self.device, self._state = 0, 1, None, None
        if int(os.environ.get("WORLD_SIZE", 1)) == 1:
            return
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise RuntimeError(
                "Accelerate is missing, which connects the processes: run `pip install accelerate`, or install ocrkit "
                "with its extra [scale]; or start one process, without torchrun"
            ) from error
        on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true") or not torch.cuda.is_available()
        self._state = state = PartialState(cpu=on_cpu, timeout=PATIENCE)
        self.rank, self.size, self.device = state.process_index, state.num_processes, state.device
        if parent_process() is not None:
            torch.set_num_threads(1)  # the threads of a notebook stay behind when it forks; to wait for them is forever

    @property
    def main(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def print(self, text: str) -> None:
        """Print in the main process."""
        if self.main:
            print(text, flush=True)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            self._state.wait_for_everyone()

    def main_first(self):
        """A `with` block that the main process goes through first; the others find ready what it made."""
        return self._state.main_process_first() if self.size > 1 else nullcontext()

    def leave(self) -> None:
        """Take leave of the other processes, at the end of a program."""
        if self.size > 1:
            self._state.destroy_process_group()

    def gather(self, value: Any) -> list:
        """The values of all processes, in order of their ranks; the same list in each."""
        if self.size == 1:
            return [value]
        from accelerate.utils import gather_object

        return gather_object([value])

    def from_main(self, value: Any) -> Any:
        """The main process's value, in each process."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def check_same(self, **facts: Any) -> None:
        """Raise ValueError, in all processes, where one of the facts is not the same in all."""
        for name, values in zip(facts, zip(*self.gather(tuple(facts.values())))):
            if any(value != values[0] for value in values):
                raise ValueError(
                    f"the processes do not agree on {name}: {', '.join(map(str, values))}; give each the same recipe "
                    "and data, and on several machines a folder of the run that all of them share"
                )

    def adopt(self, recognizer: Recognizer) -> None:
        """Bring a recognizer to the device of this process, with the weights that it has in the main process."""
        if self.size == 1:
            return
        recognizer.device = self.device
        recognizer.model.to(self.device)
        for tensor in recognizer.model.state_dict().values():
            dense = tensor.contiguous()  # weights may be in channels-last order
            dist.broadcast(dense, 0)
            tensor.copy_(dense)

    def share(self, start: int, stop: int) -> Share:
        """The part of this process of the images from `start` to `stop`; the parts differ by one image at most."""
        n = stop - start
        return Share(start, start + n * self.rank // self.size, start + n * (self.rank + 1) // self.size, stop)

    def sum_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Sum gradients over the processes, in place; returns the sum of their losses, which travels along."""
        if self.size == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        parts = [*gradients, loss]
        together = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(together)
        *summed, loss = together.split([part.numel() for part in parts])
        for gradient, values in zip(gradients, summed):
            gradient.copy_(values.view(gradient.shape))
        return loss.reshape(())

    @contextmanager
    def as_one(self, model: nn.Module, share: Share) -> Iterator[None]:
        """In the block, batch norm and dropout of `model` do as if this process had all images of the piece."""
        changed = []
        for module in model.modules() if self.size > 1 else ():
            for kind, forward in ((nn.BatchNorm2d, global_batch_norm), (nn.Dropout, global_dropout)):
                if isinstance(module, kind):
                    module.forward = partial(forward, module, share=share)
                    changed.append(module)
        try:
            yield
        finally:
            for module in changed:
                del module.forward  # that of its class is seen again


class _Sum(torch.autograd.Function):
    """The sum of a tensor over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def global_batch_norm(norm: nn.BatchNorm2d, x: Tensor, share: Share) -> Tensor:
    """What `norm` would make of `(N, C, H, W)` if it saw the images of all processes; they are `x`, share by share.

    Two sums travel: of the values, which gives the mean, and then of the squared distances to it. In evaluation mode
    it is plain batch norm. The running statistics become the same in all processes. `torch.nn.SyncBatchNorm` is this
    for GPUs alone. Taught in notebook 12.
    """
    if not norm.training:
        return type(norm).forward(norm, x)
    with torch.autocast(x.device.type, enabled=False):
        values, area = x.float(), x.shape[2] * x.shape[3]
        n, total = share.count * area, share.total * area
        variance, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        whole_mean = _Sum.apply(n * mean) / total
        whole_variance = _Sum.apply(n * (variance + (mean - whole_mean).square())) / total
        with torch.no_grad():
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(whole_mean, norm.momentum)
            norm.running_var.lerp_(whole_variance * (total / max(total - 1, 1)), norm.momentum)
        scale = norm.weight * (whole_variance + norm.eps).rsqrt()
        shift = norm.bias - whole_mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def global_dropout(dropout: nn.Dropout, x: Tensor, share: Share) -> Tensor:
    """`dropout` of `(N, C, H, W)` or `(T, N, D)`, with numbers that are drawn for the images of all processes.

    So each image loses the values that it would lose in one process. The dropout inside of a `torch.nn.LSTM` of several
    layers cannot be reached in this way. Taught in notebook 12.
    """
    if not dropout.training or not dropout.p:
        return x
    images = 0 if x.ndim == 4 else 1
    shape = [*x.shape]
    shape[images] = share.total
    # Random numbers are dealt out in the order of the memory.
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    ones = torch.ones(shape, dtype=x.dtype, device=x.device)
    ones = ones.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    return x * F.dropout(ones, dropout.p).narrow(images, share.rows.start - share.start, x.shape[images])
