"""HDF5 files from strangers: data sets of the file itself, no larger than it can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from napari_dre_slcl.slide.trial_hdf5 import is_hdf5
from napari_dre_slcl.trial.kinds import FEATURES
from napari_dre_slcl.trial.proof import prove_file
from napari_dre_slcl.untrusted import UntrustedError, check_array

__all__ = ["bounded", "own_dataset", "prove_hdf5", "small_attributes"]

_MOST_ATTRIBUTES = 1000


def prove_hdf5(path: Path) -> None:
    """Make sure that a file has been opened in a trial: the library never ends with some.

    Raises
    ------
    SlideError
        If the trial was ended by it, or met a limit.
    """
    if is_hdf5(path):
        prove_file(path, FEATURES)


def own_dataset(stored: Any, name: str) -> Any:
    """Return a data set or group by name, None where there is none.

    Links, virtual data sets and external storage would read other files of this machine, whose
    content would then stand among the features.

    Raises
    ------
    UntrustedError
        If it lies in another file.
    """
    link = stored.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise UntrustedError(f"the data set '{name}' is a link; copy it into the file")
    found = stored[name]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise UntrustedError(f"the data set '{name}' lies elsewhere; copy it into the file")
    return found


def bounded(dataset: Any, file: Any) -> Any:
    """Return a data set that the file is large enough to hold.

    Raises
    ------
    KeyError
        If there is none.
    UntrustedError
        If its shape, or a block of it, would take far more memory than the file has bytes.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise KeyError("no data set")
    if dataset.shape is None:
        raise UntrustedError("a data set is empty")
    n_stored = min(dataset.id.get_storage_size(), file.id.get_filesize())
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    if dataset.dtype.hasobject and not is_text:
        raise UntrustedError("it holds references, not numbers")
    kind = h5py.string_dtype("utf-8", 64) if is_text and dataset.dtype.hasobject else dataset.dtype
    check_array(dataset.shape, kind, n_stored)
    if dataset.chunks is not None:  # one that is larger than the data set is allowed, and is read
        check_array(dataset.chunks, kind, n_stored)
    return dataset


def small_attributes(item: Any) -> dict[str, Any]:
    """Return attributes of one value each, or of two as CLAM's ``downsample``; no others are read.

    Raises
    ------
    UntrustedError
        If there are very many.
    """
    if len(item.attrs) > _MOST_ATTRIBUTES:
        raise UntrustedError("it has very many attributes")
    found: dict[str, Any] = {}
    for name in item.attrs:
        if not isinstance(name, str):  # no text
            continue
        attribute = item.attrs.get_id(name)
        if attribute.shape in ((), (1,), (2,)):
            found[name] = item.attrs[name]
    return found
