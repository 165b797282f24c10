"""Says cheaply whether a slide file is still the one that it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.file_to_open import dicom_series
from napari_dre_slcl.slide.remote import is_remote, look_up, shown

__all__ = ["slide_files", "slide_fingerprint"]

_END_BYTES = 65_536
_SAMPLE_BYTES = 1024
_SAMPLES = 32
_HAMAMATSU_INDEX = frozenset({".vms", ".vmu"})
_INDEX_BYTES = 2**20


def slide_fingerprint(path: str | Path) -> str:
    """Return a text that changes with the file, without reading all of it.

    Size, time of change, both ends and 32 samples between them go in, of every file that the slide
    is made of. A copy may get another fingerprint; a changed file gets another one.

    Parameters
    ----------
    path : str or Path
        Slide file, one of a DICOM slide's files, or the folder of a DICOM slide. Of a URL counts
        what the server says of the file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    if is_remote(path):
        remote = look_up(path)
        return hashlib.sha256(f"{shown(path)}\n{remote.stamp}".encode()).hexdigest()
    digest = hashlib.sha256()
    try:
        for file in slide_files(Path(path)):
            for part in _samples(file):
                digest.update(part)
    except OSError as error:
        raise SlideError(
            f"Slide '{Path(path).name}' cannot be read: {error.strerror}. Check the file."
        ) from error
    return digest.hexdigest()


def slide_files(path: Path) -> list[Path]:
    """Return the files that a slide is made of, those given by name and those that belong to it.

    Raises
    ------
    OSError
        If a folder or an index cannot be read.
    """
    if path.is_dir():
        return _files_in(path)
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        return [path, *(_files_in(folder) if folder.is_dir() else ())]
    if suffix in _HAMAMATSU_INDEX:
        return [path, *_files_in_index(path)]
    series = dicom_series(path)
    if not series:
        return [path]
    return [file for file in _files_in(path.parent) if _is_of_series(file, series)]


def _files_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_file())


def _files_in_index(index: Path) -> list[Path]:
    """Return the files that the lines of a Hamamatsu index name: image, map, macro and others."""
    with index.open("rb") as stream:
        lines = stream.read(_INDEX_BYTES).splitlines()
    values = (line.partition(b"=")[2].strip() for line in lines)
    names = {value.decode(errors="surrogateescape").casefold() for value in values}
    others = (file for file in _files_in(index.parent) if file.name != index.name)
    return [file for file in others if file.name.casefold() in names]


def _is_of_series(file: Path, series: bytes) -> bool:
    try:
        return dicom_series(file) == series
    except OSError:  # OpenSlide passes over such a file too
        return False


def _samples(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        yield f"{facts.st_size} {facts.st_mtime_ns} ".encode()
        yield stream.read(_END_BYTES)
        last = max(_END_BYTES, facts.st_size - _END_BYTES)
        step = max(_SAMPLE_BYTES, (last - _END_BYTES) // _SAMPLES)
        for place in range(_END_BYTES, last, step):
            stream.seek(place)
            yield stream.read(_SAMPLE_BYTES)
        stream.seek(last)
        yield stream.read(_END_BYTES)
