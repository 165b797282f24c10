"""A folder of bounded size that keeps copies of files from elsewhere; knows nothing of networks.

Each copy is a folder ``<key>-<bytes>``: made aside, flushed to disk, then renamed. Who reads it
holds a lock on the file ``in-use`` in it. Where room is needed, the copies that were not used for
longest go first, and those in use stay. Any number of processes may share the folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from napari_dre_slcl.atomic_file import flush_tree, move, open_in_place
from napari_dre_slcl.errors import SlideError

if sys.platform != "win32":  # where an open file keeps its folder from being renamed
    import fcntl

__all__ = ["CacheFullError", "Lease", "LocalCache"]

_MARK = "in-use"
_PART = ".part"
_GONE = ".gone"
_LOCKS = "locks"
_ROOM = "room.lock"
_TRIES = 5


class CacheFullError(SlideError):
    """There is no room for a file, even without all that nobody reads."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A copy that stays as long as this is not closed.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    """

    folder: Path
    _mark: BinaryIO

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the copy be removed where its room is needed."""
        self._mark.close()


@dataclass(frozen=True, slots=True, order=True)
class _Copy:
    last_used_ns: int
    path: Path
    n_bytes: int
    is_part: bool


class LocalCache:
    """Copies of files, by key.

    Parameters
    ----------
    folder : Path
        On a disk of this machine; is made where it is missing.
    limit_bytes : int
        Of all copies together.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    def lease(self, key: str, n_bytes: int, fill: Callable[[Path], None]) -> Lease:
        """Return a copy, made first where there is none; others that want it too wait for it.

        Parameters
        ----------
        key : str
            Letters and digits; another one for another content.
        n_bytes : int
            Size of the files together.
        fill : callable
            Writes the files into the folder that it is given.

        Raises
        ------
        CacheFullError
            If there is no room for so many bytes.
        SlideError
            If the folder or its disk cannot be used; and what ``fill`` raises.
        """
        try:
            (self.folder / _LOCKS).mkdir(parents=True, exist_ok=True)
            copy = self.folder / f"{key}-{n_bytes}"
            for _ in range(_TRIES):
                lease = _join(copy)
                if lease is not None:
                    return lease
                with FileLock(self.folder / _LOCKS / f"{key[:2]}.lock"):
                    if not copy.is_dir():
                        self._make(copy, n_bytes, fill)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "its disk is full" if is_full else error.strerror or str(error)
            raise SlideError(
                f"The folder for copies of remote files '{self.folder}' cannot be used ({reason}). "
                "Name another by the environment variable DRE_SLCL_CACHE_DIR."
            ) from error
        raise SlideError(
            f"The copy '{copy}' of a remote file was removed again and again by other programs. "
            "Give the cache more room (DRE_SLCL_CACHE_GIB)."
        )

    def _make(self, copy: Path, n_bytes: int, fill: Callable[[Path], None]) -> None:
        part, mark = self._reserve(copy, n_bytes)
        try:
            with mark:
                fill(part)
                flush_tree(part)
                with FileLock(self.folder / _LOCKS / _ROOM):  # nobody clears up meanwhile
                    mark.close()
                    move(part, copy)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _reserve(self, copy: Path, n_bytes: int) -> tuple[Path, BinaryIO]:
        """Make a folder whose name counts as its size from now on, after making room for it."""
        with FileLock(self.folder / _LOCKS / _ROOM):
            room = self.limit_bytes - n_bytes
            copies = sorted(self._copies())
            used = sum(one.n_bytes for one in copies)
            for one in copies:
                if used <= room and not one.is_part:
                    continue  # what a killed process left goes in any case
                if _remove(one.path):
                    used -= one.n_bytes
            if used > room:
                raise CacheFullError(_full(self.folder, self.limit_bytes, n_bytes, used))
            part = copy.with_name(f"{copy.name}.{uuid.uuid4().hex[:8]}{_PART}")
            part.mkdir()
            mark = open_in_place(part / _MARK)
            _lock(mark, is_alone=False)
            return part, mark

    def _copies(self) -> Iterator[_Copy]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                size = entry.name.partition("-")[2].partition(".")[0]
                path = Path(entry.path)
                if entry.name.endswith(_GONE):
                    shutil.rmtree(path, ignore_errors=True)
                elif size.isdigit():
                    yield _Copy(_last_used(path), path, int(size), entry.name.endswith(_PART))


def _join(copy: Path) -> Lease | None:
    """Return a lease of a copy that is there."""
    try:
        mark = (copy / _MARK).open("rb")
    except FileNotFoundError:
        return None
    _lock(mark, is_alone=False)
    try:  # it may have been removed between the two
        is_there = os.path.samestat(os.fstat(mark.fileno()), os.stat(copy / _MARK))
        os.utime(copy / _MARK)
    except FileNotFoundError:
        is_there = False
    if not is_there:
        mark.close()
        return None
    return Lease(copy, mark)


def _remove(copy: Path) -> bool:
    """Remove a copy that nobody uses; False where somebody does."""
    gone = copy.with_name(f"{copy.name}.{uuid.uuid4().hex[:8]}{_GONE}")
    try:
        if sys.platform == "win32":
            move(copy, gone)
        else:
            with (copy / _MARK).open("rb") as mark:
                if not _lock(mark, is_alone=True):
                    return False
                move(copy, gone)
    except FileNotFoundError:  # killed before it was marked
        gone = copy
    except OSError:  # in use, as Windows says it
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _lock(mark: BinaryIO, *, is_alone: bool) -> bool:
    """Lock an open mark with others, or alone where nobody else has; False where that fails."""
    if sys.platform != "win32":
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB if is_alone else fcntl.LOCK_SH)
        except BlockingIOError:
            return False
    return True


def _last_used(copy: Path) -> int:
    try:
        return os.stat(copy / _MARK).st_mtime_ns
    except OSError:
        return 0


def _full(folder: Path, limit: int, n_bytes: int, used: int) -> str:
    asked = f"A remote file of {n_bytes / 2**30:.2f} GiB"
    how = "Give it more room by the environment variable DRE_SLCL_CACHE_GIB"
    if n_bytes > limit:
        return f"{asked} is larger than the cache '{folder}' ({limit / 2**30:.2f} GiB). {how}."
    return (
        f"{asked} finds no room in the cache '{folder}': {used / 2**30:.2f} of "
        f"{limit / 2**30:.2f} GiB are in use at this moment. {how}, or read fewer slides at once."
    )
