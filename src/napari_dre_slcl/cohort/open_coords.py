"""Files of coordinates without features: CLAM's ``patches``, TRIDENT's ``*_patches.h5``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_attributes import (
    corners_yx,
    plain_attributes,
    tile_mpp,
    tile_size_px,
)
from napari_dre_slcl.cohort.feature_store import opened_hdf5
from napari_dre_slcl.cohort.plain_hdf5 import bounded, own_dataset, small_attributes

__all__ = ["Places", "read_places"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the tiles of a slide lie.

    Parameters
    ----------
    coords_yx : ndarray
        (n, 2) int64 top-left corners in level-0 pixels.
    size_px : int or None
        Edge of a tile in level-0 pixels.
    mpp : float or None
        µm per pixel of a tile.
    """

    coords_yx: NDArray[np.int64]
    size_px: int | None
    mpp: float | None


def read_places(path: Path) -> Places:
    """Read a file of coordinates.

    Parameters
    ----------
    path : Path
        HDF5 with the data set ``coords``, (n, 2) as (x, y).

    Raises
    ------
    SlideError
        If it cannot be read or has no coordinates.
    """
    with opened_hdf5(path) as stored:
        coords = bounded(own_dataset(stored, "coords"), stored)
        attrs = plain_attributes(small_attributes(coords))
        return Places(corners_yx(coords[()]), tile_size_px(attrs), tile_mpp(attrs))
