"""Files that are either whole or not there: writing to a neighbor first, then one rename; and reading tensors back."""

import errno
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

#: What the system says where a file does not fit: no space, no quota, or a limit on the size of a file.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def atomic(path: str | Path, needed: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends without an error, it takes the place of `path`.

    A process that dies half way leaves the old file as it was, and so does a disk that is full. Of that, and of the
    bytes that are `needed` at least (None where nobody knows), tells `fits_on_disk`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with fits_on_disk(path, needed):
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # safetensors writes for its owner alone; other files of a run are for all
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def fits_on_disk(path: Path, needed: int | None = None) -> Iterator[None]:
    """Say of a full disk what was to be written, how many bytes it needs at least and how many are free.

    That is an OSError with the system's number (`errno.ENOSPC` and the like). Other errors pass as they are.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        # safetensors gives the system's number only in its text.
        found = re.search(r"os error (\d+)", str(error))
        code = int(found[1]) if found else getattr(error, "errno", None)
        if code not in _FULL:
            raise
        size = "" if needed is None else f" of at least {_size(needed)}"
        reason = (
            f"{os.strerror(code)}: {path.name}{size} does not fit into {path.parent}, where "
            f"{_size(shutil.disk_usage(path.parent).free)} are free. What was there before is untouched; "
            "make room (runs/stores may always be deleted), or choose another folder"
        )
        raise OSError(code, reason) from error


def _size(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n < 1e9 else f"{n / 1e9:,.2f} GB"


def write_json(path: str | Path, value: dict) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    data = (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
    with atomic(path, len(data)) as temporary:
        temporary.write_bytes(data)


def read_tensors(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a safetensors file; raises `SafetensorError` where it is damaged."""
    with safe_open(path, "pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def crc32(path: Path) -> int:
    """The checksum of a file, read in blocks."""
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            crc = zlib.crc32(block, crc)
    return crc
