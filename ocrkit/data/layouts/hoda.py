"""Hoda: handwritten Persian digits (and letters) in the binary `.cdb` files in which the set is given away.

A file is a header of 1,024 bytes and then records, all numbers little-endian. Header: year (2 bytes), month, day,
height, width (1 each; 0 where images differ in size), number of records (4), records of each of 128 classes (4 each),
kind of image (1; 0 binary, 1 gray), a comment and a reserve. Record: a byte 255, the class (1), width and height (1
each, only where images differ in size), the number of bytes of the image (2), and the image: gray pixels row by row,
or the lengths of runs, each row beginning with a white one.

Source: Khosravi and Kabir (2007), "Introducing a very large dataset of handwritten Farsi digits and a study on their
varieties"; the format is known from the readers for it that are public. Taught in notebook 09.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

_HEADER = struct.Struct("<HBBBBI128IB256s245s")
_MARK = 255


class Glyph(NamedTuple):
    """One record: `image` is uint8 `(H, W)`, dark ink on white as on paper; `label` is the number of its class."""

    image: np.ndarray
    label: int


def read_cdb(path: str | Path) -> Iterator[Glyph]:
    """Read a `.cdb` file record by record. Taught in notebook 09.

    Raises ValueError: the file is none, ends too early, or a record does not fit the header; the message names the
    record, and those before it have been given by then.
    """
    data = Path(path).read_bytes()
    if len(data) < _HEADER.size:
        raise ValueError(f"{path} is no .cdb file: it has {len(data)} bytes, the header alone has {_HEADER.size}")
    _, month, day, height, width, n, *counts, kind, _, _ = _HEADER.unpack_from(data)
    if not (month <= 12 and day <= 31 and kind in (0, 1) and sum(counts) == n):
        raise ValueError(f"{path} is no .cdb file: its header has no date, kind of image and counts that add up")
    place = _HEADER.size
    for number in range(n):
        try:
            glyph, place = _record(data, place, (height, width), kind == 1)
        except (IndexError, struct.error, ValueError) as error:
            raise ValueError(
                f"{path} is damaged at record {number + 1} of {n} (byte {place}): {error}; copy it again"
            ) from error
        yield glyph


def _record(data: bytes, place: int, size: tuple[int, int], gray: bool) -> tuple[Glyph, int]:
    """The record that begins at a byte, and where the next one begins."""
    mark, label = struct.unpack_from("<BB", data, place)
    if mark != _MARK:
        raise ValueError(f"it begins with {mark}, not {_MARK}")
    height, width = size
    if not height or not width:
        place += 2
        width, height = struct.unpack_from("<BB", data, place)
    (length,) = struct.unpack_from("<H", data, place + 2)
    place += 4
    if place + length > len(data):
        raise ValueError("the file ends in the middle of it")
    if not height or not width:
        raise ValueError(f"the image has no pixels (width {width}, height {height})")
    body = np.frombuffer(data, np.uint8, length, place)
    if not gray:
        body = _unpack_runs(body.astype(np.intp), height, width)
    elif length != height * width:
        raise ValueError(f"{length} bytes are no image of {width} x {height} pixels")
    return Glyph(body.reshape(height, width).copy(), label), place + length


def _unpack_runs(runs: np.ndarray, height: int, width: int) -> np.ndarray:
    starts = np.cumsum(runs) - runs
    rows = np.arange(height) * width
    firsts = np.searchsorted(starts, rows)  # the first run of each row
    if runs.sum() != height * width or not np.array_equal(starts[firsts], rows):
        raise ValueError(f"its runs do not fill {height} rows of {width} pixels")
    in_row = np.arange(len(runs)) - np.repeat(firsts, np.diff(firsts, append=len(runs)))
    return np.repeat(np.where(in_row % 2, 0, 255).astype(np.uint8), runs)
