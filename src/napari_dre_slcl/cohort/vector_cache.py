"""Report vectors kept on disk: one small file for each text model, safe among many processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import filelock
import numpy as np
import platformdirs
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.untrusted import open_npz

__all__ = ["VectorCache", "cache_folder"]

_LOCK_WAIT_S = 10.0
_KEY_BYTES = 32
_BROKEN = (OSError, ValueError)

_Rows = dict[bytes, NDArray[np.float32]]


def cache_folder() -> Path:
    """Return the folder for report vectors in the user's own cache folder."""
    return Path(platformdirs.user_cache_dir("napari-dre-slcl", appauthor=False)) / "report-vectors"


class VectorCache:
    """Vectors of texts by one model with one set of settings.

    Parameters
    ----------
    folder : Path
        Where the file of each model is; made when there is something to keep.
    model : str
        What the model is: a hash of its files, or its name and revision. One file for each.
    settings : str
        What else the vectors depend on; part of each text's key.

    Attributes
    ----------
    path : Path
        The model's file.
    problem : str
        A sentence where the file is damaged, empty otherwise; `save` then makes it anew.
    """

    def __init__(self, folder: Path, model: str, settings: str) -> None:
        name = hashlib.sha256(model.encode()).hexdigest()[:16]
        self.path = folder / f"{name}.npz"
        self.problem = ""
        self._identity = (model, settings)
        self._rows = self._read()
        self._is_changed = False

    def __len__(self) -> int:
        """Return how many vectors the model's file has, whatever their settings."""
        return len(self._rows)

    def get(self, text: str) -> NDArray[np.float32] | None:
        """Return the (dim) vector of a text, or None where it is not known."""
        return self._rows.get(self._key(text))

    def add(self, texts: Iterable[str], vectors: NDArray[np.float32]) -> None:
        """Keep (n, dim) vectors in memory until `save`."""
        for text, vector in zip(texts, vectors, strict=True):
            self._rows[self._key(text)] = np.asarray(vector, dtype=np.float32)
            self._is_changed = True

    def save(self) -> str:
        """Write what is new beside what other processes wrote meanwhile.

        Returns
        -------
        str
            Empty; or a sentence that says why nothing could be written.
        """
        if not self._is_changed:
            return ""
        lock = self.path.with_suffix(".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(lock, timeout=_LOCK_WAIT_S):
                self._rows = self._read() | self._rows
                self._write()
        except filelock.Timeout:
            return f"Report vectors are not kept: another process holds '{lock}'."
        except OSError as error:
            return (
                f"Report vectors cannot be kept in '{self.path.parent}': {error.strerror or error}."
                " They will be computed again next time; set text.cache to another folder."
            )
        self._is_changed = False
        return ""

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(json.dumps([*self._identity, text]).encode()).digest()

    def _read(self) -> _Rows:
        try:
            with open_npz(self.path) as arrays:
                keys, vectors = arrays["keys"], arrays["vectors"]
            _check(keys, vectors)
        except FileNotFoundError:
            return {}
        except _BROKEN as error:
            self.problem = (
                f"The stored report vectors '{self.path}' cannot be used ({error}); "
                "they are made anew."
            )
            return {}
        return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}

    def _write(self) -> None:
        keys = np.frombuffer(b"".join(self._rows), dtype=np.uint8).reshape(-1, _KEY_BYTES)
        with atomic_writer(self.path) as stream:
            np.savez(stream, keys=keys, vectors=np.stack(list(self._rows.values())))


def _check(keys: NDArray[np.generic], vectors: NDArray[np.generic]) -> None:
    if vectors.ndim != 2 or vectors.dtype != np.float32 or keys.dtype != np.uint8:
        raise ValueError("its arrays are of another kind")
    if keys.shape != (len(vectors), _KEY_BYTES) or not np.isfinite(vectors).all():
        raise ValueError("its arrays do not fit together")
