"""Names of files and folders that are being written, and who left them behind.

A name tells the machine and the process, so that what a killed process has left can be told from
what another one, perhaps on another machine, writes at this moment.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["aside_of", "delete_left_over"]

# A name has at most 255 bytes on common file systems, a letter up to four.
_MOST_LETTERS = 40
_FOREIGN_S = 7 * 24 * 3600.0
_NAME = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.part", re.DOTALL)


def aside_of(path: Path) -> Path:
    """Return a free name beside a path, for what is to become it."""
    tail = f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name[:_MOST_LETTERS]}.{tail}.part")


def delete_left_over(folder: Path) -> int:
    """Delete half-written files and folders that processes have left which were killed.

    Parameters
    ----------
    folder : Path
        Looked at without the folders in it; need not exist.

    Returns
    -------
    int
        How many were deleted. Those of other machines are deleted after a week.
    """
    deleted = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None or not _is_left_over(found, entry):
                continue
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
                deleted += 1
    return deleted


def _is_left_over(found: re.Match[str], entry: os.DirEntry[str]) -> bool:
    if found["machine"] == _machine():
        return not _lives(int(found["pid"]))
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FOREIGN_S
    except OSError:
        return False


def _lives(pid: int) -> bool:
    if os.name == "nt":  # there a signal would end it
        return _lives_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _lives_on_windows(pid: int) -> bool:
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x1000, False, pid)
    if handle:
        kernel.CloseHandle(handle)
    return bool(handle)


@cache
def _machine() -> str:
    """Return eight letters for this machine; containers count their processes for themselves."""
    told = platform.node()
    with suppress(OSError):
        told += f" {os.stat('/proc/self/ns/pid').st_ino}"
    return hashlib.sha256(told.encode()).hexdigest()[:8]
