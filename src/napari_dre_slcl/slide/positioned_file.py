"""PositionedFile: one open file, read at any offset by many threads, also after a fork."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from napari_dre_slcl.errors import SlideError

__all__ = ["PositionedFile", "ReadableFile"]

_HAS_PREAD = hasattr(os, "pread")  # not on Windows


class ReadableFile(Protocol):
    """A file, here or elsewhere, that many threads read."""

    n_bytes: int

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`, fewer at the end of the file."""

    def check_open(self) -> None:
        """Raise SlideError if the file is closed."""

    def close(self) -> None:
        """Close the file, after the reads that are under way."""

    def restart_in_child(self) -> None:
        """Start afresh after a fork."""


class PositionedFile:
    """A file whose reads name their own offset, so that no reader moves another's place.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._lock = threading.Lock()
        self._readers = 0
        self._is_closed = False
        self._file: int | None = None
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.n_bytes = os.fstat(self._file).st_size

    def __del__(self) -> None:
        self.close()

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`, fewer at the end of the file.

        Raises
        ------
        SlideError
            If the file is closed.
        OSError
            If the disk fails.
        """
        file = self._acquire()
        try:
            if _HAS_PREAD:
                return os.pread(file, count, offset)
            with self._lock:
                os.lseek(file, offset, os.SEEK_SET)
                return os.read(file, count)
        finally:
            self._release()

    def check_open(self) -> None:
        """Raise SlideError if the file is closed."""
        if self._is_closed:
            raise SlideError(f"Slide '{self._name}' is closed; open it again to read it.")

    def close(self) -> None:
        """Close the file, after the reads that are under way."""
        with self._lock:
            self._is_closed = True
            self._close_if_idle()

    def restart_in_child(self) -> None:
        """Forget the parent's readers and lock after a fork; the descriptor itself is ours too."""
        self._lock = threading.Lock()
        self._readers = 0

    def _acquire(self) -> int:
        with self._lock:
            self.check_open()
            assert self._file is not None  # only a closed file has none
            self._readers += 1
            return self._file

    def _release(self) -> None:
        with self._lock:
            self._readers -= 1
            self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._is_closed and not self._readers and self._file is not None:
            os.close(self._file)
            self._file = None
