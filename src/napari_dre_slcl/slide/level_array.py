"""LevelArray: one level of a slide as the lazy array that napari draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_dre_slcl.slide.array_index import as_slice, full_key, positions, runs

__all__ = ["BlockSource", "LevelArray"]


class BlockSource(Protocol):
    """Where the blocks of a slide come from, for all its levels."""

    def read(self, level: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return a block of a level, in pixels of the level; read-only."""

    def run(self, tasks: Iterator[Callable[[], None]]) -> None:
        """Run tasks that read, several at a time."""


class LevelArray:
    """One level of a slide, read block by block when indexed.

    Takes integers, slices with any step, and `...`; the answer is a new ndarray.

    Parameters
    ----------
    shape : (int, int)
        (height, width) of the level.
    block_shape : (int, int)
        (height, width) of the blocks that are read and cached.
    source : BlockSource
        Shared by the levels of a slide.
    level : int
        Number of this level for `source`.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        block_shape: tuple[int, int],
        source: BlockSource,
        level: int,
    ) -> None:
        self.shape = (*shape, 3)
        self.ndim = 3
        self.dtype = np.dtype(np.uint8)
        self._block_shape = block_shape
        self._source = source
        self._level = level

    @property
    def source(self) -> BlockSource:
        """Where the pixels come from; the same object for all levels of a slide."""
        return self._source

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1] * 3

    @property
    def nbytes(self) -> int:
        """Bytes that the whole level would take."""
        return self.size

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int]]:
        """Block edges along each axis, as dask writes them."""
        height, width = (
            tuple(min(edge, size - start) for start in range(0, size, edge))
            for size, edge in zip(self.shape[:2], self._block_shape, strict=True)
        )
        return height, width, (3,)

    def __len__(self) -> int:
        return self.shape[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> LevelArray:
        """Return the array itself, which nothing can change; napari copies layers deeply."""
        return self

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("A slide is read from disk, so its array is always a copy.")
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        rows, cols, channels = full_key(key, self.ndim)
        y, x = positions(rows, self.shape[0]), positions(cols, self.shape[1])
        out = np.empty((len(y), len(x), 3), np.uint8)
        self._source.run(self._copies(y, x, out))
        first = tuple(0 if isinstance(part, int) else slice(None) for part in (rows, cols))
        picked: NDArray[np.uint8] = out[(*first, channels)]
        return picked

    def _copies(
        self, y: NDArray[np.int64], x: NDArray[np.int64], out: NDArray[np.uint8]
    ) -> Iterator[Callable[[], None]]:
        """Yield one task per block that fills its part of `out` from rows y and columns x."""
        height, width = self._block_shape
        for row, row_part in runs(y // height):
            for col, col_part in runs(x // width):
                top, left = row * height, col * width
                picked = as_slice(y[row_part] - top), as_slice(x[col_part] - left)
                yield partial(self._copy, top, left, picked, out[row_part, col_part])

    def _copy(
        self, top: int, left: int, picked: tuple[slice, slice], target: NDArray[np.uint8]
    ) -> None:
        height = min(self._block_shape[0], self.shape[0] - top)
        width = min(self._block_shape[1], self.shape[1] - left)
        target[:] = self._source.read(self._level, top, left, height, width)[picked]
