"""Checksums beside what is read back after a crash, as ``sha256sum`` writes and checks them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from napari_dre_slcl.atomic_file.whole_file import write_bytes, write_text

__all__ = ["SUMS_FILE", "check_sum", "differing", "write_sums", "write_with_sum"]

SUMS_FILE = "SHA256SUMS"
_SUFFIX = ".sha256"


def write_with_sum(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and its checksum beside it.

    Parameters
    ----------
    path : Path
        Must not be there yet: the two files are not written in one step.
    content : bytes
        All of it.
    """
    write_text(_sum_of(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    write_bytes(path, content)


def check_sum(path: Path) -> bool:
    """Return whether a file is as `write_with_sum` wrote it; True where it has no checksum.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    try:
        told = _sum_of(path).read_bytes()
    except FileNotFoundError:  # written by an earlier version
        return True
    return told.split(b" ", 1)[0] == _digest(path).encode()


def write_sums(folder: Path) -> None:
    """Write the checksums of a folder's files into one more.

    Parameters
    ----------
    folder : Path
        Its files, not those of folders in it.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    lines = (f"{_digest(path)}  {path.name}\n" for path in paths)
    write_text(folder / SUMS_FILE, "".join(lines))


def differing(folder: Path) -> Iterable[str]:
    """Yield the names of a folder's files that are missing or not as `write_sums` found them.

    Parameters
    ----------
    folder : Path
        With the list that `write_sums` wrote.

    Raises
    ------
    OSError
        If a file, or the list of checksums, cannot be read.
    """
    for line in (folder / SUMS_FILE).read_bytes().decode(errors="replace").splitlines():
        told, _, name = line.partition("  ")
        path = folder / Path(name).name
        if not path.is_file() or _digest(path) != told:
            yield name


def _sum_of(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
