"""What is done to an HDF5 file in a trial: its data sets and attributes are looked at.

The library reads a damaged file without end, or ends the process; see `napari_dre_slcl.trial`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["is_hdf5", "try_hdf5"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MOST_ITEMS, _MOST_ATTRIBUTES = 100, 1000
_LARGEST_BYTES = 2**26


def is_hdf5(path: Path) -> bool:
    """Whether the library would take a file for HDF5; False where it cannot be read.

    It looks for the signature at 0, 512, 1024, 2048 and so on (HDF5 File Format, II.A).
    """
    place = 0
    with suppress(OSError), path.open("rb") as stream:
        while found := stream.read(len(_SIGNATURE)):
            if found == _SIGNATURE:
                return True
            place = max(512, 2 * place)
            stream.seek(place)
    return False


def try_hdf5(path: Path, _: str = "") -> None:
    """Look at what a file of features has; what the library complains of is told by its readers."""
    import h5py

    with (
        suppress(OSError, KeyError, ValueError, TypeError, RuntimeError),
        h5py.File(path, "r") as stored,
    ):
        _look_at(stored)
        for number, name in enumerate(stored):
            if number == _MOST_ITEMS:
                return
            if isinstance(stored.get(name, getlink=True), h5py.HardLink):
                with suppress(OSError, KeyError, ValueError, TypeError, RuntimeError):
                    _look_at(stored[name])


def _look_at(item: Any) -> None:
    import h5py

    for number, name in enumerate(item.attrs):
        if number == _MOST_ATTRIBUTES:
            return
        if item.attrs.get_id(name).shape in ((), (1,)):
            with suppress(OSError, ValueError, TypeError, RuntimeError):
                _ = item.attrs[name]
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external or not item.shape:
        return
    edges = item.chunks or (1, *item.shape[1:])
    n_bytes = item.dtype.itemsize
    for edge in edges:
        n_bytes *= edge
    if n_bytes <= _LARGEST_BYTES and all(item.shape):
        for row in {0, item.shape[0] - 1}:
            _ = item[row]
