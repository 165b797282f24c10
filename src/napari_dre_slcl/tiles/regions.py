"""Connected regions of a mask: close gaps, drop what is small, keep what has a core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["closed", "grown", "with_core", "without_small"]

CLOSING_PX = 2


def closed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close gaps of up to 4 pixels, as `binary_closing` with a disk of radius 2.

    Done by shifting whole arrays, some ten times as fast.
    """
    height, width = mask.shape
    padded = np.pad(mask, 2 * CLOSING_PX)
    for _ in range(CLOSING_PX):
        padded = grown(padded)
    for _ in range(CLOSING_PX):
        padded = ~grown(~padded)
    edge = 2 * CLOSING_PX
    return padded[edge : edge + height, edge : edge + width]


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate by a cross: two crosses are a disk of radius 2."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def with_core(
    faint: NDArray[np.bool_], core: NDArray[np.bool_], least_px: float
) -> NDArray[np.bool_]:
    """Return the connected regions of `faint` that hold enough pixels of `core`."""
    labels, n_labels = ndimage.label(faint | core, np.ones((3, 3)))
    is_kept = np.bincount(labels[core], minlength=n_labels + 1) >= least_px
    is_kept[0] = False
    kept: NDArray[np.bool_] = is_kept[labels]
    return kept


def without_small(mask: NDArray[np.bool_], least_px: float) -> NDArray[np.bool_]:
    """Return the mask without its connected regions of fewer than `least_px` pixels."""
    labels, n_labels = ndimage.label(mask)
    is_kept = np.bincount(labels.ravel(), minlength=n_labels + 1) >= least_px
    is_kept[0] = False
    kept: NDArray[np.bool_] = is_kept[labels]
    return kept
