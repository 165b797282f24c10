"""A file of report vectors that were made elsewhere: one row for each slide_id, .npz or .h5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.plain_hdf5 import bounded, own_dataset, prove_hdf5
from napari_dre_slcl.errors import CohortError, SlideError
from napari_dre_slcl.untrusted import open_npz

__all__ = ["ReadyVectors", "read_ready_vectors"]

_NAMES = ("slide_id", "vectors")
_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class ReadyVectors:
    """Report vectors of the slides that were asked for.

    Parameters
    ----------
    vectors : ndarray
        (n, dim) float32 unit rows; zeros for a slide that the file does not have.
    missing : tuple of str
        The slides that it does not have.
    """

    vectors: NDArray[np.float32]
    missing: tuple[str, ...]


def read_ready_vectors(path: Path, slide_ids: Sequence[str]) -> ReadyVectors:
    """Read the vectors of some slides; those of others are not looked at.

    Parameters
    ----------
    path : Path
        ``.npz`` file with the arrays, or HDF5 file with the datasets, ``slide_id`` (n) and
        ``vectors`` (n, dim).
    slide_ids : sequence of str
        Slides whose vectors are wanted.

    Raises
    ------
    CohortError
        If the file cannot be read, has other arrays, other shapes, a slide twice, none of the
        slides, or numbers that are not finite.
    """
    ids, vectors = _read(path)
    _check_shapes(path, ids, vectors)
    row = {slide_id: number for number, slide_id in enumerate(ids)}
    missing = tuple(slide_id for slide_id in slide_ids if slide_id not in row)
    if len(missing) == len(slide_ids):
        raise CohortError(
            f"The report vectors '{path}' have none of the {len(slide_ids)} training slides: they "
            f"name {shown_names(ids)}, the cohort table {shown_names(slide_ids)}. "
            "Use the slide_id of the table."
        )
    chosen = np.zeros((len(slide_ids), vectors.shape[1]), dtype=np.float32)
    for number, slide_id in enumerate(slide_ids):
        if slide_id in row:
            chosen[number] = vectors[row[slide_id]]
    broken = [i for i, v in zip(slide_ids, chosen, strict=True) if not np.isfinite(v).all()]
    if broken:
        raise CohortError(
            f"The report vectors '{path}' hold numbers that are not finite for {len(broken)} "
            f"slides: {shown_names(broken)}. Make the file again."
        )
    # Over a second to load, and most trainings have no such file.
    from sklearn.preprocessing import normalize

    return ReadyVectors(np.asarray(normalize(chosen), dtype=np.float32), missing)


def shown_names(names: Sequence[str]) -> str:
    """Return the first names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _read(path: Path) -> tuple[list[str], NDArray[np.generic]]:
    try:
        if path.suffix.lower() == ".npz":
            with open_npz(path) as arrays:
                lacking = [name for name in _NAMES if name not in arrays]
                if lacking:
                    raise KeyError(lacking[0])
                ids, vectors = (arrays[name] for name in _NAMES)
        else:
            prove_hdf5(path)
            with h5py.File(path, "r") as file:
                ids, vectors = (
                    np.asarray(bounded(own_dataset(file, name), file)[()]) for name in _NAMES
                )
    except SlideError as error:  # of a trial, which is that of slides
        raise CohortError(str(error)) from error
    except KeyError as error:
        raise CohortError(
            f"The report vectors '{path}' lack an array: they need 'slide_id' and 'vectors'."
        ) from error
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise CohortError(
            f"The report vectors '{path}' cannot be read: {error}. Give an .npz or .h5 file with "
            "'slide_id' (text) and 'vectors' (n, dim)."
        ) from error
    return [i.decode() if isinstance(i, bytes) else str(i) for i in ids.ravel().tolist()], vectors


def _check_shapes(path: Path, ids: Sequence[str], vectors: NDArray[np.generic]) -> None:
    if vectors.ndim != 2 or len(vectors) != len(ids) or not vectors.shape[1]:
        raise CohortError(
            f"The report vectors '{path}' have the shape {vectors.shape} for {len(ids)} slide_ids; "
            f"it must be ({len(ids)}, dim)."
        )
    if not np.issubdtype(vectors.dtype, np.floating):
        raise CohortError(
            f"The report vectors '{path}' are of the kind {vectors.dtype}; save them as float32."
        )
    repeated = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    if repeated:
        raise CohortError(
            f"The report vectors '{path}' have {shown_names(repeated)} more than once; "
            "keep one row for each slide."
        )
