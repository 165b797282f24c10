"""Values of a map as colours, by the same ramps that the window draws it with."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.layers import TileMap, map_colormap
from napari_dre_slcl.results import SlideResult

__all__ = ["codeword_raster", "highest_color", "map_raster", "ramp", "ramp_table"]

_STEPS = 256
_OPACITY = {"map": 0.8, "codewords": 0.45}  # as the layers have it

MapKind = Literal["sequential", "diverging"]


def ramp_table(kind: MapKind) -> NDArray[np.float32]:
    """Return 256 colours from the lowest value to the highest, (256, 4) float32 RGBA in 0-1."""
    stops = np.asarray(map_colormap(kind)["colors"], np.float32)
    places = np.linspace(0, 1, len(stops))
    wanted = np.linspace(0, 1, _STEPS)
    parts = [np.interp(wanted, places, channel) for channel in stops.T]
    return np.stack(parts, axis=1).astype(np.float32)


def ramp(tile_map: TileMap, values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the colour of each value of a map; what is no number is clear.

    Parameters
    ----------
    tile_map : TileMap
        Says the limits and the ramp.
    values : ndarray
        Of any shape.

    Returns
    -------
    ndarray
        Shape of ``values`` and 4, float32 RGBA in 0-1.
    """
    low, high = tile_map.limits
    is_number = np.isfinite(values)
    share = np.where(is_number, (np.nan_to_num(values) - low) / (high - low), 0)
    index = np.clip(share * (_STEPS - 1), 0, _STEPS - 1).round().astype(np.intp)
    colors: NDArray[np.float32] = ramp_table(tile_map.kind)[index]
    colors[~is_number] = 0
    return colors


def map_raster(result: SlideResult, tile_map: TileMap) -> NDArray[np.float32]:
    """Return a map on the tile grid as colours over the slide, (rows, columns, 4) RGBA in 0-1."""
    colors = ramp(tile_map, result.raster(tile_map.values, fill=np.nan))
    colors[..., 3] *= _OPACITY["map"]
    return colors


def codeword_raster(result: SlideResult, look: CodewordLook) -> NDArray[np.float32]:
    """Return the codewords on the tile grid as colours over the slide, as `map_raster` does."""
    clear = np.zeros((1, 4), np.float32)
    table = np.concatenate([clear, np.asarray(look.colors, np.float32)])
    colors: NDArray[np.float32] = table[result.raster(result.codeword + 1)]
    colors[..., 3] *= _OPACITY["codewords"]
    return colors


def highest_color(tile_map: TileMap) -> str:
    """Return the colour of a map's highest value such as ffcc00, for OME channels."""
    red, green, blue = (round(255 * float(part)) for part in ramp_table(tile_map.kind)[-1][:3])
    return f"{red:02x}{green:02x}{blue:02x}"
