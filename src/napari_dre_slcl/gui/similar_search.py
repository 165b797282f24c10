"""What is like the tiles and the slide that are looked at; runs in the background, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.hits import SlideHit, TileHit
from napari_dre_slcl.insight.search import nearest_slides, nearest_tiles
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.results import SlideResult, load_result

__all__ = ["PLACES", "SimilarQuestion", "similar_slides", "similar_tiles"]

PLACES = ("Other slides", "Other patients", "All slides")
"""Where to look."""
N_TILES, N_SLIDES = 12, 8


@dataclass(frozen=True, slots=True, eq=False)
class SimilarQuestion:
    """Which tiles others are to be like.

    Parameters
    ----------
    result : SlideResult
        Of their slide.
    selection : ndarray
        (m,) positions in its tile table; their average is looked for.
    file : Path or None
        Result file with the features of a slide that is not in the index.
    """

    result: SlideResult
    selection: NDArray[np.int64]
    file: Path | None


def similar_tiles(index: TileIndex, question: SimilarQuestion, where: str) -> list[TileHit]:
    """Find tiles like the average of some tiles of a result.

    Parameters
    ----------
    index : TileIndex
        Where to look.
    question : SimilarQuestion
        The tiles.
    where : str
        One of `PLACES`.

    Raises
    ------
    SearchError
        If the index is of another model, or the features of the tiles are not known.
    """
    result, selection = question.result, question.selection
    _check_model(index, result)
    own = index.find_slide(result.slide_id, result.slide_path)
    rows = np.empty(0, np.int64)
    if own is not None:
        rows = index.find_rows(own, result.rowcol[selection])
        rows = rows[rows >= 0]
    if len(rows) == len(selection):
        features = np.asarray(index.features[rows])
    else:
        features = _features_of(question.file, selection)
    excluded = _excluded_slides(index, own.slide_id if own is not None else "", where)
    return nearest_tiles(index, features.mean(axis=0), N_TILES, rows.tolist(), excluded)


def _features_of(file: Path | None, selection: NDArray[np.int64]) -> NDArray[np.float32]:
    stored = None if file is None else load_result(file).features
    if stored is None:
        raise SearchError(
            "This slide is not in the index, and its result has no tile features. Predict it here, "
            "or make a cohort searchable that has it."
        )
    return stored[selection]


def _excluded_slides(index: TileIndex, slide_id: str, where: str) -> list[int]:
    """Return positions of the slides that are not looked at."""
    own = next((slide for slide in index.slides if slide.slide_id == slide_id), None)
    if own is None or where == PLACES[2]:
        return []
    is_same_patient = where == PLACES[1] and own.patient_id
    return [
        number
        for number, slide in enumerate(index.slides)
        if slide is own or (is_same_patient and slide.patient_id == own.patient_id)
    ]


def similar_slides(index: TileIndex, result: SlideResult, where: str) -> list[SlideHit]:
    """Find slides like that of a result, without itself, or without its patient."""
    _check_model(index, result)
    own = index.find_slide(result.slide_id, result.slide_path)
    slide_id = own.slide_id if own is not None else ""
    patient = own.patient_id if own is not None and where == PLACES[1] else ""
    return nearest_slides(index, result.slide_vector, N_SLIDES, patient, slide_id)


def _check_model(index: TileIndex, result: SlideResult) -> None:
    if index.model_sha256 != result.provenance.get("model_sha256", ""):
        raise SearchError(
            "The index is of another model than the result that is shown. Predict the slide with "
            "the model of the index, or make the cohort searchable with this one."
        )
