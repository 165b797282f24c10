"""Tiles as GeoJSON, as QuPath reads and writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.errors import SlideError

__all__ = ["save_geojson", "tile_features"]


def tile_features(rowcol: NDArray[np.int64], size_px: int, status: str) -> list[dict[str, Any]]:
    """Return a square for each tile.

    QuPath reads `objectType`, `name`, `measurements` (numbers) and `metadata` (text) and leaves
    the other properties alone; `row`, `col` and `status` are there for everyone else.

    Parameters
    ----------
    rowcol : ndarray of int64, shape (n, 2)
        Row and column of each tile.
    size_px : int
        Edge of a tile in level-0 pixels; tile (0, 0) starts at (0, 0).
    status : str
        Said of each tile.

    Returns
    -------
    list of dict
        GeoJSON features; coordinates are whole level-0 pixels as (x, y), rings are closed.
    """
    return [_tile_feature(row, col, size_px, status) for row, col in rowcol.tolist()]


def _tile_feature(row: int, col: int, size_px: int, status: str) -> dict[str, Any]:
    top, left = row * size_px, col * size_px
    bottom, right = top + size_px, left + size_px
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "tile",
            "name": f"{row}, {col}",
            "row": row,
            "col": col,
            "status": status,
            "measurements": {"row": row, "col": col},
            "metadata": {"status": status},
        },
    }


def save_geojson(collection: Mapping[str, Any], path: str | Path) -> Path:
    """Write GeoJSON, whole or not at all.

    Parameters
    ----------
    collection : mapping
        As `TileGrid.to_geojson` returns it.
    path : str or Path

    Returns
    -------
    Path

    Raises
    ------
    SlideError
        If the file cannot be written.
    """
    try:
        write_text(Path(path), json.dumps(collection, separators=(",", ":")) + "\n")
    except OSError as error:
        raise SlideError(f"The tiles '{path}' cannot be written: {error.strerror}.") from error
    return Path(path)
