"""What the preloaded library is told: which calls fail, slow down, or are recorded."""

from __future__ import annotations

import enum
import mmap
import os
import struct
from pathlib import Path

__all__ = ["Calls", "Control"]

_LAYOUT = struct.Struct("=iiIiqqq7q1024s1024s")


class Calls(enum.IntFlag):
    """Kinds of calls, by the numbers that ``faulty.c`` gives them."""

    OPEN = 1
    WRITE = 2
    FLUSH = 4
    RENAME = 8
    TRUNCATE = 16
    MKDIR = 32
    REMOVE = 64
    ALL = 127


class Control:
    """A mapped file that the library looks at in every call.

    Parameters
    ----------
    path : Path
        The file, made anew.
    below : Path
        The folder.
    """

    def __init__(self, path: Path, below: Path) -> None:
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), _LAYOUT.size)
        self.path = path
        self._below = os.fsencode(below)
        self.clear()

    def clear(self, record: Path | None = None) -> None:
        """Let nothing fail; count from here on, and record them in a file if one is given."""
        self._set(0, 0, Calls.ALL, is_lasting=False, at=0, record=record)

    def fail(self, error: int, calls: Calls, at: int, *, is_lasting: bool) -> None:
        """Let calls of some kinds fail from one on, or just that one.

        Parameters
        ----------
        error : int
            Such as `errno.ENOSPC`.
        calls : Calls
            These count, and fail.
        at : int
            The number of the first, from 1.
        is_lasting : bool
            Whether all after it fail as well.
        """
        self._set(error, 0, calls, is_lasting=is_lasting, at=at, record=None)

    def slow(self, delay_us: int) -> None:
        """Let each call take so much longer."""
        self._set(0, delay_us, Calls.ALL, is_lasting=False, at=0, record=None)

    def counted(self, calls: Calls) -> int:
        """Return how many calls of some kinds there were since the last change."""
        of_kind = _LAYOUT.unpack(self._map[:])[7:14]
        return sum(of_kind[bit] for bit in range(7) if calls & (1 << bit))

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return int(_LAYOUT.unpack(self._map[:])[6])

    def _set(
        self,
        error: int,
        delay_us: int,
        calls: Calls,
        *,
        is_lasting: bool,
        at: int,
        record: Path | None,
    ) -> None:
        told = b"" if record is None else os.fsencode(record)
        self._map[:] = _LAYOUT.pack(
            error, delay_us, calls, is_lasting, at, *[0] * 9, self._below, told
        )
