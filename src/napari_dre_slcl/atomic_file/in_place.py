"""Files that are not written anew: logs that grow, marks, and arrays changed row by row."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from napari_dre_slcl.atomic_file.durable import flush_folder
from napari_dre_slcl.atomic_file.reasons import telling

__all__ = ["append_lines", "cut_half_line", "open_in_place", "set_mark"]

_LONGEST_LINE = 2**20


def append_lines(path: Path, lines: Iterable[str], *, is_durable: bool = False) -> None:
    """Add lines to a log; the file is made where it is missing.

    Parameters
    ----------
    path : Path
        The log.
    lines : iterable of str
        Without their ends.
    is_durable : bool
        Whether they must be on disk on return. A log of mere words need not, and waiting for a disk
        holds up the work.

    Raises
    ------
    OSError
        If they cannot be written. The log then ends as it did before, where the disk lets it.
    """
    content = "".join(f"{line}\n" for line in lines).encode()
    is_new = not path.exists()
    with telling(path, path), open(path, "ab", buffering=0) as stream:
        length = stream.seek(0, os.SEEK_END)
        try:
            _write_all(stream, content)
        except OSError:
            with suppress(OSError):
                stream.truncate(length)
            raise
        if is_durable:
            os.fsync(stream.fileno())
    if is_durable and is_new:
        flush_folder(path.parent)


def cut_half_line(path: Path) -> None:
    """Take away the half line that a full disk or a power cut has left at the end of a log.

    Parameters
    ----------
    path : Path
        The log.
    """
    if not path.exists():
        return
    with path.open("r+b") as stream:
        begin = max(0, stream.seek(0, os.SEEK_END) - _LONGEST_LINE)
        stream.seek(begin)
        stream.truncate(begin + stream.read().rfind(b"\n") + 1)


def open_in_place(path: Path) -> FileIO:
    """Open a file to be read and changed where it lies, without buffer; it is made where missing.

    What is written may reach the disk in part. The caller must know from elsewhere which part
    counts, such as the checkpoint that names a step, and flush it before.

    Parameters
    ----------
    path : Path
        The file.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    return open(handle, "r+b", buffering=0)


def set_mark(path: Path) -> None:
    """Leave an empty file, whose being there says all; its folder must exist.

    Parameters
    ----------
    path : Path
        The file.
    """
    path.touch()


def _write_all(stream: FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:  # a nearly full disk takes a part first, and refuses the rest
        rest = rest[stream.write(rest) :]
