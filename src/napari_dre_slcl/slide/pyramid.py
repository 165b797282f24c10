"""LevelArray: the lazy array that napari draws, one per level, coarse levels added."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.slide import Slide

__all__ = ["LevelArray", "slide_pyramid"]

# napari reads the whole coarsest level on its main thread.
LONGEST_COARSE_PX = 2048
SHORTEST_COARSE_PX = 512
BLOCK_PX = 512
CACHE_BYTES = 256 * 2**20


class LevelArray:
    """One level of a slide, read block by block when indexed.

    Takes integers, slices with any step, and `...`; the answer is a new ndarray.

    Parameters
    ----------
    shape : (int, int)
        (height, width) of the level.
    block_px : int
        Edge of the blocks that are read and cached.
    read : callable
        (y, x, height, width) in level pixels -> uint8 (height, width, 3).
    cache : BlockCache
        Shared by the levels of a slide.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        block_px: int,
        read: Callable[[int, int, int, int], NDArray[np.uint8]],
        cache: BlockCache,
    ) -> None:
        self.shape = (*shape, 3)
        self.ndim = 3
        self.dtype = np.dtype(np.uint8)
        self._block_px = block_px
        self._read = read
        self._cache = cache

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
            tuple(min(self._block_px, size - start) for start in range(0, size, self._block_px))
            for size in self.shape[:2]
        )
        return height, width, (3,)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("A slide is read from disk, so its array is always a copy.")
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        rows, cols, channels = _full_key(key, self.ndim)
        y, x = _indices(rows, self.shape[0]), _indices(cols, self.shape[1])
        pixels = self._gather(y, x)
        first = tuple(0 if isinstance(part, int) else slice(None) for part in (rows, cols))
        picked: NDArray[np.uint8] = pixels[(*first, channels)]
        return picked

    def _gather(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels at rows y and columns x, holding one block at a time."""
        out = np.empty((len(y), len(x), 3), np.uint8)
        for block_row, row_part in _runs(y // self._block_px):
            for block_col, col_part in _runs(x // self._block_px):
                block = self._block(block_row, block_col)
                local_y = y[row_part] - block_row * self._block_px
                local_x = x[col_part] - block_col * self._block_px
                out[row_part, col_part] = block[_as_slice(local_y), _as_slice(local_x)]
        return out

    def _block(self, row: int, col: int) -> NDArray[np.uint8]:
        top, left = row * self._block_px, col * self._block_px
        height = min(self._block_px, self.shape[0] - top)
        width = min(self._block_px, self.shape[1] - left)
        return self._cache.get((id(self), row, col), lambda: self._read(top, left, height, width))


def slide_pyramid(slide: Slide, cache_bytes: int = CACHE_BYTES) -> list[LevelArray]:
    """Return a slide's levels for napari, the last at most 2048 px on its longest side.

    Parameters
    ----------
    slide : Slide
        Must stay open for as long as the arrays are used.
    cache_bytes : int
        Memory for decoded blocks, of all levels together.

    Returns
    -------
    list of LevelArray
        Finest first. Levels too small to be looked at are left out; missing coarse ones are made
        by halving the level before.
    """
    cache = BlockCache(cache_bytes)
    block_px = _block_px(min(slide.info.tile_shape))
    levels = [
        LevelArray(shape, block_px, _level_reader(slide, level), cache)
        for level, shape in enumerate(slide.info.level_shapes)
        if level == 0 or max(shape) >= SHORTEST_COARSE_PX
    ]
    while max(levels[-1].shape) > LONGEST_COARSE_PX:
        fine = levels[-1]
        shape = (-(-fine.shape[0] // 2), -(-fine.shape[1] // 2))
        levels.append(LevelArray(shape, block_px, _halving_reader(fine), cache))
    return levels


def _level_reader(slide: Slide, level: int) -> Callable[[int, int, int, int], NDArray[np.uint8]]:
    factor = slide.info.level_downsamples[level]

    def read(y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        return slide.read_region(round(y * factor), round(x * factor), height, width, level)

    return read


def _halving_reader(fine: LevelArray) -> Callable[[int, int, int, int], NDArray[np.uint8]]:
    def read(y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        pixels = fine[2 * y : 2 * (y + height), 2 * x : 2 * (x + width)]
        return np.array(Image.fromarray(pixels).reduce(2))

    return read


def _block_px(tile_px: int) -> int:
    """Return the even multiple of the file's tile edge that is nearest to 512."""
    if not 64 <= tile_px <= 1024 or tile_px % 2:
        return BLOCK_PX
    return tile_px * max(1, round(BLOCK_PX / tile_px))


def _full_key(key: Any, ndim: int) -> tuple[Any, ...]:
    """Return one integer or slice per axis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    n_missing = ndim - (len(parts) - 1)
    if n_missing < 0:
        raise IndexError(f"too many indices: a slide level has {ndim} axes")
    parts[at : at + 1] = [slice(None)] * n_missing
    return tuple(part if isinstance(part, slice) else operator.index(part) for part in parts)


def _indices(part: int | slice, size: int) -> NDArray[np.int64]:
    """Return the positions that an integer or slice picks from an axis."""
    if isinstance(part, slice):
        return np.arange(*part.indices(size), dtype=np.int64)
    if not -size <= part < size:
        raise IndexError(f"index {part} is out of bounds for axis with size {size}")
    return np.array([part % size], dtype=np.int64)


def _runs(values: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Yield each run of equal values and where it lies; values only rise or only fall."""
    if not len(values):
        return
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for start, stop in itertools.pairwise(edges):
        yield int(values[start]), slice(start, stop)


def _as_slice(positions: NDArray[np.int64]) -> slice:
    """Return evenly spaced positions as a slice."""
    first, last = int(positions[0]), int(positions[-1])
    step = int(positions[1]) - first if len(positions) > 1 else 1
    stop = last + (1 if step > 0 else -1)
    return slice(first, None if stop < 0 else stop, step)
