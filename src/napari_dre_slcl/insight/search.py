"""What is most like what, in a cohort's index: tiles, slides, codewords. Exact; no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.tile_index import SlideHit, TileHit, TileIndex

__all__ = [
    "attention_percentile",
    "codeword_shares",
    "nearest_slides",
    "nearest_tiles",
    "nearest_to_codeword",
]

_BLOCK_ROWS = 2**20  # 4 MB of products at a time
_NEAR_ROWS = 4096
_EXACT_ROWS = 2**15
_UNRELATED = 2**0.5


def nearest_tiles(
    index: TileIndex,
    feature: NDArray[np.floating[Any]],
    n: int = 12,
    without_rows: Collection[int] = (),
    without_slides: Collection[int] = (),
) -> list[TileHit]:
    """Find the tiles whose features are nearest, the nearest first.

    All tiles are compared, so the answer is exact; features have length 1, so the Euclidean
    distance and the angle give the same order.

    Parameters
    ----------
    index : TileIndex
        Where to look.
    feature : ndarray
        (d,); its length does not count.
    n : int
        How many at most.
    without_rows : collection of int
        Rows of the index that are left out, such as that of the tile itself.
    without_slides : collection of int
        Positions in ``index.slides`` of slides that are left out.

    Returns
    -------
    list of TileHit
        With distances of 0 (equal) to 2 (opposite).

    Raises
    ------
    SearchError
        If the feature is of another width than those of the index, zero or not finite.
    """
    query = np.asarray(feature, np.float64).ravel()
    length = float(np.linalg.norm(query))
    if len(query) != index.features.shape[1]:
        raise SearchError(
            f"A tile of this slide has {len(query)} numbers, those of the index "
            f"'{index.folder}' have {index.features.shape[1]}. Both must come from one model: "
            "predict the slide with the model of the index."
        )
    if not np.isfinite(length) or not length:
        raise SearchError(
            "The numbers of this tile are all zero or not finite, so that nothing is like it. "
            "Choose another tile."
        )
    query /= length
    left_out = _left_out_slices(index, without_rows, without_slides)
    rows = _candidates(index.features, query.astype(np.float32), max(1, n), left_out)
    distances = _distances(index.features, query, rows)
    order = np.lexsort((rows, distances))[: max(0, n)]
    return [index.hit(int(rows[i]), distances[i]) for i in order]


def _left_out_slices(
    index: TileIndex, rows: Collection[int], slides: Collection[int]
) -> list[slice]:
    return [*(slice(row, row + 1) for row in rows), *(index.slides[i].rows for i in slides)]


def _candidates(
    features: NDArray[np.float32], query: NDArray[np.float32], n: int, left_out: list[slice]
) -> NDArray[np.int64]:
    """Return all rows that may be among the n nearest, ascending.

    Products in float32 cannot tell tiles that are nearly twins, such as blank ones, from each
    other: whatever comes within their rounding of the n-th greatest is a candidate. Two sums of d
    products err by d eps together at most (Higham, Accuracy and Stability, section 3.1), the
    lengths of the rows by a few eps.
    """
    products = np.empty(len(features), np.float32)
    for first in range(0, len(features), _BLOCK_ROWS):
        part = slice(first, first + _BLOCK_ROWS)
        products[part] = np.asarray(features[part]) @ query
    for gone in left_out:
        products[gone] = -np.inf
    products[np.isnan(products)] = -np.inf
    least = -np.inf
    if n < len(products):
        rounding = (len(query) + 8) * np.finfo(np.float32).eps
        least = np.partition(products, len(products) - n)[len(products) - n] - rounding
    return np.flatnonzero((products >= least) & np.isfinite(products))


def _distances(
    features: NDArray[np.float32], query: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return distances in float64; a row of zeros points nowhere and is unrelated to all."""
    distances = np.empty(len(rows))
    for first in range(0, len(rows), _EXACT_ROWS):
        part = slice(first, first + _EXACT_ROWS)
        found = features[rows[part]].astype(np.float64)
        apart = np.linalg.norm(found - query, axis=1)
        distances[part] = np.where(found.any(axis=1), apart, _UNRELATED)
    return distances


