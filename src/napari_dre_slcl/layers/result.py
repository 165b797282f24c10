"""A result as napari LayerData tuples: clusters and attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers.colors import codeword_colors, codeword_name, codeword_shares
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform
from napari_dre_slcl.results import SlideResult

__all__ = ["attention_colormap", "attention_layer", "cluster_layer", "result_layers"]

_ATTENTION_PERCENTILE = 99.0
_LEAST_ATTENTION_TOP = 2.0  # so that even attention, 1 everywhere, does not look like a peak
# Red, green, blue, alpha from no attention to the most.
_ATTENTION_STOPS = (
    (0.16, 0.04, 0.36, 0.0),
    (0.34, 0.06, 0.43, 0.3),
    (0.74, 0.22, 0.33, 0.75),
    (0.98, 0.56, 0.04, 0.95),
    (0.99, 1.00, 0.64, 1.0),
)


def result_layers(result: SlideResult) -> list[LayerData]:
    """Return the layers that a result has, the lowest first.

    Returns
    -------
    list of tuple
        Clusters and attention; attention alone of a model without codewords; none of a result that
        does not say where its tiles lie.
    """
    if not len(result.rowcol):
        return []
    clusters = [cluster_layer(result)] if result.n_codewords else []
    return [*clusters, attention_layer(result)]


def cluster_layer(result: SlideResult) -> LayerData:
    """Return the codeword of each tile as labels on the tile grid, value = codeword + 1.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    tuple
        ((rows, columns) uint16 raster, keyword arguments, "labels").
    """
    raster = result.raster((result.codeword + 1).astype(np.uint16), fill=0)
    clear = np.zeros(4, dtype=np.float32)
    colors: dict[int | None, NDArray[np.float32]] = {None: clear, 0: clear}
    colors |= {i + 1: color for i, color in enumerate(codeword_colors(result.n_codewords))}
    names = [codeword_name(i) for i in range(result.n_codewords)]
    shares = codeword_shares(result)
    return (
        raster,
        {
            "name": f"{result.slide_id} · clusters",
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
    """Return the attention of each tile on the tile grid, as multiples of the slide's average.

    1 is a tile that gets as much attention as the average tile; cells without a tile are NaN, which
    napari draws as nothing. The colours grow opaque with attention, so that the slide stays visible
    where the model did not look.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    tuple
        ((rows, columns) float32 raster, keyword arguments, "image").
    """
    times_average = (result.attention * len(result.attention)).astype(np.float32)
    top = float(np.percentile(times_average, _ATTENTION_PERCENTILE)) if times_average.size else 1.0
    return (
        result.raster(times_average, fill=np.nan),
        {
            "name": f"{result.slide_id} · attention (x average)",
            "colormap": attention_colormap(),
            "contrast_limits": (0.0, max(top, _LEAST_ATTENTION_TOP)),
            "opacity": 0.8,
            "blending": "translucent",
            "interpolation2d": "nearest",
            "rgb": False,
            "metadata": {METADATA_KEY: _overlay_facts("attention", result)},
            **grid_transform(result.tile_size_px, result.mpp),
        },
        "image",
    )


def attention_colormap() -> dict[str, Any]:
    """Return a dark-to-bright colour ramp that grows opaque, in the form that napari takes."""
    return {"name": "dre-slcl attention", "colors": np.array(_ATTENTION_STOPS, dtype=np.float32)}


def _overlay_facts(kind: str, result: SlideResult) -> dict[str, Any]:
    return {
        "kind": kind,
        "path": result.slide_path,
        "slide_id": result.slide_id,
        "tile_size_px": result.tile_size_px,
        "mpp": result.mpp,
    }
