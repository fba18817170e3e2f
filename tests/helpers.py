"""What tests of several files share."""

import os

from hypothesis import settings

#: How many times as many random cases as usual: 1 in `make test`, more in `make search`.
TIMES = int(os.environ.get("OCRKIT_SEARCH", "1"))


def cases(n: int) -> settings:
    """Settings of a test that is given random cases: `n` of them, more in a long search."""
    return settings(max_examples=n * TIMES)
