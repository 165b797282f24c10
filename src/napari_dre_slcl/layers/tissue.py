"""The tissue mask and the tile grid of a slide as napari LayerData tuples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers.colors import rgb
from napari_dre_slcl.layers.layer_name import layer_name
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform
from napari_dre_slcl.tiles import TileGrid, TileStatus

__all__ = ["mask_layer", "tissue_layer"]

# 1 is a tile that is used.
_TISSUE_COLORS = {
    1: "#009e60",
    TileStatus.PEN.value: "#0072b2",
    TileStatus.BLUR.value: "#6a6a6a",
    TileStatus.FOLD.value: "#e67800",
    TileStatus.DAMAGED.value: "#000000",
}
# Name and colour of each value of a mask that may be painted on; what was painted stands out.
_MASK_CLASSES = (
    ("glass", "#ffffff"),
    ("tissue", "#009e60"),
    ("pen", "#0072b2"),
    ("fold", "#e67800"),
    ("painted: no tissue", "#d1006b"),
    ("painted: tissue", "#00e5a0"),
    ("painted: pen", "#56b4e9"),
    ("painted: fold", "#f5c000"),
)


def tissue_layer(name: str, grid: TileGrid) -> LayerData:
    """Return the tiles of a slide as labels on the tile grid, coloured by why they are left out.

    Parameters
    ----------
    name : str
        Of the slide.
    grid : TileGrid
        Of the slide.

    Returns
    -------
    tuple
        ((rows, columns) uint8 raster, keyword arguments, "labels"). 1 is a tile that is used, 0 is
        background and what lies outside the slide, others are their `TileStatus`.
    """
    raster = grid.status.copy()
    raster[np.isin(grid.status, (TileStatus.BACKGROUND, TileStatus.OUTSIDE))] = 0
    raster[grid.status == TileStatus.KEPT] = 1
    colors = {
        label: np.array([*rgb(color), 1], np.float32) for label, color in _TISSUE_COLORS.items()
    }
    clear = np.zeros(4, np.float32)
    return (
        raster,
        {
            "name": layer_name(name, "tissue tiles"),
            "colormap": {None: clear, 0: clear} | colors,
            "opacity": 0.25,
            "metadata": {METADATA_KEY: {"kind": "tissue", "tile_size_px": grid.size_px}},
            **grid_transform(grid.size_px, grid.mpp),
        },
        "labels",
    )


def mask_layer(
    name: str, values: NDArray[np.uint8], downsample: float, mpp: float | None
) -> LayerData:
    """Return a tissue mask as labels that can be painted on.

    Parameters
    ----------
    name : str
        Of the slide.
    values : ndarray of uint8, shape (height, width)
        `MaskClass` of each pixel, plus `PAINTED` where it was painted by hand.
    downsample : float
        Level-0 pixels per mask pixel.
    mpp : float or None
        µm per level-0 pixel.

    Returns
    -------
    tuple
        (values, keyword arguments, "labels").
    """
    clear = np.zeros(4, np.float32)
    names, colors = zip(*_MASK_CLASSES, strict=True)
    return (
        values,
        {
            "name": layer_name(name, "tissue mask"),
            "colormap": {None: clear, 0: clear}
            | {
                label: np.array([*rgb(color), 1], np.float32)
                for label, color in enumerate(colors)
                if label
            },
            "features": {"mask": list(names)},
            "opacity": 0.4,
            "metadata": {METADATA_KEY: {"kind": "mask", "tile_size_px": downsample}},
            **grid_transform(downsample, mpp),
        },
        "labels",
    )
