"""Several processes that train one model: a launcher such as `torchrun` starts them, Accelerate connects them.

Each computes its part of every batch, and torch's `DistributedDataParallel` averages the gradients. See notebook 12.
"""

import os
from datetime import timedelta
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

#: How long a process waits for the others, for instance while the first one packs the images for all.
PATIENCE = timedelta(hours=2)


def rank_and_world() -> tuple[int, int]:
    """The number of this process, from 0, and how many train together, as the launcher says: `RANK`, `WORLD_SIZE`."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def accelerator() -> "Accelerator | None":
    """Connect this process with the others, through NCCL or on CPUs through gloo; None where it is alone.

    In a function for `accelerate.notebook_launcher`, call it before anything is computed: if the notebook has used
    several threads of the CPU already, the function would wait for them forever.
    """
    if rank_and_world()[1] == 1:
        return None
    try:
        from accelerate import Accelerator, InitProcessGroupKwargs
    except ImportError as error:
        raise RuntimeError(
            "Accelerate is missing, which connects the processes: run `pip install accelerate`, or install ocrkit "
            "with its extra [scale]; or start one process, without torchrun"
        ) from error
    patience = InitProcessGroupKwargs(timeout=PATIENCE)
    # Precision is set by the step, as in one process.
    made = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no", kwargs_handlers=[patience])
    if parent_process() is not None:
        torch.set_num_threads(1)  # the threads of a notebook stay behind when it forks; to wait for them is forever
    return made


def own_part(n: int) -> slice:
    """Which of n images this process computes; the parts of the processes differ by one image at most."""
    rank, world = rank_and_world()
    return slice(n * rank // world, n * (rank + 1) // world)


def set_seed(seed: int) -> None:
    """Seed torch; each process draws numbers of its own for augmentation and dropout, the first those of `seed`."""
    torch.manual_seed(seed + 1_000_000_007 * rank_and_world()[0])


def print_once(text: str) -> None:
    """Print in the main process."""
    if rank_and_world()[0] == 0:
        print(text, flush=True)


def gather(value: Any) -> list:
    """The values of all processes, in order of their ranks; the same list in each."""
    if rank_and_world()[1] == 1:
        return [value]
    from accelerate.utils import gather_object

    return gather_object([value])


def check_same(**facts: Any) -> None:
    """Raise ValueError, in all processes, where one of the facts is not the same in all."""
    for name, values in zip(facts, zip(*gather(tuple(facts.values())))):
        if any(value != values[0] for value in values):
            raise ValueError(
                f"the processes do not agree on {name}: {', '.join(map(str, values))}; give each the same recipe "
                "and data, and on several machines a folder of the run that all of them share"
            )
