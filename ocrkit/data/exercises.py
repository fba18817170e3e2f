"""Exercises: a check cell that tells right answers from wrong ones and from none. Taught in notebook 00."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def check(exercise: str, *answers) -> Iterator[None]:
    """Run the asserts in the body of `with` and print what they say of the answer to `exercise` ("1. Title").

    An answer that is not there yet is no error, so that a notebook with open exercises runs from top to bottom:
    the body raised `NotImplementedError`, as the functions to be written do, or one of `answers` is still None.

    Raises: what the body raised, else: an `AssertionError` says what is not right yet.
    """
    missing = any(answer is None for answer in answers)
    try:
        yield
    except NotImplementedError:
        missing = True
    except Exception as error:
        if not missing:
            wrong = "not right yet" if isinstance(error, AssertionError) else f"stopped with {type(error).__name__}"
            print(f"✗ {exercise}: {wrong}")
            raise
    print(f"○ {exercise}: not done yet" if missing else f"✓ {exercise}: right")
