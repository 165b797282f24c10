"""Which tiles lie inside outlines drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from napari_dre_slcl.layers.world import METADATA_KEY, grid_transform

__all__ = ["LASSO_KIND", "lasso_layer", "tiles_inside"]

LASSO_KIND = "lasso"


def lasso_layer(mpp: float | None) -> tuple[list[object], dict[str, object], str]:
    """Return an empty layer to draw outlines into, in level-0 pixels of a slide.

    Parameters
    ----------
    mpp : float or None
        µm per level-0 pixel; None draws in pixels.
    """
    options = grid_transform(1, mpp) | {
        "name": "Lasso",
        "ndim": 2,
        "edge_width": 0,
        "face_color": "#ffb45455",
        "metadata": {METADATA_KEY: {"kind": LASSO_KIND, "tile_size_px": 1}},
    }
    return [], options, "shapes"


def tiles_inside(
    centres: NDArray[np.floating], outlines: Sequence[NDArray[np.floating]]
) -> NDArray[np.int64]:
    """Return positions of the tiles whose centre lies inside at least one outline.

    Parameters
    ----------
    centres : ndarray
        (n, 2) centres of tiles in level-0 pixels.
    outlines : sequence of ndarray
        (k, 2) corners each, in the same pixels; the last is joined to the first.

    Returns
    -------
    ndarray
        (m,) int64, in ascending order.
    """
    is_inside = np.zeros(len(centres), bool)
    for outline in outlines:
        if len(outline) < 3:
            continue
        low, high = outline.min(axis=0), outline.max(axis=0)
        near = np.flatnonzero(((centres >= low) & (centres <= high)).all(axis=1))
        is_inside[near] |= points_in_poly(centres[near], outline)
    return np.flatnonzero(is_inside)
