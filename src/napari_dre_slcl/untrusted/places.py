"""Names that a file gives: they must stay within the folder that the file is in."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from napari_dre_slcl.untrusted.bounds import UntrustedError

__all__ = ["inside", "own_size", "plain_name"]

_LONGEST = 255
_MOST_FILES = 10**6


def plain_name(name: Any) -> str:
    """Return a name of one file or folder, never of one elsewhere.

    Parameters
    ----------
    name : object
        What stands where a name should.

    Raises
    ------
    UntrustedError
        If it is no text, empty, a path, ``..`` or the like.
    """
    if not isinstance(name, str):
        raise UntrustedError("a name of a file is no text")
    is_path = "/" in name or "\\" in name or ":" in name or "\0" in name
    if is_path or name in ("", ".", "..") or len(name.encode(errors="replace")) > _LONGEST:
        raise UntrustedError(f"it names {name[:60]!r}, which is no plain name of a file")
    return name


def inside(folder: Path, *names: str) -> Path:
    """Return a path below a folder; neither ``..`` nor symbolic links may lead out of it.

    One way out is known: in the cache of the Hugging Face hub, all files of a folder
    ``models--*/snapshots/*`` are links to ``models--*/blobs``.

    Parameters
    ----------
    folder : Path
        It may itself be reached through links: the user has named it.
    names : str
        Relative path, in parts.

    Raises
    ------
    UntrustedError
        If it leads out of the folder, whether or not there is such a file.
    """
    path = folder.joinpath(*names)
    try:
        home, real = os.path.realpath(folder), os.path.realpath(path)
    except ValueError as error:  # a zero byte
        raise UntrustedError("it names a file whose name is none") from error
    is_within = real == home or real.startswith(home.rstrip(os.sep) + os.sep)
    if not is_within and not _is_hub_blob(Path(home), Path(real)):
        shown = "/".join(names)[:80]
        raise UntrustedError(
            f"'{shown}' leads out of the folder; put a copy of the file itself there"
        )
    return path


def _is_hub_blob(home: Path, real: Path) -> bool:
    """Whether a file is a blob of the download that a folder is a snapshot of."""
    snapshots, download = home.parent, home.parent.parent
    is_snapshot = snapshots.name == "snapshots" and download.name.startswith("models--")
    return is_snapshot and real.parent == download / "blobs"


def own_size(folder: Path) -> int:
    """Return how many bytes the files below a folder have together.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    UntrustedError
        If one of them is a symbolic link or no ordinary file, or there are very many.
    OSError
        If the folder cannot be read.
    """
    n_bytes = n_files = 0
    for place, folders, files in os.walk(folder, onerror=_give_up):
        n_files += len(files) + len(folders)
        if n_files > _MOST_FILES:
            raise UntrustedError(f"it has more than {_MOST_FILES:,} files")
        for name in (*files, *folders):
            facts = os.lstat(os.path.join(place, name))
            if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
                raise UntrustedError(f"'{name[:60]}' in it is a link; put a copy of the file there")
            n_bytes += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return n_bytes


def _give_up(error: OSError) -> None:
    raise error
