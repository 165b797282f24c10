"""How large a memory bank is, and which part of each of its arrays a process holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Arrays", "BankShape", "new_arrays"]

Arrays = dict[str, Tensor]

_FORMAT = 1
_NUMPY = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
_PER_SLIDE = ("residual", "mass", "count")
_SHARED = "codewords"


@dataclass(frozen=True, slots=True)
class BankShape:
    """How large a bank is.

    Parameters
    ----------
    tile_counts : tuple of int
        Tiles of each slide.
    dim : int
        Width d of a feature.
    codewords : int
        K.
    dtype : torch.dtype
        Of the stored features: float16, float32 or float64.
    owned : range
        Slides whose rows this process holds; neighbours, or none.
    """

    tile_counts: tuple[int, ...]
    dim: int
    codewords: int
    dtype: torch.dtype
    owned: range
    _starts: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", np.cumsum([0, *self.tile_counts], dtype=np.int64))

    @property
    def n_tiles(self) -> int:
        """Number of tiles of all slides."""
        return int(self._starts[-1])

    @property
    def is_whole(self) -> bool:
        """Whether this process holds all slides."""
        return len(self.owned) == len(self.tile_counts)

    def tiles_of(self, slides: range) -> range:
        """Return the row numbers, in the whole bank, of neighbouring slides."""
        return range(int(self._starts[slides.start]), int(self._starts[slides.stop]))

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return shape and type of each array of the whole bank by name."""
        n, s, k, d = self.n_tiles, len(self.tile_counts), self.codewords, self.dim
        weight = np.float64 if self.dtype == torch.float64 else np.float32
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "features": ((n, d), _NUMPY[self.dtype]),
            "filled": ((n,), np.uint8),
            "codeword": ((n,), np.int16),
            "weight": ((n,), weight),
            "written": ((n,), np.int32),
            "drift": ((n,), np.float32),
            # Doubles: what is added and taken away again a hundred thousand times leaves no trace.
            "residual": ((s, k, d), np.float64),
            "mass": ((s, k), np.float64),
            "count": ((s, k), np.int64),
            _SHARED: ((k, d), np.float64),
        }
        return {name: (shape, np.dtype(kind)) for name, (shape, kind) in shapes.items()}

    def part(self, name: str) -> range:
        """Return which rows of an array this process holds."""
        if name == _SHARED:
            return range(self.codewords)
        return self.owned if name in _PER_SLIDE else self.tiles_of(self.owned)

    def n_bytes(self) -> int:
        """Return the bytes of all arrays together, of the whole bank."""
        return sum(
            int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            for shape, kind in self.arrays().values()
        )

    def part_of_slide(self, name: str, slide: int) -> range:
        """Return which rows, counted from the first that is held, are of an owned slide."""
        if name == _SHARED:
            return range(self.codewords)
        one = range(slide, slide + 1)
        rows, first = (one if name in _PER_SLIDE else self.tiles_of(one)), self.part(name).start
        return range(rows.start - first, rows.stop - first)

    def part_bytes(self) -> int:
        """Return the bytes of what this process holds."""
        return sum(
            len(self.part(name)) * int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
            for name, (shape, kind) in self.arrays().items()
        )

    def facts(self) -> dict[str, Any]:
        """Return what two banks must share to be the same bank."""
        counts = np.asarray(self.tile_counts, np.int64).tobytes()
        return {
            "format": _FORMAT,
            "slides": len(self.tile_counts),
            "tiles": self.n_tiles,
            "tile_counts_sha256": hashlib.sha256(counts).hexdigest(),
            "dim": self.dim,
            "codewords": self.codewords,
            "dtype": str(self.dtype).removeprefix("torch."),
        }


def new_arrays(shape: BankShape) -> Arrays:
    """Return empty arrays in memory, of what this process holds."""
    return {
        name: torch.from_numpy(np.zeros((len(shape.part(name)), *size[1:]), kind))
        for name, (size, kind) in shape.arrays().items()
    }
