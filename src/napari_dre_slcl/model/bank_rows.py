"""Write rows into the memory bank's arrays: in memory, or into files that other processes share."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from napari_dre_slcl.atomic_file import open_in_place
from napari_dre_slcl.model.bank_shape import Arrays

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["BLOCK_BYTES", "FileRows", "HeldRows", "SharedFile"]

BLOCK_BYTES = 2 * 2**20
"""Largest piece of a file that a system's cache writes back as one."""

_SCATTERED = 2048

Rows = Tensor | slice


class HeldRows:
    """Arrays in memory, written in place.

    Parameters
    ----------
    arrays : dict of str to Tensor
        What this process holds of each.
    """

    is_on_disk = False

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def write(self, name: str, rows: Rows, values: Tensor) -> None:
        """Set rows of an array, numbered from the first that this process holds."""
        self.arrays[name][rows] = values

    def flush(self, *names: str) -> None:
        """Nothing to do."""


class FileRows(HeldRows):
    """Arrays of files, written through to them.

    Parameters
    ----------
    files : mapping of str to SharedFile
        By name of the array.
    """

    is_on_disk = True

    def __init__(self, files: Mapping[str, SharedFile]) -> None:
        super().__init__({name: file.values for name, file in files.items()})
        self._files = files

    def write(self, name: str, rows: Rows, values: Tensor) -> None:
        """Set rows of an array, numbered from the first that this process holds."""
        self._files[name].write(rows, values)

    def flush(self, *names: str) -> None:
        """Make some arrays durable."""
        for name in names:
            self._files[name].flush()


class SharedFile:
    """One array of a file, of which other processes write other rows at the same time.

    A mapped file is written back in blocks. On a network disk a block that two machines share
    would carry one's old rows over the other's new ones. So only blocks that are this process's
    alone are written through the map; at the edges the very bytes are written.

    Parameters
    ----------
    path : Path
        A ``.npy`` file.
    part : range
        Rows of this process.
    """

    def __init__(self, path: Path, part: range) -> None:
        self._path = path
        self._map: np.memmap[Any, Any] = npy.open_memmap(path, mode="r+")
        self.values = torch.from_numpy(self._map[part.start : part.stop])
        self._row_bytes = self._map.dtype.itemsize * int(np.prod(self._map.shape[1:]))
        self._start_bytes = int(self._map.offset) + part.start * self._row_bytes
        self._inner = self._inner_rows(part, len(self._map))

    def write(self, rows: Rows, values: Tensor) -> None:
        """Set some rows, numbered from the first of this process."""
        first, last = self._inner
        if (first, last) == (0, len(self.values)) and isinstance(rows, slice):
            self.values[rows] = values
        elif isinstance(rows, slice):
            begin, end, _ = rows.indices(len(self.values))
            cuts = [begin, min(max(first, begin), end), min(max(last, begin), end), end]
            before, inner, after = values.split([b - a for a, b in pairwise(cuts)])
            self.values[cuts[1] : cuts[2]] = inner
            self._write_edge(torch.arange(cuts[0], cuts[1]), before)
            self._write_edge(torch.arange(cuts[2], cuts[3]), after)
        else:
            is_before, is_after = rows < first, rows >= last
            is_inner = ~(is_before | is_after)
            self._scatter(rows[is_inner], values[is_inner])
            for is_edge in (is_before, is_after):
                self._write_edge(rows[is_edge], values[is_edge])

    def flush(self) -> None:
        """Make what was written durable, and count no longer as memory of this process."""
        self._map.flush()  # writes back the whole file, the edges as well
        self._give_back()

    def _scatter(self, rows: Tensor, values: Tensor) -> None:
        """Write rows here and there; each brings its neighbours into memory, soon all of them."""
        for some, theirs in zip(rows.split(_SCATTERED), values.split(_SCATTERED), strict=True):
            self.values[some] = theirs
            if len(some) == _SCATTERED:
                self._give_back()

    def _give_back(self) -> None:
        """Count pages no longer as memory of this process; the system keeps and writes them."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def _inner_rows(self, part: range, n_rows: int) -> tuple[int, int]:
        """Return the first row, and the one after the last, that lie in blocks of our own."""
        row, begin = self._row_bytes, self._start_bytes
        end = begin + len(part) * row
        first, last = 0, len(part)
        if part.start > 0:
            first = -(-(-begin % BLOCK_BYTES) // row)
        if part.stop < n_rows:
            last = (end - end % BLOCK_BYTES - begin) // row
        return (first, last) if first < last else (len(part), len(part))

    def _write_edge(self, rows: Tensor, values: Tensor) -> None:
        """Write the bytes of rows; closing sends them to a network disk, `flush` keeps them."""
        if not len(rows):
            return
        first, last = int(rows.min()), int(rows.max()) + 1
        block = self.values[first:last].clone()
        block[rows - first] = values.to(block.dtype)
        content = block.numpy().tobytes()
        offset = self._start_bytes + first * self._row_bytes
        with open_in_place(self._path) as stream:
            _own(stream.fileno(), offset, len(content))
            stream.seek(offset)
            written = 0
            while written < len(content):
                written += stream.write(content[written:])


def _own(handle: int, offset: int, n_bytes: int) -> None:
    """Lock bytes of a file until it is closed, where that is to be had.

    Linux writes whole pages to NFS, neighbours' bytes and all, unless the file is locked in part
    (`nfs_can_extend_write`).
    """
    if fcntl is not None:
        with suppress(OSError):
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, n_bytes, offset)
