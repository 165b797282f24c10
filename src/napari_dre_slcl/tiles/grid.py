"""TileGrid: the squares of a slide at one resolution for every slide, each used or left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.tiles.geojson import tile_features

__all__ = ["TileGrid", "TileStatus", "spread"]


class TileStatus(IntEnum):
    """Whether a tile is used, or why it is left out."""

    KEPT = 0
    BACKGROUND = 1
    PEN = 2
    BLUR = 3
    FOLD = 4
    OUTSIDE = 5
    DAMAGED = 6


@dataclass(frozen=True, slots=True, eq=False)
class TileGrid:
    """The tiles of one slide, on a grid without gap or overlap that starts at (0, 0).

    Cell (r, c) covers the level-0 pixels [r * size_px, (r + 1) * size_px) by
    [c * size_px, (c + 1) * size_px). The cells cover the whole slide; those of the last row and
    column that reach beyond it are left out as `OUTSIDE`.

    Parameters
    ----------
    tile_px : int
        Edge of a tile at the target resolution.
    size_px : int
        Edge of a tile, and distance of neighbours, in level-0 pixels.
    status : ndarray of uint8, shape (rows, cols)
        A `TileStatus` for each cell.
    mpp, target_mpp : float
        µm per pixel of level 0, and asked for.

    Attributes
    ----------
    rowcol : ndarray of int64, shape (n, 2)
        Kept tiles, row by row.
    """

    tile_px: int
    size_px: int
    status: NDArray[np.uint8]
    mpp: float
    target_mpp: float
    rowcol: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rowcol = np.argwhere(self.status == TileStatus.KEPT).astype(np.int64)
        object.__setattr__(self, "rowcol", rowcol)

    def __len__(self) -> int:
        return len(self.rowcol)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the grid, cells outside the slide included."""
        rows, cols = self.status.shape
        return rows, cols

    @property
    def yx(self) -> NDArray[np.int64]:
        """Top-left corners of the kept tiles in level-0 pixels, shape (n, 2)."""
        return self.rowcol * self.size_px

    @property
    def downsample(self) -> float:
        """Level-0 pixels per tile pixel."""
        return self.size_px / self.tile_px

    @property
    def tile_mpp(self) -> float:
        """µm per tile pixel: `target_mpp`, but for the rounding of `size_px` to whole pixels."""
        return self.mpp * self.downsample

    @property
    def reasons(self) -> dict[str, int]:
        """How many tiles were left out, by reason."""
        counts = np.bincount(self.status.ravel(), minlength=len(TileStatus))
        return {
            status.name.lower(): int(counts[status])
            for status in TileStatus
            if status != TileStatus.KEPT
        }

    def to_raster(self, values: NDArray[Any], fill: float = 0) -> NDArray[Any]:
        """Spread one value per kept tile over the grid.

        Parameters
        ----------
        values : ndarray, shape (n, ...)
            In the order of `rowcol`.
        fill : float, default 0
            Value of the other cells.

        Returns
        -------
        ndarray, shape (rows, cols, ...)
            Of the values' type.
        """
        return spread(values, self.rowcol, self.shape, fill)

    def to_geojson(self) -> dict[str, Any]:
        """Return the kept tiles as GeoJSON that QuPath imports as tile objects.

        Returns
        -------
        dict
            A FeatureCollection with one square per tile, in level-0 pixels as (x, y).
        """
        return {
            "type": "FeatureCollection",
            "features": tile_features(self.rowcol, self.size_px, TileStatus.KEPT.name.lower()),
        }


def spread(
    values: NDArray[Any], rowcol: NDArray[np.int64], shape: tuple[int, int], fill: float = 0
) -> NDArray[Any]:
    """Spread one value per tile over a grid.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    rowcol : ndarray of int64, shape (n, 2)
        Row and column of each tile.
    shape : (int, int)
        (rows, cols) of the grid.
    fill : float, default 0
        Value of cells without a tile.

    Returns
    -------
    ndarray, shape (rows, cols, ...)
        Of the values' type.
    """
    raster = np.full((*shape, *values.shape[1:]), fill, dtype=values.dtype)
    raster[rowcol[:, 0], rowcol[:, 1]] = values
    return raster
