"""Says cheaply whether a slide file is still the one that it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from napari_dre_slcl.errors import SlideError

__all__ = ["slide_fingerprint"]

_END_BYTES = 65_536
_SAMPLE_BYTES = 1024
_SAMPLES = 32


def slide_fingerprint(path: str | Path) -> str:
    """Return a text that changes with the file, without reading all of it.

    Size, time of change, both ends and 32 samples between them go in, of every file that the slide
    is made of. A copy may get another fingerprint; a changed file gets another one.

    Parameters
    ----------
    path : str or Path
        Slide file or DICOM folder.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in _files_of(Path(path)):
            for part in _samples(file):
                digest.update(part)
    except OSError as error:
        raise SlideError(
            f"Slide '{Path(path).name}' cannot be read: {error.strerror}. Check the file."
        ) from error
    return digest.hexdigest()


def _files_of(path: Path) -> list[Path]:
    """Return the files that a slide is made of: one, those of a folder, or MIRAX's both."""
    is_mirax = path.suffix.lower() == ".mrxs"
    folder = path.with_suffix("") if is_mirax else path
    parts = sorted(one for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
    return parts if path.is_dir() else [path, *parts]


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
