"""Whether the parts of a result fit together: a file may be damaged, or made by another program."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.results.slide_result import SlideResult, TaskPrediction

__all__ = ["check_result"]

_TEXTS = ("slide_id", "slide_path", "mpp_source", "features_key")
# A map is an array of the whole grid; no slide has more tiles side by side and below each other.
_MOST_CELLS = 2 * 10**8


def check_result(result: SlideResult) -> None:
    """Complain where a result would break what draws, counts or writes it.

    Parameters
    ----------
    result : SlideResult
        As it was read.

    Raises
    ------
    ValueError
        If a part is of another kind, or does not fit the others.
    """
    _check_texts(result)
    _check_places(result)
    _check_columns(result)
    _check_codewords(result)
    for prediction in result.predictions:
        _check_prediction(prediction)


def _check_texts(result: SlideResult) -> None:
    if not all(isinstance(getattr(result, name), str) for name in _TEXTS):
        raise ValueError("a name is no text")
    facts = result.provenance
    if not isinstance(facts, dict) or not all(isinstance(fact, str) for fact in facts.values()):
        raise ValueError("the provenance is no list of texts")
    if not all(isinstance(part, str) for pair in result.evidence_of for part in pair):
        raise ValueError("a class of the evidence is no text")


def _check_places(result: SlideResult) -> None:
    if not _is_size(result.slide_shape) or not _is_size(result.grid_shape):
        raise ValueError("the slide or the grid has no size")
    if math.prod(result.grid_shape) > _MOST_CELLS:
        raise ValueError("the grid is larger than any slide's")
    if result.mpp is not None and not _is_positive(result.mpp):
        raise ValueError("the pixel size is no length")
    n_tiles = len(result.rowcol)
    if result.rowcol.shape != (n_tiles, 2) or result.rowcol.dtype.kind not in "iu":
        raise ValueError("the places of the tiles are no rows and columns")
    if not n_tiles:
        return
    if type(result.tile_size_px) is not int or result.tile_size_px <= 0:
        raise ValueError("the tiles have no size")
    if result.rowcol.min() < 0 or (result.rowcol.max(axis=0) >= result.grid_shape).any():
        raise ValueError("a tile lies outside the grid")


def _check_columns(result: SlideResult) -> None:
    n_tiles = len(result.rowcol)
    _check_floats(result.attention, (n_tiles,))
    _check_floats(result.residual_norm, (n_tiles,))
    for array, dtype in ((result.features, np.float32), (result.report_space, np.float16)):
        if array is not None and (array.ndim != 2 or len(array) != n_tiles or array.dtype != dtype):
            raise ValueError("there is not one feature per tile")
    if result.evidence is not None:
        _check_floats(result.evidence, (n_tiles, len(result.evidence_of)))
    if result.freshness is not None and result.freshness.shape != (n_tiles,):
        raise ValueError("there is not one freshness per tile")


def _check_codewords(result: SlideResult) -> None:
    count, numbers = result.n_codewords, result.codeword
    if type(count) is not int or count < 0:
        raise ValueError("the number of codewords is none")
    _check_floats(result.codeword_attention, (count,))
    if len(result.codeword_names) not in (0, count) or not all(
        isinstance(name, str) for name in result.codeword_names
    ):
        raise ValueError("there is not one name per codeword")
    if numbers.shape != (len(result.rowcol),) or numbers.dtype.kind not in "iu":
        raise ValueError("there is not one codeword per tile")
    if count and len(numbers) and (numbers.min() < 0 or numbers.max() >= count):
        raise ValueError("a tile has a codeword that is none")


def _check_prediction(prediction: TaskPrediction) -> None:
    classes = prediction.classes
    if not classes or not all(isinstance(name, str) for name in (prediction.task, *classes)):
        raise ValueError("a task has no classes")
    if prediction.positive is not None and prediction.positive not in classes:
        raise ValueError("the positive class is none of the task's")
    if len(prediction.probabilities) != len(classes):
        raise ValueError("there is not one probability per class")
    if any(len(ends) not in (0, len(classes)) for ends in (prediction.low, prediction.high)):
        raise ValueError("there is not one interval per class")
    numbers = (*prediction.probabilities, *prediction.low, *prediction.high)
    if not all(isinstance(number, int | float) for number in numbers):
        raise ValueError("a probability is no number")


def _check_floats(array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype.kind != "f":
        raise ValueError("the tile columns differ in length, or are no numbers")


def _is_size(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(edge) is int and edge >= 0 for edge in value)
    )


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
