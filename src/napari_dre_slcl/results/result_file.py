"""The file of a result: one npz without pickles, written whole or not at all.

Arrays are stored as they are: features hardly shrink, and a million tiles must load at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.results.checks import check_result
from napari_dre_slcl.results.slide_result import SlideResult, TaskPrediction
from napari_dre_slcl.untrusted import UntrustedError, open_npz, parse_json

__all__ = ["RESULT_SUFFIX", "load_report_space", "load_result", "save_result"]

RESULT_SUFFIX = ".dreslcl.npz"
_FORMAT = 2
_READABLE = (1, 2)
_ARRAYS = (
    "rowcol",
    "codeword",
    "attention",
    "residual_norm",
    "codeword_attention",
    "slide_vector",
)
# Most of the file by far; they may be left out, or read alone.
_LARGE = ("features", "report_space")
_OPTIONAL = ("evidence", "report_vector", "freshness")
# What a header raises that is none of ours.
_DAMAGED = (KeyError, ValueError, TypeError, AttributeError, OverflowError)


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
        "predictions": [asdict(prediction) for prediction in result.predictions],
        "provenance": result.provenance,
        "features_key": result.features_key,
        "evidence_of": result.evidence_of,
        "codeword_names": result.codeword_names,
    }
    arrays = {name: getattr(result, name) for name in (*_ARRAYS, *_OPTIONAL, *_LARGE)}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    try:
        with atomic_writer(path) as stream:
            np.savez(stream, header=np.array(json.dumps(header)), **arrays)
    except OSError as error:
        raise ResultError(f"The result '{path}' cannot be written: {error.strerror}.") from error
    return path


def load_result(path: str | Path, with_features: bool = True) -> SlideResult:
    """Read a result file.

    Parameters
    ----------
    path : str or Path
        As `save_result` wrote it.
    with_features : bool
        False leaves tile features and their places in report space out, most of the file by far.

    Returns
    -------
    SlideResult
        As it was saved.

    Raises
    ------
    ResultError
        If the file is missing, broken or not of this format.
    """
    try:
        with open_npz(Path(path)) as stored:
            header = parse_json(str(stored["header"]))
            arrays = {name: stored[name] for name in _ARRAYS}
            wanted = (*_OPTIONAL, *_LARGE) if with_features else _OPTIONAL
            arrays |= {name: stored[name] for name in wanted if name in stored}
        return _from_header(header, arrays)
    except OSError as error:
        raise ResultError(
            f"The result '{path}' cannot be read: {error.strerror or 'it is not a result file'}."
        ) from error
    except UntrustedError as error:
        raise ResultError(
            f"'{path}' is not a result of this version, or it is damaged ({error}). Predict the "
            "slide again."
        ) from error
    except _DAMAGED as error:
        raise ResultError(
            f"'{path}' is not a result of this version, or it is damaged. Predict the slide again."
        ) from error


def load_report_space(path: Path) -> NDArray[np.float16] | None:
    """Read the (n, t) places of a result's tiles in report space, and nothing else of the file.

    Parameters
    ----------
    path : Path
        A result file.

    Returns
    -------
    ndarray of float16, shape (n, t), or None
        None where the model was trained without reports.

    Raises
    ------
    ResultError
        If the file is missing or damaged.
    """
    try:
        with open_npz(Path(path)) as stored:
            if "report_space" not in stored:
                return None
            space: NDArray[np.float16] = stored["report_space"]
            return space
    except OSError as error:
        raise ResultError(f"The result '{path}' cannot be read: {error.strerror}.") from error
    except UntrustedError as error:
        raise ResultError(
            f"'{path}' is not a result of this version, or it is damaged ({error}). Predict the "
            "slide again."
        ) from error
    except _DAMAGED as error:
        raise ResultError(
            f"'{path}' is not a result of this version, or it is damaged. Predict the slide again."
        ) from error


def _from_header(header: Any, arrays: dict[str, NDArray[Any]]) -> SlideResult:
    if not isinstance(header, dict) or header.pop("format") not in _READABLE:
        raise ValueError("unknown format")
    predictions = tuple(_prediction(fields) for fields in header.pop("predictions"))
    shapes = {key: tuple(header.pop(key)) for key in ("slide_shape", "grid_shape")}
    evidence_of = tuple((task, name) for task, name in header.pop("evidence_of", ()))
    names = tuple(header.pop("codeword_names", ()))
    result = SlideResult(
        **header | shapes | arrays,
        predictions=predictions,
        evidence_of=evidence_of,
        codeword_names=names,
    )
    check_result(result)
    return result


def _prediction(fields: dict[str, Any]) -> TaskPrediction:
    listed = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return TaskPrediction(**fields | listed)
