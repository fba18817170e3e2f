"""Memory of the device: which batches fit, and what to do where one did not.

Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

import torch

from ocrkit.data.batches import collate
from ocrkit.reader.model_files import copied_weights
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.processes import rank_and_world
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch's own of a GPU, its plain one of a CPU, or Python's."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def largest_batch(recognizer: Recognizer, recipe: Recipe, sizes: Iterable[int] = (512, 256, 128, 64, 32, 16)) -> int:
    """The largest of `sizes` for which a whole training step fits into memory; 0 where none does.

    It is really tried, with images that are full of ink and long labels. Weights and random numbers are put back.
    Where the system lends more memory than there is, as Linux does on a CPU, a size may be found that is too large.

    Taught in notebook 12.
    """
    model, training = recognizer.model, recognizer.model.training
    before = copied_weights(model)
    gpus = [recognizer.device] if recognizer.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(gpus):
            return next((n for n in sorted(set(sizes), reverse=True) if _fits(recognizer, recipe, n)), 0)
    finally:
        model.load_state_dict(before)
        model.train(training)


def _fits(recognizer: Recognizer, recipe: Recipe, n: int) -> bool:
    model, characters = recognizer.model, recognizer.tokenizer.alphabet
    # Two characters in turn: equal neighbors would need more time steps.
    text = (characters[:2] * model.time_steps)[: max(1, model.time_steps // 2)]
    try:
        images = torch.zeros((n, model.in_channels, *model.image_size), dtype=torch.uint8)
        model.train()
        Stepper(recognizer, recipe)(collate((images, [text] * n), recognizer.tokenizer))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        model.zero_grad(set_to_none=True)
        release()
    return True


def release() -> None:
    """Give memory that torch keeps for later back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_in_use(device: torch.device) -> str:
    """How much of the device's memory is taken, in words; "" where torch cannot tell."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f", where {(total - free) / 1e9:.1f} of {total / 1e9:.1f} GB are in use (by other programs too)"


def explains_out_of_memory(fit: Callable) -> Callable:
    """Make a function with the arguments of `loop.fit` say, where memory runs out, which batch size fits.

    It then raises a MemoryError. In one process sizes are really tried, see `largest_batch`; of several each would
    wait for the others, so there it only says what to set.
    """

    @wraps(fit)
    def explained(recognizer, train, valid, recipe, run_dir=None, *args, **kwargs):
        failed = None
        try:
            return fit(recognizer, train, valid, recipe, run_dir, *args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # What the failed step holds would be in the way; the error itself would keep it.
            failed = error.with_traceback(None)
            failed.__context__ = None
        used = memory_in_use(recognizer.device)
        release()
        raise MemoryError(f"{_advice(recognizer, recipe, run_dir, used)} ({str(failed).splitlines()[0]})") from None

    return explained


def _advice(recognizer: Recognizer, recipe: Recipe, run_dir: str | Path | None, used: str) -> str:
    size, pieces = recipe.batch_size, recipe.accumulate
    what = f"out of memory on {recognizer.device} with batch_size={size}{used}"
    alone = rank_and_world()[1] == 1
    halves = [size >> k for k in range(size.bit_length()) if size >> k >= pieces]
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
    checkpoint = Path(run_dir, "checkpoint.safetensors") if run_dir else None
    if checkpoint and checkpoint.exists():
        do += (
            f". The finished epochs are kept in {checkpoint}: resume=True goes on with the settings of then, other "
            "settings need another run folder"
        )
    return f"{what}: {do}"
