"""A result as napari LayerData tuples: clusters, and one map of the tiles' values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers.colors import codeword_colors, codeword_name, codeword_shares
from napari_dre_slcl.layers.layer_name import layer_name
from napari_dre_slcl.layers.maps import TileMap, available_maps
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform
from napari_dre_slcl.results import SlideResult

__all__ = [
    "attention_layer",
    "cluster_layer",
    "map_colormap",
    "map_layer",
    "map_layer_name",
]

# Red, green, blue, alpha from no attention to the most.
_ATTENTION_STOPS = (
    (0.16, 0.04, 0.36, 0.0),
    (0.34, 0.06, 0.43, 0.3),
    (0.74, 0.22, 0.33, 0.75),
    (0.98, 0.56, 0.04, 0.95),
    (0.99, 1.00, 0.64, 1.0),
)
# Blue and orange are told apart by colour-blind readers too, and differ from the pinks of H&E.
_DIVERGING_STOPS = (
    (0.02, 0.19, 0.58, 1.0),
    (0.13, 0.44, 0.85, 0.75),
    (0.55, 0.72, 0.90, 0.0),
    (0.95, 0.68, 0.40, 0.0),
    (0.90, 0.42, 0.05, 0.75),
    (0.62, 0.20, 0.00, 1.0),
)


def cluster_layer(result: SlideResult) -> LayerData:
    """Return the codeword of each tile as labels on the tile grid, value = codeword + 1.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    tuple
        ((rows, columns) uint8 or uint16 raster, keyword arguments, "labels").
    """
    # napari makes a table of all values of the type for each colour change: 256 of them, or 65,536.
    dtype = np.uint8 if result.n_codewords < 255 else np.uint16
    raster = result.raster((result.codeword + 1).astype(dtype), fill=0)
    clear = np.zeros(4, dtype=np.float32)
    colors: dict[int | None, NDArray[np.float32]] = {None: clear, 0: clear}
    colors |= {i + 1: color for i, color in enumerate(codeword_colors(result.n_codewords))}
    names = [codeword_name(i) for i in range(result.n_codewords)]
    shares = codeword_shares(result)
    return (
        raster,
        {
            "name": layer_name(result.slide_id, "clusters"),
            "colormap": colors,
            "opacity": 0.45,
            "features": {
                "codeword": ["no tile", *names],
                "share": [0.0, *shares.tolist()],
            },
            "metadata": {METADATA_KEY: _overlay_facts("clusters", result)},
            **grid_transform(result.tile_size_px, result.mpp),
        },
        "labels",
    )


def attention_layer(result: SlideResult) -> LayerData:
    """Return the map of a result's attention, as multiples of the slide's average.

    1 is a tile that gets as much attention as the average tile.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    """
    return map_layer(result, available_maps(result)[0].make())


def map_layer(
    result: SlideResult, tile_map: TileMap, raster: NDArray[np.float32] | None = None
) -> LayerData:
    """Return one value of each tile on the tile grid; all maps of a slide share one layer.

    Cells without a tile are NaN, which napari draws as nothing. The colours grow opaque with the
    value, so that the slide stays visible where there is little to show.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    tile_map : TileMap
        Of that result.
    raster : ndarray of float32, shape (rows, columns), optional
        Its values on the grid, where `SlideResult.raster` was called already.

    Returns
    -------
    tuple
        ((rows, columns) float32 raster, keyword arguments, "image"). Its facts are of the kind
        "attention", whatever it shows; "map" is the key of the map.
    """
    facts = _overlay_facts("attention", result) | {"map": tile_map.key, "unit": tile_map.unit}
    return (
        result.raster(tile_map.values, fill=np.nan) if raster is None else raster,
        {
            "name": map_layer_name(result, tile_map),
            "colormap": map_colormap(tile_map.kind),
            "contrast_limits": tile_map.limits,
            "opacity": 0.8,
            "blending": "translucent",
            "interpolation2d": "nearest",
            "rgb": False,
            "metadata": {METADATA_KEY: facts},
            **grid_transform(result.tile_size_px, result.mpp),
        },
        "image",
    )


def map_layer_name(result: SlideResult, tile_map: TileMap) -> str:
    """Return the name of a slide's map layer, with the unit of what it shows.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    tile_map : TileMap
        Of that result.
    """
    label = tile_map.label
    return layer_name(result.slide_id, f"{label[:1].lower()}{label[1:]}")


def map_colormap(kind: str) -> dict[str, Any]:
    """Return the colours of maps of a kind in the form that napari takes.

    Parameters
    ----------
    kind : str
        ``sequential``: a dark-to-bright ramp that grows opaque; ``diverging``: blue below 0, clear
        at 0, orange above.
    """
    stops = _DIVERGING_STOPS if kind == "diverging" else _ATTENTION_STOPS
    return {"name": f"dre-slcl {kind}", "colors": np.array(stops, dtype=np.float32)}


def _overlay_facts(kind: str, result: SlideResult) -> dict[str, Any]:
    return {
        "kind": kind,
        "path": result.slide_path,
        "slide_id": result.slide_id,
        "tile_size_px": result.tile_size_px,
        "mpp": result.mpp,
    }
