"""A slide of an index, what is not looked for in it, and tiles and slides that were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["IndexedSlide", "LeftOut", "SlideHit", "TileHit"]


@dataclass(frozen=True, slots=True)
class IndexedSlide:
    """A slide of the index.

    Parameters
    ----------
    slide_id, patient_id, split : str
        As in the cohort table; empty where unknown.
    path : str
        The slide's file as it was read; that of its features where there is no slide.
    result : Path
        Its result file.
    n_tiles : int
        Rows of the index that are its own; 0 where it is not known where its tiles lie.
    first_row : int
        The first of them.
    mpp : float or None
        Level-0 pixel size in µm.
    tile_size_px : int
        Edge of a tile in level-0 pixels.
    slide_shape : tuple of int
        (height, width) in level-0 pixels.
    labels : mapping of str
        Label columns of the cohort table, by name.
    """

    slide_id: str
    patient_id: str
    path: str
    result: Path
    n_tiles: int
    first_row: int
    mpp: float | None
    tile_size_px: int
    slide_shape: tuple[int, int]
    labels: Mapping[str, str] = field(default_factory=dict)
    split: str = ""

    @property
    def rows(self) -> slice:
        """Its rows in the index's arrays."""
        return slice(self.first_row, self.first_row + self.n_tiles)


@dataclass(frozen=True, slots=True)
class TileHit:
    """A tile that was found.

    Parameters
    ----------
    slide : IndexedSlide
        Its slide.
    rowcol : tuple of int
        Row and column on the slide's tile grid.
    number : int
        Row of the index.
    distance : float
        From what was looked for.
    """

    slide: IndexedSlide
    rowcol: tuple[int, int]
    number: int
    distance: float

    @property
    def yx(self) -> tuple[int, int]:
        """Top-left corner in level-0 pixels."""
        size = self.slide.tile_size_px
        return self.rowcol[0] * size, self.rowcol[1] * size

    @property
    def position(self) -> int:
        """Number of the tile in the tile table of its slide's result."""
        return self.number - self.slide.first_row


@dataclass(frozen=True, slots=True)
class SlideHit:
    """A slide that was found.

    Parameters
    ----------
    slide : IndexedSlide
        The slide.
    similarity : float
        Of its slide vector to the one that was looked for, -1 to 1.
    """

    slide: IndexedSlide
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Tiles that a search passes over.

    Parameters
    ----------
    rows : ndarray
        (m,) int64 rows of the index, ascending.
    slides : tuple of slice
        Rows of whole slides, none of them empty.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    slides: tuple[slice, ...] = ()

    def within(self, first: int, n_rows: int) -> list[slice | NDArray[np.int64]]:
        """Return what is left out of ``n_rows`` rows from ``first`` on, counted from there."""
        ends = np.searchsorted(self.rows, (first, first + n_rows))
        parts: list[slice | NDArray[np.int64]] = [
            slice(max(0, gone.start - first), gone.stop - first)
            for gone in self.slides
            if gone.stop > first and gone.start < first + n_rows
        ]
        if ends[0] < ends[1]:
            parts.append(self.rows[ends[0] : ends[1]] - first)
        return parts
