"""The world that all layers of a slide share.

µm where the pixel size is known, level-0 pixels where not, with the centre of level-0 pixel (0, 0)
at the origin, as napari has it.
"""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["METADATA_KEY", "LayerData", "grid_transform", "world_transform"]

METADATA_KEY = "dre_slcl"
"""Key in a layer's ``metadata`` under which the facts of our layers lie."""

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels", "points"]]


def world_transform(mpp: float | None) -> dict[str, Any]:
    """Return scale, units and axis labels of a slide's level 0.

    Parameters
    ----------
    mpp : float or None
        µm per level-0 pixel; None draws in pixels.

    Returns
    -------
    dict
        Keyword arguments of a napari layer.
    """
    unit = "pixel" if mpp is None else "um"
    size = mpp or 1.0
    return {"scale": (size, size), "units": (unit, unit), "axis_labels": ("y", "x")}


def grid_transform(tile_size_px: float, mpp: float | None) -> dict[str, Any]:
    """Return the same for a raster with one cell per tile.

    napari puts a pixel's centre at its index, so a cell of t pixels has its centre at (t - 1) / 2
    of them: without that shift the raster would lie half a tile off.

    Parameters
    ----------
    tile_size_px : float
        Edge of a cell in level-0 pixels.
    mpp : float or None
        µm per level-0 pixel.

    Returns
    -------
    dict
        Keyword arguments of a napari layer.
    """
    size = mpp or 1.0
    shift = (tile_size_px - 1) / 2 * size
    cell = tile_size_px * size
    return world_transform(mpp) | {"scale": (cell, cell), "translate": (shift, shift)}
