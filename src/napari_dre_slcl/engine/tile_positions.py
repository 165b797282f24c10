"""Rows and columns of tiles for networks that look at where tiles lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_dre_slcl.cohort.feature_store import StoredFeatures

__all__ = ["tile_positions"]


def tile_positions(stored: StoredFeatures) -> Tensor | None:
    """Return (n, 2) int64 rows and columns of the tiles of a feature file, from 0.

    The tiles need not lie on a grid that starts at (0, 0), as those of a map do. Where the file
    does not say how large a tile is, the smallest step between two tiles counts as its size.

    Parameters
    ----------
    stored : StoredFeatures
        Features with the level-0 corners of their tiles, or without.

    Returns
    -------
    Tensor or None
        None where the file does not say where its tiles lie.
    """
    corners = stored.coords_yx
    if corners is None:
        return None
    size = stored.file.tile_size_px or _smallest_step(corners)
    rowcol = np.rint((corners - corners.min(axis=0)) / size).astype(np.int64)
    return torch.from_numpy(rowcol)


def _smallest_step(corners: np.ndarray) -> int:
    steps = [np.diff(np.unique(corners[:, axis])) for axis in (0, 1)]
    found = np.concatenate(steps)
    return int(found.min()) if len(found) else 1
