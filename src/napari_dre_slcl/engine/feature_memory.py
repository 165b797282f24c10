"""Feature files that were read once, kept in memory for whoever reads them again."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_store import (
    FeatureFile,
    StoredFeatures,
    read_features,
    read_rows,
)
from napari_dre_slcl.errors import SlideError

__all__ = ["FeatureMemory"]

_LATEST_BYTES = 2**29


class FeatureMemory:
    """Keeps whole files until it is full. Several threads may read at once.

    Parameters
    ----------
    mib : int, default 2048
        Room for features; 0 keeps none.
    """

    def __init__(self, mib: int = 2048) -> None:
        self._room = mib * 2**20
        self._kept: dict[str, StoredFeatures] = {}
        self._latest: tuple[str, StoredFeatures | None] = ("", None)
        self._lock = threading.Lock()

    def put(self, stored: StoredFeatures) -> None:
        """Keep features that were never in a file, under their name; the room is not looked at."""
        with self._lock:
            self._kept[str(stored.file.path)] = stored

    def clear(self) -> None:
        """Forget the features; the room is not given back, so nothing is kept from here on."""
        with self._lock:
            self._room = 0
            self._kept.clear()
            self._latest = ("", None)

    def read(self, file: FeatureFile) -> StoredFeatures:
        """Return all features of a file.

        Raises
        ------
        SlideError
            If it cannot be read, or is not as it was when it was opened.
        """
        stored = self.keep(file)
        return _read(file) if stored is None else stored

    def rows(self, file: FeatureFile, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of some tiles of a file.

        Where there is no room to keep the file, it is kept all the same from the second call in a
        row until another file's: whoever walks through its tiles reads it twice, not piece by
        piece.

        Raises
        ------
        SlideError
            As `read`.
        """
        kept = self.keep(file)
        if kept is not None:
            return kept.features[tiles]
        name = str(file.path)
        latest, stored = self._latest
        if latest != name:
            self._latest = (name, None)
            return read_rows(file, tiles)
        if stored is None and _size(file) <= _LATEST_BYTES:
            stored = _read(file)
            self._latest = (name, stored)
        return read_rows(file, tiles) if stored is None else stored.features[tiles]

    def keep(self, file: FeatureFile) -> StoredFeatures | None:
        """Return all features of a file and keep them; None where there is no room for them.

        Raises
        ------
        SlideError
            As `read`.
        """
        name = str(file.path)
        kept = self._kept.get(name)
        if kept is None and self._take_room(file):
            kept = _read(file)
            with self._lock:
                self._kept[name] = kept
        return kept

    def _take_room(self, file: FeatureFile) -> bool:
        size = _size(file)
        with self._lock:
            if size > self._room:
                return False
            self._room -= size
            return True


def _size(file: FeatureFile) -> int:
    return file.n_tiles * file.dim * np.dtype(np.float32).itemsize


def _read(file: FeatureFile) -> StoredFeatures:
    stored = read_features(file.path)
    if stored.features.shape != (file.n_tiles, file.dim):
        raise SlideError(f"The feature file '{file.path}' has changed; start again with it.")
    return stored
