"""How much a file may take in memory, decided by its own size and before anything is allocated."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = [
    "MOST_GROWTH",
    "SMALL_BYTES",
    "ZARR_DAMAGE",
    "UntrustedError",
    "check_array",
    "open_plain",
    "read_bytes",
]

MOST_GROWTH = 64
"""How many times its own size a compressed file may take; tissue features take 1.1 to 2 times."""
SMALL_BYTES = 64 * 2**20
"""What any file may take, however small it is."""
ZARR_DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)
"""What zarr raises over a store that is damaged or made to do harm."""

_MOST_EMPTY = 10**8


class UntrustedError(ValueError):
    """A file holds what no honest one does; the text is half a sentence that says what."""


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Parameters
    ----------
    path : Path
        The file.
    most : int
        Bytes.

    Returns
    -------
    bytes
        All of the file.

    Raises
    ------
    UntrustedError
        If it is longer, or no ordinary file.
    OSError
        If it cannot be read.
    """
    with open_plain(path) as (stream, n_bytes):
        # It may grow while it is read.
        content = stream.read(n_bytes + 1) if n_bytes <= most else b""
        if max(n_bytes, len(content)) > most:
            raise UntrustedError(f"it is longer than {most:,} bytes")
        return content


@contextmanager
def open_plain(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open an ordinary file to read, and say how long it is.

    Raises
    ------
    UntrustedError
        If it is a pipe or a device, which may have no end.
    OSError
        If it cannot be read.
    """
    # A pipe that nobody writes to would be waited for, so it is looked at before it is opened.
    if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
        raise UntrustedError("it is no file but a pipe or a device")
    with path.open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size


def check_array(shape: Sequence[int], dtype: np.dtype[np.generic], n_stored: int) -> int:
    """Return how many bytes an array takes, where a file of its size may hold it.

    Parameters
    ----------
    shape : sequence of int
        As the file says.
    dtype : dtype
        As the file says.
    n_stored : int
        Bytes that the file has for it, compressed or not.

    Raises
    ------
    UntrustedError
        If it holds Python objects, has no shape, or would take far more than the file.
    """
    if dtype.hasobject:
        raise UntrustedError("it holds Python objects, which could run code")
    if any(edge < 0 for edge in shape) or math.prod(max(1, edge) for edge in shape) > 2**62:
        raise UntrustedError(f"no array has the shape {shown_shape(shape)}")
    n_bytes = math.prod(shape) * dtype.itemsize
    if not n_bytes and math.prod(max(1, edge) for edge in shape) > _MOST_EMPTY:
        raise UntrustedError(f"an array of the shape {shown_shape(shape)} holds nothing")
    if n_bytes > SMALL_BYTES + MOST_GROWTH * n_stored:
        raise UntrustedError(
            f"it speaks of {n_bytes / 2**30:,.1f} GiB, shape {shown_shape(shape)}, but holds "
            f"{n_stored:,} bytes"
        )
    return n_bytes


def shown_shape(shape: Sequence[int]) -> str:
    """Return a shape as text that fits a sentence."""
    edges = [f"{edge:,}" if abs(edge) < 10**15 else "very many" for edge in shape[:4]]
    return " x ".join(edges) + (" x ..." if len(shape) > 4 else "")
