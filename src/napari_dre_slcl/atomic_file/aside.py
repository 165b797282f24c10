"""Names of files and folders that are being written, and who left them behind.

A name tells the machine and the process, so that what a killed process has left can be told from
what another one, perhaps on another machine, writes at this moment.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.process_identity import is_gone, process_tag

__all__ = ["aside_of", "delete_left_over"]

# A name has at most 255 bytes on common file systems, a letter up to four.
_MOST_LETTERS = 40
_SILENT_S = 24 * 3600.0
_NAME = re.compile(r"\..*\.(?P<tag>[0-9a-f]{8}-\d+-\d*)\.[0-9a-f]{8}\.part", re.DOTALL)


def aside_of(path: Path) -> Path:
    """Return a free name beside a path, for what is to become it.

    Parameters
    ----------
    path : Path
        What is to be written.
    """
    tail = f"{process_tag()}.{uuid.uuid4().hex[:8]}"
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
        How many were deleted. Those of other machines, and of this one before it was started anew,
        are deleted after a day in which nothing was added to them.
    """
    deleted = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None or not _is_left_over(found["tag"], entry):
                continue
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
                deleted += 1
    return deleted


def _is_left_over(tag: str, entry: os.DirEntry[str]) -> bool:
    gone = is_gone(tag)
    if gone is not None:
        return gone
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _SILENT_S
    except OSError:
        return False
