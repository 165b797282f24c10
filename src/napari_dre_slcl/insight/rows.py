"""ShardRows: arrays of many files as one long array, mapped when they are looked at.

Knows numpy and files. Only some files are mapped at a time: each holds a file open, and a process
may hold few.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.untrusted import map_npy

__all__ = ["MOST_MAPPED", "MapPool", "ShardRows"]

MOST_MAPPED = 128
"""Files that are mapped at a time; macOS lets a process open 256."""

Scalar = TypeVar("Scalar", bound=np.generic)


class MapPool:
    """Maps npy files, and lets go of those that were not used for longest.

    Parameters
    ----------
    most : int
        Files that are mapped at a time.
    """

    def __init__(self, most: int = MOST_MAPPED) -> None:
        self._most = most
        self._maps: OrderedDict[Path, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the array of a file.

        Raises
        ------
        SearchError
            If the file has gone, is damaged or holds something else.
        """
        with self._lock:
            known = self._maps.get(path)
            if known is not None:
                self._maps.move_to_end(path)
                return known
            mapped = _mapped(path, shape, dtype)
            self._maps[path] = mapped
            if len(self._maps) > self._most:
                self._maps.popitem(last=False)
            return mapped


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array: NDArray[Any] = map_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise SearchError(
            f"'{path}', a part of the index, has gone or is damaged. Open the index again, in case "
            "it was made anew; if that does not help, make the cohort searchable again."
        ) from error
    if array.shape != shape or array.dtype != dtype:
        raise SearchError(
            f"'{path}', a part of the index, is damaged: it holds {array.shape} {array.dtype} in "
            f"the place of {shape} {dtype}. Make the cohort searchable again."
        )
    return array


class ShardRows(Generic[Scalar]):
    """Rows of one kind, such as features, over all shards of an index.

    Takes a row, a slice or an array of rows as numpy does; ``np.asarray`` reads all of it.

    Parameters
    ----------
    pool : MapPool
        Maps the files.
    files : sequence of Path
        One npy file per shard.
    counts : sequence of int
        Rows of each.
    dtype : type
        Of numpy.
    width : tuple of int
        Shape of one row: ``()`` for numbers.
    """

    def __init__(
        self,
        pool: MapPool,
        files: Sequence[Path],
        counts: Sequence[int],
        dtype: type[Scalar],
        width: tuple[int, ...] = (),
    ) -> None:
        self._pool = pool
        self._files = tuple(files)
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))]).astype(int)
        self._width = width
        self.dtype: np.dtype[Scalar] = np.dtype(dtype)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...) as of an array."""
        return (len(self), *self._width)

    @property
    def n_shards(self) -> int:
        """How many files there are."""
        return len(self._files)

    def shard(self, number: int) -> NDArray[Scalar]:
        """Return the array of one shard, mapped.

        Raises
        ------
        SearchError
            If its file has gone or is damaged.
        """
        n_rows = int(self._starts[number + 1] - self._starts[number])
        if not n_rows:
            return np.empty((0, *self._width), self.dtype)
        return self._pool.get(self._files[number], (n_rows, *self._width), self.dtype)

    def blocks(self, most: int) -> Iterator[tuple[int, NDArray[Scalar]]]:
        """Yield the first row and the rows of each part of at most ``most`` rows, in order."""
        for number in range(self.n_shards):
            start, stop = int(self._starts[number]), int(self._starts[number + 1])
            for first in range(start, stop, most):
                yield first, self.shard(number)[first - start : first - start + most]

    def __getitem__(self, rows: Any) -> NDArray[Scalar]:
        if isinstance(rows, slice):
            return self._slice(*rows.indices(len(self)))
        asked = np.asarray(rows)
        if asked.dtype == bool:
            asked = np.flatnonzero(asked)
        if asked.size and not (-len(self) <= asked.min() and asked.max() < len(self)):
            raise IndexError(f"There are {len(self)} rows; row {asked.max()} is none of them.")
        asked = np.where(asked < 0, asked + len(self), asked)
        if asked.ndim == 0:
            number = int(np.searchsorted(self._starts, asked, side="right")) - 1
            found: NDArray[Scalar] = self.shard(number)[int(asked) - self._starts[number]]
            return found
        return self._gather(asked.astype(np.int64))

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        return self._gather_slice(0, len(self)).astype(dtype or self.dtype, copy=bool(copy))

    def _slice(self, start: int, stop: int, step: int) -> NDArray[Scalar]:
        if step != 1:
            return self._gather(np.arange(start, stop, step))
        return self._gather_slice(start, max(start, stop))

    def _gather_slice(self, start: int, stop: int) -> NDArray[Scalar]:
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        parts = []
        for number in range(first, self.n_shards):
            begin = int(self._starts[number])
            if begin >= stop:
                break
            part = self.shard(number)[max(0, start - begin) : stop - begin]
            if len(part):
                parts.append(part)
        if len(parts) == 1:
            return parts[0]  # no copy: most slices lie within one shard
        return np.concatenate(parts) if parts else np.empty((0, *self._width), self.dtype)

    def _gather(self, rows: NDArray[np.int64]) -> NDArray[Scalar]:
        """Return rows in the order asked for; each file is read in its own order."""
        found = np.empty((*rows.shape, *self._width), self.dtype)
        order = np.argsort(rows, axis=None, kind="stable")
        ordered = rows.ravel()[order]
        flat = found.reshape(-1, *self._width)
        ends = np.searchsorted(ordered, self._starts)
        for number in range(self.n_shards):
            part = slice(int(ends[number]), int(ends[number + 1]))
            if part.start < part.stop:
                local = ordered[part] - self._starts[number]
                flat[order[part]] = self.shard(number)[local]
        return found
