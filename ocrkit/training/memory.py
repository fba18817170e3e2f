"""Memory of the device: which batches fit, and what to do where one did not. Taught in notebook 12."""

from collections.abc import Iterable
from pathlib import Path

import torch

from ocrkit.data.batches import collate
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.processes import rank_and_world
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper, on_trial


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch's own of a GPU, its plain one of a CPU, or Python's."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def largest_batch(recognizer: Recognizer, recipe: Recipe, sizes: Iterable[int] = (512, 256, 128, 64, 32, 16)) -> int:
    """The largest of `sizes` for which a training step, which is really taken, fits into memory; 0 where none does.

    Weights and random numbers are put back. Where the system lends more memory than there is, as Linux does on a CPU,
    a size may be found that is too large. Taught in notebook 12.
    """
    with on_trial(recognizer):
        return next((n for n in sorted(set(sizes), reverse=True) if _fits(recognizer, recipe, n)), 0)


def _fits(recognizer: Recognizer, recipe: Recipe, n: int) -> bool:
    model, characters = recognizer.model, recognizer.tokenizer.alphabet
    # Two characters in turn: equal neighbors would need more time steps.
    text = (characters[:2] * model.time_steps)[: max(1, model.time_steps // 2)]
    try:
        images = torch.zeros((n, model.in_channels, *model.image_size), dtype=torch.uint8)
        Stepper(recognizer, recipe)(collate((images, [text] * n), recognizer.tokenizer))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        model.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()  # does nothing without a GPU
    return True


def in_use(device: torch.device) -> str:
    """How much of a GPU's memory is taken, as a part of a sentence; "" for a CPU."""
    if device.type != "cuda":
        return ""
    free, total = (n / 1e9 for n in torch.cuda.mem_get_info(device))
    return f", where {total - free:.1f} of {total:.1f} GB are in use (by other programs too)"


def advice(recognizer: Recognizer, recipe: Recipe, run_dir: str | Path | None, used: str) -> str:
    """What happened to a training that ran out of memory, and what to do; `used` as of `in_use` at that moment."""
    torch.cuda.empty_cache()
    size, pieces, alone = recipe.batch_size, recipe.accumulate, rank_and_world()[1] == 1
    what = f"out of memory on {recognizer.device} with batch_size={size}{used}"
    halves = [size >> k for k in range(size.bit_length()) if size >> k >= pieces]
    # Of several processes each would wait for the others.
    fits = largest_batch(recognizer, recipe, halves) if alone else 0
    if fits == size:
        do = "it fits now, so something else took the memory for a while: start again, or take a smaller batch_size"
    elif fits:
        do = (
            f"one step fits with batch_size={fits}: set that, or keep {size} and set accumulate="
            f"{pieces * -(-size // fits)}, which computes a batch in so many pieces"
        )
    elif alone:
        do = "not even one image fits: close other programs, or take a smaller image_size or backbone"
    else:
        do = f"set batch_size={max(1, size // 2)}, or accumulate={2 * pieces}, which computes a batch in so many pieces"
    if run_dir and (kept := Path(run_dir, "checkpoint.safetensors")).exists():
        do += f". The finished epochs are kept in {kept}: "
        do += "resume=True goes on with the settings of then, others need another run folder"
    return f"{what}: {do}"
