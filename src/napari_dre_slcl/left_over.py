"""Names for files and folders while they are written, and how those of ended processes go.

The name says who writes, so that nobody deletes what a living process is about to finish.
"""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.process_identity import is_gone, process_tag

__all__ = ["PART_SUFFIX", "part_name", "remove_left_over"]

PART_SUFFIX = ".part"
_LONGEST_STEM = 80
"""Letters of the name that are kept; with the rest below the 255 bytes that disks take."""
_OLD_S = 86400.0
"""What another machine began so long ago it does not finish."""


def part_name(name: str) -> str:
    """Return a free hidden name for a file or folder that is to become ``name``.

    Parameters
    ----------
    name : str
        Of the finished one, without its folder.

    Returns
    -------
    str
        ``.NAME.WRITER.RANDOM.part``; a long name is cut.
    """
    stem = name.encode()[:_LONGEST_STEM].decode(errors="ignore")
    return f".{stem}.{process_tag()}.{uuid.uuid4().hex[:8]}{PART_SUFFIX}"


def remove_left_over(folder: Path) -> int:
    """Delete what ended processes have half written in a folder, not in folders inside.

    Parameters
    ----------
    folder : Path
        It may be missing.

    Returns
    -------
    int
        How many files and folders were deleted. What belongs to a living process stays, and what
        is of another machine or of a version without writers in names, unless it is a day old.
    """
    found = 0
    with suppress(OSError):
        for path in sorted(folder.glob(f".*{PART_SUFFIX}")):
            if not _is_left(path):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            found += not path.exists()
    return found


def _is_left(path: Path) -> bool:
    tag = path.name.removesuffix(PART_SUFFIX).split(".")[-2:-1]
    gone = is_gone(tag[0]) if tag else None
    if gone is not None:
        return gone
    try:
        return time.time() - path.lstat().st_mtime > _OLD_S
    except OSError:
        return False
