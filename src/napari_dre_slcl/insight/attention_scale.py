"""Where attention lies among very many tiles, in 4 MB whatever their number.

A float that is not negative orders as its bits do (IEEE 754), so that its upper bits number bins
which are 2^-11 = 0.05 % of the value wide. Counts of tiles in them add up over shards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.insight.rows import ShardRows

__all__ = ["MOST_SORTED", "attention_counts", "binned_percentile"]

MOST_SORTED = 5_000_000
"""More tiles than these are binned, fewer are sorted in memory."""
_DROPPED_BITS = 12
_N_BINS = 2**19
_BLOCK_ROWS = 2**20


def attention_counts(attention: ShardRows[np.float32]) -> NDArray[np.int64]:
    """Count the tiles in each bin of attention, a part of them in memory at a time.

    Parameters
    ----------
    attention : ShardRows
        (N,), 0 or more; what is not a number counts as 0.

    Returns
    -------
    ndarray
        (2^19,) int64.
    """
    counts = np.zeros(_N_BINS, np.int64)
    for _, block in attention.blocks(_BLOCK_ROWS):
        counts += np.bincount(_bins(block), minlength=_N_BINS)
    return counts


def binned_percentile(
    counts: NDArray[np.int64], values: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Return the per cent of tiles with less attention, half of those in the same bin counted.

    Parameters
    ----------
    counts : ndarray
        As `attention_counts` gives them.
    values : ndarray
        Any shape.

    Returns
    -------
    ndarray
        float32, 0 to 100, of the shape of ``values``; wrong by half the share of one bin at most.
    """
    up_to = np.cumsum(counts)
    asked = np.asarray(values, np.float32)
    bins = _bins(asked)
    percent = 100.0 * (up_to - counts / 2)[bins] / max(1, int(up_to[-1]))
    # Less than nothing is below all tiles, more than the most attention above all.
    percent = np.where(asked < 0, 0.0, percent)
    return percent.astype(np.float32)


def _bins(values: NDArray[np.float32]) -> NDArray[np.int64]:
    known = np.ascontiguousarray(np.where(values > 0, values, 0).astype(np.float32))
    return (known.view(np.uint32) >> _DROPPED_BITS).astype(np.int64)
