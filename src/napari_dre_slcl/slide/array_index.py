"""NumPy's basic indexing, taken apart: which positions an index picks, in which runs of blocks."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_slice", "full_key", "positions", "runs"]


def full_key(key: Any, ndim: int) -> tuple[Any, ...]:
    """Return one integer or slice per axis.

    Raises
    ------
    IndexError
        If the index names more axes than there are.
    """
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


def positions(part: int | slice, size: int) -> NDArray[np.int64]:
    """Return the positions that an integer or slice picks from an axis.

    Raises
    ------
    IndexError
        If an integer lies outside the axis.
    """
    if isinstance(part, slice):
        return np.arange(*part.indices(size), dtype=np.int64)
    if not -size <= part < size:
        raise IndexError(f"index {part} is out of bounds for axis with size {size}")
    return np.array([part % size], dtype=np.int64)


def runs(values: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Yield each run of equal values and where it lies; values only rise or only fall."""
    if not len(values):
        return
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for start, stop in itertools.pairwise(edges):
        yield int(values[start]), slice(start, stop)


def as_slice(evenly_spaced: NDArray[np.int64]) -> slice:
    """Return evenly spaced positions as a slice."""
    first, last = int(evenly_spaced[0]), int(evenly_spaced[-1])
    step = int(evenly_spaced[1]) - first if len(evenly_spaced) > 1 else 1
    stop = last + (1 if step > 0 else -1)
    return slice(first, None if stop < 0 else stop, step)