def _top(values: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    if len(values) <= n:
        return np.arange(len(values))
    return np.argpartition(values, len(values) - n)[len(values) - n :].astype(np.int64)


def nearest_to_codeword(
    index: TileIndex, codeword: int, n: int = 12, most_per_slide: int | None = None
) -> list[TileHit]:
    """Find the tiles of a codeword that lie nearest to it, the nearest first.

    Parameters
    ----------
    index : TileIndex
        Where to look.
    codeword : int
        Its number, from 0.
    n : int
        How many at most.
    most_per_slide : int, optional
        Of one slide, so that the tiles of one slide do not stand for the whole cohort.

    Returns
    -------
    list of TileHit
        With the distance of each tile's feature from the codeword.
    """
    rows = np.flatnonzero(index.codeword == codeword)
    near = rows[_top(-index.residual_norm[rows], _NEAR_ROWS)]
    for looked_at in (near, rows):  # all of them only where the near ones are of too few slides
        distances = index.residual_norm[looked_at]
        chosen = looked_at[np.lexsort((looked_at, distances))]
        if most_per_slide is not None:
            chosen = chosen[_rank_in_group(index.slide_numbers(chosen)) < most_per_slide]
        if len(chosen) >= n:
            break
    return [index.hit(int(row), index.residual_norm[row]) for row in chosen[:n]]


def _rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the same group stand before each."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else ordered
    sizes = np.diff(np.r_[starts, len(groups)])
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return ranks


def nearest_slides(
    index: TileIndex,
    vector: NDArray[np.floating[Any]],
    n: int = 12,
    exclude_patient: str = "",
    exclude_slide: str = "",
) -> list[SlideHit]:
    """Find the slides whose slide vectors point the same way, the most similar first.

    Parameters
    ----------
    index : TileIndex
        Where to look.
    vector : ndarray
        (D,) slide vector.
    n : int
        How many at most.
    exclude_patient : str
        Slides of this patient are left out; empty for none.
    exclude_slide : str
        The slide with this ``slide_id`` is left out; empty for none.

    Raises
    ------
    SearchError
        If the vector is of another width than those of the index.
    """
    wanted = np.asarray(vector, np.float64).ravel()
    if len(wanted) != index.slide_vectors.shape[1]:
        raise SearchError(
            f"The slide vector has {len(wanted)} numbers, those of the index '{index.folder}' have "
            f"{index.slide_vectors.shape[1]}. Predict the slide with the model of the index."
        )
    stored = index.slide_vectors.astype(np.float64)
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(wanted)
    similarity = stored @ wanted / np.maximum(lengths, np.finfo(np.float64).tiny)
    hits = [
        SlideHit(index.slides[int(i)], float(similarity[i]))
        for i in np.argsort(-similarity, kind="stable")
        if not (exclude_patient and index.slides[int(i)].patient_id == exclude_patient)
        and not (exclude_slide and index.slides[int(i)].slide_id == exclude_slide)
    ]
    return hits[:n]


def attention_percentile(
    index: TileIndex, values: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Return where attention lies among all tiles of the cohort.

    Parameters
    ----------
    index : TileIndex
        The cohort.
    values : ndarray
        (m,) attention of tiles as multiples of their slide's average.

    Returns
    -------
    ndarray
        (m,) float32, 0 to 100: per cent of the cohort's tiles with less attention, half of those
        with as much counted.
    """
    ordered = index.sorted_attention
    asked = np.asarray(values, np.float32)
    if not len(ordered):
        return np.full(asked.shape, np.nan, np.float32)
    order = np.argsort(asked, axis=None)  # a million look-ups in order miss no cache
    wanted = asked.ravel()[order]
    below = np.searchsorted(ordered, wanted, side="left")
    up_to = np.searchsorted(ordered, wanted, side="right")
    percentile = np.empty(wanted.shape, np.float32)
    percentile[order] = 50.0 * (below + up_to) / len(ordered)
    return percentile.reshape(asked.shape)


def codeword_shares(index: TileIndex, task: str = "") -> Mapping[str, NDArray[np.float64]]:
    """Return which share of a slide each codeword has, on average over the slides of a class.

    Parameters
    ----------
    index : TileIndex
        The cohort.
    task : str
        Label column whose classes are told apart; empty for all slides together.

    Returns
    -------
    mapping of str to ndarray
        Class to (K,) shares, every slide counting alike; slides without tiles or without a label
        are left out. Classes in alphabetical order.
    """
    counts = index.codeword_counts.astype(np.float64)
    n_tiles = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(n_tiles, 1)
    names = np.array(
        [slide.labels.get(task, "") if task else "all slides" for slide in index.slides]
    )
    has_tiles = n_tiles[:, 0] > 0
    return {
        str(name): shares[(names == name) & has_tiles].mean(axis=0)
        for name in np.unique(names[has_tiles])
        if name
    }
