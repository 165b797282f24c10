"""CLAM's ``pt_files``: the features of one slide as one tensor, without the places of its tiles.

Read by PyTorch's own reader of weights, which makes tensors and runs no code; looked at: CLAM's
``extract_features_fp.py``, which ends in ``torch.save`` of an (n, d) tensor.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.untrusted import UntrustedError, check_array

__all__ = ["read_pt", "write_pt"]

_LEAST = np.dtype(np.uint8)


def read_pt(path: Path) -> NDArray[np.float32]:
    """Read features that ``torch.save`` wrote.

    Parameters
    ----------
    path : Path
        A file of one tensor; nothing else of Python is made from it.

    Returns
    -------
    ndarray
        (n, d) float32; the vector of a slide is (1, d).

    Raises
    ------
    SlideError
        If it cannot be read, holds something else, or numbers that are not finite.
    """
    try:
        _refuse_bombs(path)
        features = _plain(torch.load(path, map_location="cpu", weights_only=True), path)
    except OSError as error:
        raise SlideError(f"The features '{path}' cannot be read: {error.strerror}.") from error
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        struct.error,
        ValueError,  # and what else a garbled pickle ends in
        TypeError,
        LookupError,
        AttributeError,
        MemoryError,
    ) as error:
        why = f" ({error})" if isinstance(error, UntrustedError) else ""
        raise SlideError(
            f"'{path}' is no file of one tensor as CLAM writes them, or it is damaged{why}. Python "
            "objects and numpy arrays in it are not read; take the HDF5 files instead."
        ) from error
    if not np.isfinite(features).all():
        raise SlideError(f"The features '{path}' have numbers that are not finite. Make it again.")
    return features


def write_pt(path: Path, features: NDArray[np.floating[Any]]) -> Path:
    """Write features as CLAM does, whole or not at all.

    Parameters
    ----------
    path : Path
        Target, ending in ``.pt``.
    features : ndarray
        (n, d); stored as float32.

    Raises
    ------
    SlideError
        If it cannot be written.
    """
    try:
        with atomic_writer(path) as stream:
            torch.save(torch.from_numpy(np.ascontiguousarray(features, np.float32)), stream)
    except OSError as error:
        raise SlideError(f"The features '{path}' cannot be written: {error.strerror}.") from error
    return path


def _refuse_bombs(path: Path) -> None:
    """Look at what an archive says of itself; PyTorch stores tensors unpacked."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    check_array((sum(member.file_size for member in members),), _LEAST, path.stat().st_size)


def _plain(found: Any, path: Path) -> NDArray[np.float32]:
    if type(found) is not torch.Tensor or found.layout != torch.strided or found.is_quantized:
        raise UntrustedError(f"it holds a {type(found).__name__}")
    if not found.is_floating_point() or found.ndim not in (1, 2, 3) or not found.numel():
        raise UntrustedError(f"it holds {found.dtype} numbers of shape {tuple(found.shape)}")
    # A tensor may repeat few numbers without end.
    check_array(tuple(found.shape), np.dtype(np.float32), path.stat().st_size)
    found = found[0] if found.ndim == 3 and found.shape[0] == 1 else found
    table = found[None] if found.ndim == 1 else found
    if table.ndim != 2:
        raise UntrustedError(f"it holds numbers of shape {tuple(found.shape)}")
    return np.array(table.to(torch.float32).numpy())
