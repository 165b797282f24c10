"""Make what was written last through a power cut: files, names in folders, and renames.

A file's content and its name are made durable apart (fsync(2), "Notes"). So a rename counts only
once its folder was flushed as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path
from typing import IO, Any

__all__ = ["exchange", "flush_folder", "flush_stream", "flush_tree", "make_folder", "move"]

# Network drives and some systems know no flush of a folder.
_NO_FOLDER_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS)


def flush_stream(stream: IO[Any]) -> None:
    """Make what was written to an open file durable.

    Parameters
    ----------
    stream : file
        Open for writing.
    """
    stream.flush()
    os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder in which one may write but not look
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(handle)


def flush_tree(folder: Path) -> None:
    """Make a folder durable with all files and folders in it.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            if not path.is_symlink():
                with path.open("rb+") as stream:
                    os.fsync(stream.fileno())
        flush_folder(Path(place))


def make_folder(folder: Path) -> None:
    """Make a folder and those above it durably, where they are missing.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    missing = []
    place = folder
    while not place.is_dir() and place != place.parent:
        missing.append(place)
        place = place.parent
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        flush_folder(made.parent)


def move(source: Path, target: Path) -> None:
    """Give a file or folder another name, durably; a file under that name is replaced.

    Parameters
    ----------
    source : Path
        What it is called now.
    target : Path
        What it is to be called; on the same disk.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    source.replace(target)
    flush_folder(target.parent)
    if source.parent != target.parent:
        flush_folder(source.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders change names in one step; False where the system cannot.

    As renameat2(2) does with RENAME_EXCHANGE.
    """
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library before glibc 2.28
        return False
    return bool(rename(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0)
