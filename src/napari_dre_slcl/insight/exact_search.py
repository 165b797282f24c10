"""The nearest rows by comparing all of them, a part of the file at a time; and exact distances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.insight.hits import LeftOut
from napari_dre_slcl.insight.rows import ShardRows

__all__ = ["BLOCK_ROWS", "distances_of", "near_rows"]

BLOCK_ROWS = 2**18
"""1 MB of products at a time."""
_EXACT_ROWS = 2**15
_UNRELATED = 2**0.5


def near_rows(
    features: ShardRows[np.float32],
    query: NDArray[np.float32],
    n: int,
    left_out: LeftOut,
    block_rows: int = BLOCK_ROWS,
) -> NDArray[np.int64]:
    """Return all rows that may be among the n nearest, ascending.

    Products in float32 cannot tell tiles that are nearly twins, such as blank ones, from each
    other: whatever comes within their rounding of the n-th greatest is kept. Two sums of d products
    err by d eps together at most (Higham, Accuracy and Stability, section 3.1), the lengths of the
    rows by a few eps.

    Parameters
    ----------
    features : ShardRows
        (N, d) unit rows.
    query : ndarray
        (d,) of length 1.
    n : int
        How many are wanted, at least 1.
    left_out : LeftOut
        What is not wanted.
    block_rows : int
        Rows that are looked at at a time.
    """
    rounding = (len(query) + 8) * float(np.finfo(np.float32).eps)
    rows, values = np.empty(0, np.int64), np.empty(0, np.float32)
    least = -np.inf
    for first, block in features.blocks(block_rows):
        products = block @ query
        for gone in left_out.within(first, len(block)):
            products[gone] = -np.inf
        found = np.flatnonzero((products >= least) & (products > -np.inf))  # nan is neither
        if not len(found):
            continue
        rows = np.concatenate([rows, found + first])
        values = np.concatenate([values, products[found]])
        if len(rows) > n:
            least = float(np.partition(values, len(values) - n)[len(values) - n]) - rounding
            is_near = values >= least
            rows, values = rows[is_near], values[is_near]
    return rows


def distances_of(
    features: ShardRows[np.float32], query: NDArray[np.floating[Any]], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (m,) distances in float64; a row of zeros points nowhere and is unrelated to all."""
    distances = np.empty(len(rows))
    for first in range(0, len(rows), _EXACT_ROWS):
        part = slice(first, first + _EXACT_ROWS)
        found = features[rows[part]].astype(np.float64)
        apart = np.linalg.norm(found - query, axis=1)
        distances[part] = np.where(found.any(axis=1), apart, _UNRELATED)
    return distances
