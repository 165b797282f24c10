"""Whether the frames of a DICOM slide lie in its files.

OpenSlide 4.0 ends the process over a frame whose place, in the file's own table of frames, is at
the end of the file or behind it, as in every file with such a table that was cut.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.file_to_open import dicom_series

__all__ = ["check_frames"]

_FIRST_ELEMENT = 132
_ITEM_GROUP, _SEQUENCE_END, _ITEM = 0xFFFE, 0xE0DD, 0xE000
_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_NO_SIZE = 0xFFFFFFFF
_LONG_TABLE, _PIXELS = (0x7FE0, 0x0001), (0x7FE0, 0x0010)
_ITEM_HEAD = 8


def check_frames(path: Path) -> None:
    """Look at the tables of frames of all files that are opened with a slide.

    Parameters
    ----------
    path : Path
        A file, or the folder of a DICOM slide; other files than DICOM are passed over.

    Raises
    ------
    SlideError
        If a frame lies outside its file.
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
                f"Slide '{path.name}' lacks a part of its pixels: the table in '{file.name}' names "
                "frames behind the end of the file; copy the file again from its source."
            )


def _has_its_frames(file: Path) -> bool:
    with file.open("rb") as stream:
        if stream.seek(0, 2) <= _FIRST_ELEMENT:
            return True
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _last_place(content) <= len(content)
            except struct.error:  # ends in its header, which OpenSlide says itself
                return True


def _last_place(content: mmap.mmap) -> int:
    """Return where the head of the last frame ends according to the tables, 0 without one."""
    place, depth, last = _FIRST_ELEMENT, 0, 0
    while place + 12 <= len(content):
        group, element, kind, size = struct.unpack_from("<HH2sH", content, place)
        if group == _ITEM_GROUP:
            depth -= element == _SEQUENCE_END
            place += 8
            continue
        place += 8
        if kind in _LONG_KINDS:
            (size,) = struct.unpack_from("<I", content, place)
            place += 4
        if depth == 0 and (group, element) == _PIXELS:
            return max(last + place, _end_by_table(content, place)) if size == _NO_SIZE else 0
        if depth == 0 and (group, element) == _LONG_TABLE:
            last = _largest(content[place : place + size], "<u8") + 2 * _ITEM_HEAD
        depth += size == _NO_SIZE
        place += 0 if size == _NO_SIZE else size
    return 0


def _end_by_table(content: mmap.mmap, place: int) -> int:
    """Return where the head of the last frame ends by the table that the pixels begin with."""
    size: int
    group, element, size = struct.unpack_from("<HHI", content, place)
    if (group, element) != (_ITEM_GROUP, _ITEM) or not size:
        return 0
    first = place + _ITEM_HEAD
    return first + size + _largest(content[first : first + size], "<u4") + _ITEM_HEAD


def _largest(table: bytes, kind: str) -> int:
    numbers = np.frombuffer(table[: len(table) // int(kind[-1]) * int(kind[-1])], kind)
    return int(numbers.max(initial=0))
