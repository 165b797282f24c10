"""Which tile features of an earlier result still hold, so that only new tiles are encoded."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide.fingerprint import slide_fingerprint
from napari_dre_slcl.tiles import TileGrid, TileSource

__all__ = ["features_key", "take_over"]


def features_key(bundle: Bundle, source: TileSource) -> str:
    """Return a text that is equal where the same tile has the same feature.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    source : TileSource
        Slide and tile grid.

    Returns
    -------
    str
        Hash of the slide file's fingerprint, how its tiles are read, and what encodes them; empty
        for a model that was never saved and so has no hash.

    Raises
    ------
    SlideError
        If the slide's file has gone.
    """
    if not bundle.weights_sha256:
        return ""
    info, grid = source.slide.info, source.grid
    facts = {
        "slide": slide_fingerprint(info.path),
        "reader": [info.backend, __version__],
        "tile_size_px": grid.size_px,
        "model": bundle.weights_sha256,
        "encoder": bundle.config.encoder.model_dump(mode="json"),
        "device": bundle.net.device.type,
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def take_over(
    earlier: SlideResult | None, key: str, grid: TileGrid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the tiles of a grid whose feature an earlier result has.

    Parameters
    ----------
    earlier : SlideResult or None
        Of the same slide, or of any other: then nothing fits.
    key : str
        `features_key` of now.
    grid : TileGrid
        The tiles that are wanted.

    Returns
    -------
    known, stored : ndarray of int64, shape (m,)
        Index of each known tile in the grid, and in the earlier result.
    """
    nothing = np.empty(0, np.int64)
    if earlier is None or earlier.features is None or not key or earlier.features_key != key:
        return nothing, nothing
    width = max(grid.shape[1], earlier.grid_shape[1])
    wanted, there = (
        rowcol[:, 0] * width + rowcol[:, 1] for rowcol in (grid.rowcol, earlier.rowcol)
    )
    _, known, stored = np.intersect1d(wanted, there, return_indices=True)
    return known.astype(np.int64), stored.astype(np.int64)
