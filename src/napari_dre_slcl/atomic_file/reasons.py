"""Which file an error of the disk is about, and why it failed, so that it can be told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DISK_ERRORS", "telling"]

_NAMES = "EACCES EDQUOT EFBIG EIO EMFILE ENFILE ENODEV ENOSPC ENXIO EPERM EROFS ESTALE ETIMEDOUT"
DISK_ERRORS = frozenset(getattr(errno, name, 0) for name in _NAMES.split()) - {0}
"""Numbers of errors that come of a disk, or of the rights on it, and not of the program."""


@contextmanager
def telling(path: Path, aside: Path) -> Iterator[None]:
    """Let errors name the file that was to be written, and give them a reason.

    The system names no file where a write or a flush fails, and numpy no reason.

    Parameters
    ----------
    path : Path
        What was to be written.
    aside : Path
        The file or folder for the time being, whose name tells a user nothing.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None and type(error) is OSError:
            told = "not all of it could be written; most often the disk is full"
            raise OSError(errno.EIO, told, str(path)) from error
        if error.filename is None or _is_within(error.filename, aside):
            error.filename, error.filename2 = str(path), None
        raise


def _is_within(name: object, aside: Path) -> bool:
    if not isinstance(name, str | bytes):
        return False
    return Path(os.fsdecode(name)).is_relative_to(aside)
