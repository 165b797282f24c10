"""A PNG picture written row by row, so that one larger than memory can be made.

Format: W3C, Portable Network Graphics (Third Edition).
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["PngWriter"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 4
_RGB = 2
_UP = 2  # each byte less the one above it: smooth pictures shrink better


class PngWriter:
    """Writes 8-bit RGB rows from the top.

    Parameters
    ----------
    stream : BinaryIO
        Open for writing.
    height, width : int
        Of the picture in pixels.
    pixel_um : float or None
        Edge of a pixel, for programs that ask the file for it.
    """

    def __init__(
        self, stream: BinaryIO, height: int, width: int, pixel_um: float | None = None
    ) -> None:
        self._stream = stream
        self._width = width
        self._deflate = zlib.compressobj(_LEVEL)
        self._above = np.zeros(width * 3, np.uint8)
        stream.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0))
        if pixel_um is not None:
            per_metre = round(1e6 / pixel_um)
            self._chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Write rows.

        Parameters
        ----------
        rows : ndarray
            (n, width, 3) uint8.
        """
        flat = np.ascontiguousarray(rows).reshape(len(rows), self._width * 3)
        before = np.concatenate([self._above[None], flat[:-1]])
        filtered = np.empty((len(flat), flat.shape[1] + 1), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(flat, before, out=filtered[:, 1:])
        self._above = flat[-1].copy()
        packed = self._deflate.compress(filtered.tobytes())
        if packed:
            self._chunk(b"IDAT", packed)

    def close(self) -> None:
        """Write the end; the picture is whole where all its rows were written."""
        self._chunk(b"IDAT", self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _chunk(self, kind: bytes, content: bytes) -> None:
        self._stream.write(struct.pack(">I", len(content)) + kind + content)
        self._stream.write(struct.pack(">I", zlib.crc32(kind + content)))
