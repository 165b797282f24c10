"""What a model says of one slide, in one file: tile table, slide vector, predictions, provenance.

Knows numpy and files; neither torch, Qt nor napari.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.tiles.grid import spread

__all__ = ["RESULT_SUFFIX", "SlideResult", "TaskPrediction", "load_result", "save_result"]

RESULT_SUFFIX = ".dreslcl.npz"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """Probabilities of one task.

    Parameters
    ----------
    task : str
        Name of the label column that was learned.
    classes : tuple of str
        Class names, in the order of ``probabilities``.
    probabilities : tuple of float
        They add up to 1.
    positive : str or None
        The class whose probability sums up a two-class task; None for more classes.
    """

    task: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    positive: str | None = None

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    def probability(self, name: str) -> float:
        """Probability of the class ``name``."""
        return self.probabilities[self.classes.index(name)]


@dataclass(frozen=True, slots=True, eq=False)
class SlideResult:
    """All that a model says of one slide.

    Parameters
    ----------
    slide_id : str
        Name of the slide in its cohort, or the file's stem.
    slide_path : str
        The file that was read.
    slide_shape : tuple of int
        (height, width) in level-0 pixels.
    mpp : float or None
        Level-0 pixel size in µm.
    mpp_source : str
        Where ``mpp`` came from.
    tile_size_px : int
        Edge of a tile in level-0 pixels; also the pitch of the grid, which starts at (0, 0).
    grid_shape : tuple of int
        (rows, columns) of the tile grid.
    rowcol : ndarray
        (n, 2) int64, row and column of each tile.
    codeword : ndarray
        (n,) int64, 0 to ``n_codewords`` - 1.
    attention : ndarray
        (n,) float32, at least 0, sums to 1 over the slide.
    residual_norm : ndarray
        (n,) float32, distance of each tile's feature from its codeword.
    n_codewords : int
        K.
    codeword_attention : ndarray
        (K,) float32.
    slide_vector : ndarray
        (D,) float32.
    predictions : tuple of TaskPrediction
        One per task.
    provenance : dict of str
        Model folder, hashes, versions, time.
    features : ndarray or None
        (n, d) float32, what the tile encoder made of each tile; None where they were not kept.
    features_key : str
        What the features were made from (slide file, pixel size, reader, encoder); where two keys
        are equal, the same tile has the same feature. Empty without features.
    """

    slide_id: str
    slide_path: str
    slide_shape: tuple[int, int]
    mpp: float | None
    mpp_source: str
    tile_size_px: int
    grid_shape: tuple[int, int]
    rowcol: NDArray[np.int64]
    codeword: NDArray[np.int64]
    attention: NDArray[np.float32]
    residual_norm: NDArray[np.float32]
    n_codewords: int
    codeword_attention: NDArray[np.float32]
    slide_vector: NDArray[np.float32]
    predictions: tuple[TaskPrediction, ...]
    provenance: dict[str, str] = field(default_factory=dict)
    features: NDArray[np.float32] | None = None
    features_key: str = ""

    @property
    def tile_yx(self) -> NDArray[np.int64]:
        """(n, 2) top-left corners in level-0 pixels."""
        return self.rowcol * self.tile_size_px

    def raster(self, values: NDArray[np.generic], fill: float = 0) -> NDArray[np.generic]:
        """Spread one value per tile over the grid.

        Parameters
        ----------
        values : ndarray
            (n,) values in tile order.
        fill : float
            Value of grid cells without a tile.

        Returns
        -------
        ndarray
            (rows, columns), dtype of ``values``.
        """
        return spread(values, self.rowcol, self.grid_shape, fill)


_ARRAYS = (
    "rowcol",
    "codeword",
    "attention",
    "residual_norm",
    "codeword_attention",
    "slide_vector",
)
_FEATURES = "features"


def save_result(result: SlideResult, path: Path) -> Path:
    """Write a result to one file, whole or not at all.

    Parameters
    ----------
    result : SlideResult
        What to write.
    path : Path
        Target; ends in ``.dreslcl.npz`` by custom.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    header = {
        "format": _FORMAT,
        "slide_id": result.slide_id,
        "slide_path": result.slide_path,
        "slide_shape": list(result.slide_shape),
        "mpp": result.mpp,
        "mpp_source": result.mpp_source,
        "tile_size_px": result.tile_size_px,
        "grid_shape": list(result.grid_shape),
        "n_codewords": result.n_codewords,
        "predictions": [
            {
                "task": p.task,
                "classes": list(p.classes),
                "probabilities": list(p.probabilities),
                "positive": p.positive,
            }
            for p in result.predictions
        ],
        "provenance": result.provenance,
        "features_key": result.features_key,
    }
    arrays = {name: getattr(result, name) for name in _ARRAYS}
    if result.features is not None:
        arrays[_FEATURES] = result.features
    try:
        with atomic_writer(path) as stream:
            np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays)
    except OSError as error:
        raise ResultError(f"The result '{path}' cannot be written: {error.strerror}.") from error
    return path


def load_result(path: Path, with_features: bool = True) -> SlideResult:
    """Read a result file.

    Parameters
    ----------
    path : Path
        As `save_result` wrote it.
    with_features : bool
        False leaves the tile features out, most of the file by far.

    Raises
    ------
    ResultError
        If the file is missing, broken or not of this format.
    """
    try:
        # np.load would leave a file of its own open where the content is no archive.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            arrays = {name: stored[name] for name in _ARRAYS}
            if with_features and _FEATURES in stored:  # not kept by training and older versions
                arrays[_FEATURES] = stored[_FEATURES]
        return _from_header(header, arrays)
    except OSError as error:
        raise ResultError(
            f"The result '{path}' cannot be read: {error.strerror or 'it is not a result file'}."
        ) from error
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ResultError(
            f"'{path}' is not a result of this version, or it is damaged. Predict the slide again."
        ) from error


def _from_header(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> SlideResult:
    if header.pop("format") != _FORMAT:
        raise ValueError("unknown format")
    predictions = tuple(
        TaskPrediction(
            task=p["task"],
            classes=tuple(p["classes"]),
            probabilities=tuple(p["probabilities"]),
            positive=p["positive"],
        )
        for p in header.pop("predictions")
    )
    shapes = {key: tuple(header.pop(key)) for key in ("slide_shape", "grid_shape")}
    fields: dict[str, Any] = header | shapes | arrays
    result = SlideResult(**fields, predictions=predictions)
    n_tiles = len(result.rowcol)
    if result.rowcol.shape != (n_tiles, 2) or any(
        getattr(result, name).shape != (n_tiles,)
        for name in ("codeword", "attention", "residual_norm")
    ):
        raise ValueError("the tile columns differ in length")
    if result.features is not None and (
        result.features.ndim != 2
        or len(result.features) != n_tiles
        or result.features.dtype != np.float32
    ):
        raise ValueError("there is not one feature per tile")
    return result
