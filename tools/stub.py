"""Write `ocrkit/__init__.pyi`, by which editors complete and check the names that `ocrkit` imports late.

python -m tools.stub
"""

from __future__ import annotations

from pathlib import Path

import ocrkit

STUB = Path(ocrkit.__file__).with_suffix(".pyi")


def stub() -> str:
    """The text of the stub: an import for each name, and the names that are listed."""
    lines = ['"""Written by `python -m tools.stub` from `__init__.py`."""', ""]
    lines += [f"from ocrkit.{home} import {name} as {name}" for name, home in sorted(ocrkit._HOME.items())]
    listed = "".join(f'    "{name}",\n' for name in ocrkit.__all__)
    return "\n".join([*lines, "", "__version__: str", f"__all__ = [\n{listed}]", ""])


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
