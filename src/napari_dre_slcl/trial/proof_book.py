"""Which files have been read in a trial and did no harm, told by marks.

A mark is a digest of a file's path, size, times and inode, and of those of the files that are read
with it: it names no patient, and another file, or the same one changed, has another mark. Marks
are kept in the user's own folder, so that a file is tried once and not by each process.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import append_lines, make_folder, write_text
from napari_dre_slcl.user_folder import user_folder

__all__ = ["BOOK_NAME", "ProofBook", "mark_of", "proof_book", "size_of"]

BOOK_NAME = "proved-files.txt"
MOST_MARKS = 20_000
_DICOM_MAGIC = (128, b"DICM")
_WITH_FOLDER = (".mrxs",)
_WITH_SISTERS = (".vms", ".vmu", ".opt")


def mark_of(path: Path, purpose: str = "") -> str | None:
    """Return the mark of a file as it is now.

    Parameters
    ----------
    path : Path
        A file, or a folder of files that are read together, as those of a DICOM slide.
    purpose : str
        What is read of it, and how.

    Returns
    -------
    str or None
        None for what is neither file nor folder or cannot be looked at: there is nothing to try.
    """
    digest = hashlib.blake2b(f"{__version__}\n{purpose}".encode(), digest_size=16)
    try:
        for place, facts in _parts(path.absolute()):
            told = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
            digest.update(f"\n{place}{told}".encode(errors="surrogateescape"))
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Return how many bytes a file has, with those that are read with it; 0 where none are."""
    with suppress(OSError, ValueError):
        return sum(facts.st_size for _, facts in _parts(path.absolute()))
    return 0


def _parts(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Give a file and those that are opened with it; OSError where it is no file."""
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        yield from _files_in(path)
        return
    if not stat.S_ISREG(facts.st_mode):
        raise FileNotFoundError
    yield str(path), facts
    suffix = path.suffix.lower()
    # What cannot be looked at is no reason to go without a trial.
    with suppress(OSError):
        if suffix in _WITH_FOLDER:
            yield from _files_in(path.with_suffix(""))
        elif suffix in _WITH_SISTERS or _is_dicom(path):
            yield from _files_in(path.parent)


def _files_in(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    found: dict[str, os.stat_result] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # a link to nowhere
                found[entry.path] = entry.stat()
    for place, facts in sorted(found.items()):
        # Empty ones tell nothing, and the cache of remote files touches its own at each reading.
        if facts.st_size and stat.S_ISREG(facts.st_mode):
            yield place, facts


def _is_dicom(path: Path) -> bool:
    offset, magic = _DICOM_MAGIC
    with path.open("rb", buffering=0) as stream:
        return stream.read(offset + len(magic))[offset:] == magic


def proof_book() -> ProofBook:
    """Return the book in the user's own folder."""
    return _book(user_folder() / BOOK_NAME)


@cache
def _book(path: Path) -> ProofBook:
    return ProofBook(path)


class ProofBook:
    """Marks of files that were tried; many threads and processes may use one file.

    A file that cannot be read or written is no fault: files are tried again then.

    Parameters
    ----------
    path : Path
        The file. It holds the last 20,000 marks at most, twice as many for a while.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._marks: set[str] | None = None

    def __contains__(self, mark: str) -> bool:
        if self._marks is None:
            self._marks = self._read()
        return mark in self._marks

    def add(self, mark: str) -> None:
        """Remember a mark, here and for other processes."""
        if mark in self:
            return
        with self._lock:
            assert self._marks is not None  # it was just looked into
            self._marks.add(mark)
            with suppress(OSError):
                make_folder(self._path.parent)
                append_lines(self._path, [mark])

    def _read(self) -> set[str]:
        try:
            lines = self._path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return set()
        if len(lines) > 2 * MOST_MARKS:
            lines = lines[-MOST_MARKS:]
            with suppress(OSError):
                write_text(self._path, "".join(f"{line}\n" for line in lines))
        return set(lines)
