"""What is most like what, in a cohort's index: tiles, slides, codewords; no torch.

Exact, but where the index has compressed codes: then candidates come from these, and are compared
exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.attention_scale import MOST_SORTED, binned_percentile
from napari_dre_slcl.insight.code_recall import CANDIDATES
from napari_dre_slcl.insight.exact_search import distances_of, near_rows
from napari_dre_slcl.insight.hits import LeftOut
from napari_dre_slcl.insight.tile_index import SlideHit, TileHit, TileIndex

__all__ = [
    "attention_percentile",
    "codeword_shares",
    "nearest_slides",
    "nearest_tiles",
    "nearest_to_codeword",
]

_SLIDE_ROWS = 4096


def nearest_tiles(
    index: TileIndex,
    feature: NDArray[np.floating[Any]],
    n: int = 12,
    without_rows: Collection[int] = (),
    without_slides: Collection[int] = (),
    *,
    is_exact: bool = False,
) -> list[TileHit]:
    """Find the tiles whose features are nearest, the nearest first.

    Features have length 1, so the Euclidean distance and the angle give the same order. All tiles
    are compared, so the answer is exact, unless the index has codes (`how_it_is_searched`): then
    some of the nearest may be missed; distances are exact all the same.

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
    is_exact : bool
        Compare all tiles in any case; reads all features of the cohort from disk.

    Returns
    -------
    list of TileHit
        With distances of 0 (equal) to 2 (opposite).

    Raises
    ------
    SearchError
        If the feature is of another width than those of the index, zero or not finite.
    """
    query = _unit(index, feature)
    wanted = max(1, n)
    left_out = LeftOut(
        np.unique(np.fromiter(without_rows, np.int64)),
        tuple(index.slides[i].rows for i in without_slides if index.slides[i].n_tiles),
    )
    single = query.astype(np.float32)
    rows = None
    if index.codes is not None and not is_exact:
        rows = index.codes.candidates(single, CANDIDATES * wanted, left_out)
    if rows is None or len(rows) < wanted:
        rows = near_rows(index.features, single, wanted, left_out)
    distances = distances_of(index.features, query, rows)
    order = np.lexsort((rows, distances))[: max(0, n)]
    return [index.hit(int(rows[i]), distances[i]) for i in order]


def _unit(index: TileIndex, feature: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return a feature of length 1, or refuse one that fits no index or has no direction."""
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
    return query / length


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
    if not 0 <= codeword < index.n_codewords or n < 1:
        return []
    nearest = index.codeword_nearest[:, codeword]
    slides = np.flatnonzero(np.isfinite(nearest))
    if len(slides) > n:
        # So many slides have a tile as near as this: no slide whose nearest is farther can win.
        slides = slides[nearest[slides] <= np.partition(nearest[slides], n - 1)[n - 1]]
    rows, distances = _rows_of_codeword(index, codeword, slides)
    order = np.lexsort((rows, distances))
    if most_per_slide is not None:
        order = order[_rank_in_group(index.slide_numbers(rows[order])) < most_per_slide]
    return [index.hit(int(rows[i]), distances[i]) for i in order[:n]]


def _rows_of_codeword(
    index: TileIndex, codeword: int, slides: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the tiles of a codeword in some slides, and their distances from it."""
    rows, distances = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for number in slides:
        slide = index.slides[int(number)]
        own = np.flatnonzero(index.codeword[slide.rows] == codeword)
        rows.append(own + slide.first_row)
        distances.append(index.residual_norm[slide.rows][own])
    return np.concatenate(rows), np.concatenate(distances)


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

    Returns
    -------
    list of SlideHit
        With their cosine: 1 points the same way, 0 is unrelated.

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
    similarity = _cosines(index.slide_vectors, wanted)
    hits = [
        SlideHit(index.slides[int(i)], float(similarity[i]))
        for i in np.argsort(-similarity, kind="stable")
        if not (exclude_patient and index.slides[int(i)].patient_id == exclude_patient)
        and not (exclude_slide and index.slides[int(i)].slide_id == exclude_slide)
    ]
    return hits[:n]


def _cosines(vectors: NDArray[np.float32], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (S,) cosines in float64, with some thousand vectors in memory at a time."""
    cosines = np.empty(len(vectors))
    for first in range(0, len(vectors), _SLIDE_ROWS):
        part = slice(first, first + _SLIDE_ROWS)
        stored = np.asarray(vectors[part], np.float64)
        lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(wanted)
        cosines[part] = stored @ wanted / np.maximum(lengths, np.finfo(np.float64).tiny)
    return cosines


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
        with as much counted. Above 5 million tiles attention counts as equal within 0.05 %.
    """
    if len(index) > MOST_SORTED:
        return binned_percentile(index.attention_counts, values)
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
