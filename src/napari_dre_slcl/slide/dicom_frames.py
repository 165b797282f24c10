"""Whether the frames of a DICOM slide lie where its files say.

OpenSlide 4.0 ends the process over a frame whose place, in the file's own table of frames, is at
the end of the file or behind it, as in every file with such a table that was cut, and over some
places where no frame begins.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.file_to_open import dicom_series

__all__ = ["check_frames"]

_FIRST_ELEMENT = 132
_ITEM_GROUP, _SEQUENCE_END, _ITEM = 0xFFFE, 0xE0DD, 0xE000
_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_NO_SIZE = 0xFFFFFFFF
_LONG_TABLE, _PIXELS = (0x7FE0, 0x0001), (0x7FE0, 0x0010)
_ITEM_HEAD = 8
_META_BYTES = 4096
_SYNTAX = b"\x02\x00\x10\x00UI"
_IMPLICIT = b"1.2.840.10008.1.2\0"
_PATIENCE_S = 5.0

Places = NDArray[np.uint64]


def check_frames(path: Path) -> None:
    """Look at the tables of frames of all files that are opened with a slide.

    Parameters
    ----------
    path : Path
        A file, or the folder of a DICOM slide; other files than DICOM are passed over.

    Raises
    ------
    SlideError
        If a frame does not lie where the table says.
    OSError
        If a file cannot be read.
    """
    series = None if path.is_dir() else dicom_series(path)
    if not path.is_dir() and series is None:
        return
    folder = path if path.is_dir() else path.parent
    for file in sorted(entry for entry in folder.iterdir() if entry.is_file()):
        of_file = dicom_series(file)
        if of_file is not None and series in (None, of_file) and not _has_its_frames(file):
            raise SlideError(
                f"Slide '{path.name}' is damaged: the table in '{file.name}' names frames where "
                "there are none; copy the file again from its source."
            )


def _has_its_frames(file: Path) -> bool:
    with file.open("rb") as stream:
        if stream.seek(0, 2) <= _FIRST_ELEMENT:
            return True
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                found = _frame_places(content)
            except struct.error:  # ends in its header, which OpenSlide says itself
                return True
            return _is_implicit(content) if found is None else _are_frames(content, *found)


def _is_implicit(content: mmap.mmap) -> bool:
    """Say whether elements are stored without their kind, so that they cannot be followed here."""
    place = content.find(_SYNTAX, 0, _META_BYTES)
    value = content[place + len(_SYNTAX) + 2 : place + len(_SYNTAX) + 22] if place >= 0 else b""
    return value.startswith(_IMPLICIT)


def _are_frames(content: mmap.mmap, first: int, places: Places) -> bool:
    """Say whether frames begin at all places, as far as can be looked at in some seconds."""
    if not len(places):
        return True
    last = len(content) - first - _ITEM_HEAD
    if last < 0 or int(places.max()) > last or (np.diff(places.astype(np.int64)) <= 0).any():
        return False
    until_s = time.monotonic() + _PATIENCE_S
    for place in places.tolist():
        group, element, size = struct.unpack_from("<HHI", content, first + place)
        if (group, element) != (_ITEM_GROUP, _ITEM) or size > last - place:
            return False
        if time.monotonic() > until_s:  # a slow drive and very many frames
            break
    return True


def _frame_places(content: mmap.mmap) -> tuple[int, Places] | None:
    """Return where the first frame begins, and where each does from there; none without table.

    None where a length is wrong: that of a sequence which ends without having begun, or that of
    pixels which are frames, or more than the file holds.
    """
    place, depth = _FIRST_ELEMENT, 0
    table = np.empty(0, np.uint64)
    while place + 12 <= len(content):
        group, element, kind, size = struct.unpack_from("<HH2sH", content, place)
        if group == _ITEM_GROUP:
            depth -= element == _SEQUENCE_END
            if depth < 0:
                return None
            place += _ITEM_HEAD
            continue
        place += 8
        if kind in _LONG_KINDS:
            (size,) = struct.unpack_from("<I", content, place)
            place += 4
        if depth == 0 and (group, element) == _PIXELS:
            if size == _NO_SIZE:
                return _from_pixels(content, place, table)
            has_items = content[place : place + 4] == struct.pack("<HH", _ITEM_GROUP, _ITEM)
            return None if has_items or size > len(content) - place else (0, table[:0])
        if depth == 0 and (group, element) == _LONG_TABLE:
            table = np.frombuffer(content[place : place + size // 8 * 8], "<u8")
        depth += size == _NO_SIZE
        place += 0 if size == _NO_SIZE else size
    return 0, table[:0]


def _from_pixels(content: mmap.mmap, place: int, table: Places) -> tuple[int, Places]:
    """Take the table that the pixels begin with, unless there was one before."""
    size: int
    group, element, size = struct.unpack_from("<HHI", content, place)
    if (group, element) != (_ITEM_GROUP, _ITEM):
        return 0, table[:0]
    first = place + _ITEM_HEAD
    if size:
        table = np.frombuffer(content[first : first + size // 4 * 4], "<u4").astype(np.uint64)
    return first + size, table
