"""Which file on disk a slide's path means: itself, or one of the files of a DICOM folder."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

import openslide

from napari_dre_slcl.errors import SlideError

__all__ = ["dicom_series", "file_to_open"]

_DICOM_MAGIC = (128, b"DICM")
_DICOM_SERIES = (0x0020, 0x000E)  # elements stand in order; slides are explicit little endian
_DICOM_ITEM_GROUP, _DICOM_SEQUENCE_END = 0xFFFE, 0xE0DD
_DICOM_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_DICOM_NO_SIZE = 0xFFFFFFFF
_DICOM_HEADER_BYTES = 2**18


def file_to_open(path: Path) -> Path:
    """Return the file that OpenSlide should open, after the checks that it words badly.

    Parameters
    ----------
    path : Path
        A slide file, or a folder that holds the files of one DICOM slide.

    Returns
    -------
    Path

    Raises
    ------
    SlideError
        If there is no such file, it is empty, or the folder holds no slide or several.
    """
    try:
        if path.is_dir():
            return _dicom_file(path)
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            path.open("rb").close()  # OpenSlide would say that it does not know the format
    except FileNotFoundError as error:
        raise SlideError(f"Slide '{path}' does not exist; check the path.") from error
    except OSError as error:
        raise SlideError(
            f"Slide '{path}' cannot be read ({error.strerror}); check its permissions."
        ) from error
    if not stat.S_ISREG(facts.st_mode):
        raise SlideError(f"Slide '{path}' is no file but a pipe or a device; give a slide file.")
    if facts.st_size == 0:
        raise SlideError(f"Slide '{path.name}' is an empty file; copy it again from its source.")
    return path


def _dicom_file(folder: Path) -> Path:
    """Return the first DICOM file in a folder that OpenSlide accepts as part of a slide."""
    first_of_series: dict[bytes, Path] = {}
    for file in sorted(entry for entry in folder.iterdir() if entry.is_file()):
        series = dicom_series(file)
        if (
            series is not None
            and series not in first_of_series
            and openslide.OpenSlide.detect_format(str(file)) is not None
        ):
            first_of_series[series] = file
    if not first_of_series:
        raise SlideError(
            f"Folder '{folder}' holds no DICOM slide; give a slide file or a folder of .dcm files."
        )
    files = list(first_of_series.values())
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:5])
        raise SlideError(
            f"Folder '{folder}' holds {len(files)} DICOM slides; give one file of the slide that "
            f"is meant, such as {names}."
        )
    return files[0]


def dicom_series(file: Path) -> bytes | None:
    """Return SeriesInstanceUID, by which the files of one DICOM slide know each other.

    Parameters
    ----------
    file : Path
        Any file.

    Returns
    -------
    bytes or None
        None for a file that is not DICOM, nothing for one that names no series.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    offset, magic = _DICOM_MAGIC
    with file.open("rb") as stream:
        header = stream.read(offset + len(magic))
        if header[offset:] != magic:
            return None
        header += stream.read(_DICOM_HEADER_BYTES - len(header))
    return _series_uid(header, offset + len(magic))


def _series_uid(header: bytes, place: int) -> bytes:
    """Walk the elements to the file's own series: sequences before it may name other series."""
    depth = 0
    while place + 12 <= len(header):
        group, element, kind, size = struct.unpack_from("<HH2sH", header, place)
        if group == _DICOM_ITEM_GROUP:  # start or end of an item, or end of a sequence
            depth -= element == _DICOM_SEQUENCE_END
            place += 8
            continue
        if depth == 0 and (group, element) >= _DICOM_SERIES:
            found = (group, element) == _DICOM_SERIES
            return header[place + 8 : place + 8 + size].rstrip(b"\0 ") if found else b""
        place += 8
        if kind in _DICOM_LONG_KINDS:
            (size,) = struct.unpack_from("<I", header, place)
            place += 4
        if size == _DICOM_NO_SIZE:
            depth += 1
        else:
            place += size
    return b""
