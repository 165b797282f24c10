"""Slide vectors in one file, as other programs read them: ``ids`` and ``X`` in an .npz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer

__all__ = ["write_vectors"]


def write_vectors(
    path: Path,
    ids: Sequence[str],
    vectors: NDArray[np.floating[Any]],
    further: Mapping[str, NDArray[Any]] = {},
) -> Path:
    """Write slide vectors, whole or not at all; no pickle is needed to read them.

    Parameters
    ----------
    path : Path
        Target, ending in ``.npz``.
    ids : sequence of str
        Name of each slide.
    vectors : ndarray
        (n, d), stored as float32.
    further : mapping of ndarray
        More arrays by name.
    """
    with atomic_writer(path) as stream:
        arrays: dict[str, Any] = {
            "ids": np.array(ids, dtype=np.str_),
            "X": np.asarray(vectors, np.float32),
            **further,
        }
        np.savez_compressed(stream, **arrays)
    return path
