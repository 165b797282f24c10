"""Where the tiles of a feature file lie on the grid that results are drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_store import StoredFeatures

__all__ = ["TileTable", "tile_table"]

_ROUNDING_PX = 1
# A map is an array of the whole grid; no slide has as many tiles side by side and below each other.
_MOST_CELLS = 10**8


def _nowhere() -> NDArray[np.int64]:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class TileTable:
    """Tiles of a slide on a grid without gap that starts at (0, 0).

    Parameters
    ----------
    size_px : int
        Edge of a tile in level-0 pixels, 0 where unknown.
    grid_shape, slide_shape : tuple of int
        (rows, columns) of the grid, and the level-0 pixels that it covers.
    rowcol : ndarray
        (n, 2) int64.
    """

    size_px: int = 0
    grid_shape: tuple[int, int] = (0, 0)
    slide_shape: tuple[int, int] = (0, 0)
    rowcol: NDArray[np.int64] = field(default_factory=_nowhere)


def tile_table(stored: StoredFeatures) -> tuple[TileTable, str]:
    """Put the tiles of a feature file on a grid.

    Parameters
    ----------
    stored : StoredFeatures
        Features with the level-0 corners of their tiles, or without.

    Returns
    -------
    TileTable
        Empty where the tiles cannot be put on a grid that starts at (0, 0).
    str
        Why it is empty, else empty.
    """
    size_px, corners = stored.file.tile_size_px, stored.coords_yx
    if corners is None:
        return TileTable(), "The feature file does not say where its tiles lie."
    if size_px is None:
        return TileTable(), "The feature file does not say how large its tiles are at level 0."
    rowcol = np.rint(corners / size_px).astype(np.int64)
    is_off = np.abs(rowcol * size_px - corners).max() > _ROUNDING_PX
    if is_off or rowcol.min() < 0 or len(np.unique(rowcol, axis=0)) < len(rowcol):
        return TileTable(), "The tiles of the feature file lie on no common grid from (0, 0)."
    rows, cols = (int(last) + 1 for last in rowcol.max(axis=0))
    if rows * cols > _MOST_CELLS:
        return TileTable(), f"The tiles of the feature file, of {size_px} px, lie too far apart."
    return TileTable(size_px, (rows, cols), (rows * size_px, cols * size_px), rowcol), ""
