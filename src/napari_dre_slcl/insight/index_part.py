"""What the writer of an index is told of the model, and of each slide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.results import SlideResult

__all__ = ["IndexFacts", "IndexPart", "IndexSource", "index_part", "indexed_slide"]


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What made an index.

    Parameters
    ----------
    model, model_sha256, method : str
        Folder of the model, hash of its weights, its method.
    n_codewords : int
        K.
    dim : int
        Width of a tile's feature.
    seed : int
        Of the sample of tiles that the atlas draws.
    tasks : tuple of str
        Label columns that the model has learned.
    """

    model: str
    model_sha256: str
    method: str
    n_codewords: int
    dim: int
    seed: int = 0
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class IndexPart:
    """What an index holds of one slide.

    Parameters
    ----------
    rowcol, codeword, attention, residual_norm : ndarray
        (n, 2), (n,), (n,), (n,) of its tiles, as in `TileIndex`.
    slide_vector : ndarray
        (D,).
    features : ndarray
        (n, d); rows are brought to length 1.
    """

    rowcol: NDArray[np.int32]
    codeword: NDArray[np.int32]
    attention: NDArray[np.float32]
    residual_norm: NDArray[np.float32]
    slide_vector: NDArray[np.float32]
    features: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class IndexSource:
    """One slide for an index; its tiles are read when they are written.

    Parameters
    ----------
    slide : IndexedSlide
        Its ``first_row`` does not count.
    mark : str
        Another one wherever its part of the index is another: what it is made from.
    read : callable
        Returns the `IndexPart`, with ``slide.n_tiles`` tiles.
    note : str
        What the user is to be told of it.
    """

    slide: IndexedSlide
    mark: str
    read: Callable[[], IndexPart]
    note: str = ""


def indexed_slide(
    result: SlideResult,
    file: Path,
    patient_id: str = "",
    labels: Mapping[str, str] | None = None,
    split: str = "",
    has_features: bool = True,
) -> IndexedSlide:
    """Return a result as a slide of an index.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    file : Path
        Its result file.
    patient_id, labels, split
        As in the cohort table.
    has_features : bool
        False leaves its tiles out: only the slide itself can be found then.
    """
    return IndexedSlide(
        slide_id=result.slide_id,
        patient_id=patient_id,
        path=result.slide_path,
        result=file,
        n_tiles=len(result.rowcol) if has_features else 0,
        first_row=0,
        mpp=result.mpp,
        tile_size_px=result.tile_size_px,
        slide_shape=result.slide_shape,
        labels=dict(labels or {}),
        split=split,
    )


def index_part(result: SlideResult, features: NDArray[np.floating[Any]] | None) -> IndexPart:
    """Return what an index holds of a result.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    features : ndarray or None
        (n, d) of its tiles; None leaves them out.
    """
    kept = slice(0) if features is None else slice(None)
    return IndexPart(
        result.rowcol[kept].astype(np.int32),
        result.codeword[kept].astype(np.int32),
        (result.attention * len(result.attention)).astype(np.float32)[kept],
        result.residual_norm[kept].astype(np.float32),
        result.slide_vector.astype(np.float32),
        np.empty((0, 0), np.float32) if features is None else features,
    )
