"""What a slide or its features hold as a short hash, so that copies under other names are found.

Unlike `slide.fingerprint` the time of change does not count: a copy has the hash of its original.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.feature_store import (
    FEATURE_SUFFIXES,
    feature_file,
    open_features,
    read_rows,
)
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.fingerprint import slide_files
from napari_dre_slcl.slide.remote import is_remote

__all__ = ["content_hash", "content_hashes"]

_END_BYTES = 65_536
_SAMPLE_BYTES = 4096
_SAMPLES = 8
_WHOLE_TILES = 4096
_SAMPLE_TILES = 64


def content_hash(path: Path) -> str:
    """Return a text that is the same for two files with the same content.

    Of a slide, size, both ends and samples between them go in, of every file that it is made of;
    of a feature file, its features: all up to 4,096 tiles, samples of more. A slide that was
    written anew, with other compression or another header, has another hash.

    Parameters
    ----------
    path : Path
        Slide file, folder of a DICOM slide, or feature file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    if path.suffix.lower() in FEATURE_SUFFIXES:
        return _hash_features(path)
    try:
        parts = sorted(_hash_file(file) for file in slide_files(path))
    except OSError as error:
        raise SlideError(
            f"Slide '{path.name}' cannot be read: {error.strerror}. Check the file."
        ) from error
    return hashlib.sha256(b"".join(parts)).hexdigest()


def content_hashes(cohort: Cohort, features: Path | None = None) -> dict[str, str]:
    """Return the hash of what is learned from, by slide_id.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    features : Path, optional
        Folder of feature files, as ``features.folder``. Without it the feature file of a row
        counts, and without that its slide.

    Returns
    -------
    dict of str
        Slides without a file are not in it, nor remote ones, which would have to be fetched whole.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    paths = {row.slide_id: _learned_from(row, features) for row in cohort.rows}
    return {name: content_hash(path) for name, path in paths.items() if path is not None}


def _learned_from(row: SlideRow, features: Path | None) -> Path | None:
    if features is not None:
        return (
            None
            if is_remote(features)
            else feature_file(features, [row.slide_id, *([row.path.stem] if row.path else [])])
        )
    path = row.features or row.path
    if path is None or is_remote(path):
        return None
    return path if path.exists() else None


def _hash_features(path: Path) -> str:
    file = open_features(path)
    tiles = np.arange(file.n_tiles, dtype=np.int64)
    if file.n_tiles > _WHOLE_TILES:
        tiles = np.linspace(0, file.n_tiles - 1, _SAMPLE_TILES).astype(np.int64)
    digest = hashlib.sha256(f"{file.n_tiles} {file.dim} ".encode())
    digest.update(np.ascontiguousarray(read_rows(file, tiles)).tobytes())
    return digest.hexdigest()


def _hash_file(file: Path) -> bytes:
    digest = hashlib.sha256()
    for part in _samples(file):
        digest.update(part)
    return digest.digest()


def _samples(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        yield f"{size} ".encode()
        yield stream.read(_END_BYTES)
        last = max(_END_BYTES, size - _END_BYTES)
        for place in np.linspace(_END_BYTES, last, _SAMPLES, dtype=np.int64):
            stream.seek(int(place))
            yield stream.read(_SAMPLE_BYTES)
        stream.seek(last)
        yield stream.read(_END_BYTES)
