"""Names that a file gives: they must stay within the folder that the file is in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_dre_slcl.untrusted.bounds import UntrustedError

__all__ = ["inside", "plain_name"]

_LONGEST = 255


def plain_name(name: Any) -> str:
    """Return a name of one file or folder, never of one elsewhere.

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
    if real != home and not real.startswith(home.rstrip(os.sep) + os.sep):
        shown = "/".join(names)[:80]
        raise UntrustedError(
            f"'{shown}' leads out of the folder; put a copy of the file itself there"
        )
    return path
