"""The bytes of one TIFF tile become pixels: JPEG at full or reduced scale, the rest by tifffile."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from napari_dre_slcl.slide.picture_size import picture_size

__all__ = ["JpegDecoder", "PageDecoder", "TileDecoder"]

_SOI = b"\xff\xd8"
_EOI = b"\xff\xd9"
# An Adobe segment with transform 0: "the three components are red, green and blue".
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class TileDecoder(Protocol):
    """Decodes the tiles of one level."""

    reductions: tuple[int, ...]
    """Factors at which it can decode, 1 first."""

    def decode(
        self, data: bytes, index: int, reduction: int, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Decode a tile; ValueError where that cannot be done."""


class JpegDecoder:
    """Tiles that are JPEG pictures; reduced ones are scaled in the DCT domain.

    Parameters
    ----------
    tile_shape : (int, int)
        (height, width) that every tile must have.
    tables : bytes
        The TIFF's JPEGTables, empty if tiles carry their own.
    is_rgb : bool
        The components are red, green and blue, not luma and chroma.
    """

    def __init__(self, tile_shape: tuple[int, int], tables: bytes, is_rgb: bool) -> None:
        self._tile_shape = tile_shape
        self._prefix = _header(tables, is_rgb)
        self.reductions = tuple(
            factor for factor in (1, 2, 4, 8) if all(edge % factor == 0 for edge in tile_shape)
        )

    def decode(
        self, data: bytes, index: int, reduction: int, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Decode a tile.

        Parameters
        ----------
        data : bytes
            As stored.
        index : int
            Number of the tile; not needed here.
        reduction : int
            One of `reductions`.
        out : ndarray of uint8, shape (height / reduction, width / reduction, 3), optional
            C-contiguous; filled when given.

        Returns
        -------
        ndarray of uint8, shape (height / reduction, width / reduction, 3)

        Raises
        ------
        ValueError
            If the data is no whole JPEG picture of the tile's size.
        """
        if self._prefix:
            if data[:2] != _SOI:
                raise ValueError("no JPEG picture")
            data = self._prefix + data[2:]
        height, width = self._tile_shape
        try:
            found = simplejpeg.decode_jpeg_header(data)[:2]
        except ValueError as error:
            raise ValueError("no JPEG picture") from error
        _check_size(found, self._tile_shape)
        if out is None:
            out = np.empty((height // reduction, width // reduction, 3), np.uint8)
        smallest = (0, 0) if reduction == 1 else out.shape[:2]
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, min_height=smallest[0], min_width=smallest[1], buffer=out
        )
        if pixels.shape != out.shape:
            raise ValueError(f"decoded to {pixels.shape[0]}x{pixels.shape[1]} px")
        return out


class PageDecoder:
    """Tiles that tifffile decodes.

    Parameters
    ----------
    page : tifffile.TiffPage
        8-bit RGB; its file may be closed.
    is_picture : bool
        Tiles are pictures with a size of their own, as in JPEG 2000, not only packed bytes.
    """

    reductions: tuple[int, ...] = (1,)

    def __init__(self, page: Any, is_picture: bool) -> None:
        self._is_picture = is_picture
        self._decode = page.decode
        self._tables = page.jpegtables
        self._shape = (int(page.tilelength), int(page.tilewidth), 3)

    def decode(
        self, data: bytes, index: int, reduction: int, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Decode a tile; as `JpegDecoder.decode`, with reduction 1."""
        if self._is_picture:
            _check_size(picture_size(data), self._shape[:2])
        try:
            decoded = self._decode(data, index, jpegtables=self._tables)[0]
        except (RuntimeError, OSError, TypeError) as error:
            raise ValueError(str(error)) from error
        tile = np.full(self._shape, 255, np.uint8) if out is None else out
        if decoded is None:
            tile[:] = 255
            return tile
        height, width = (min(a, b) for a, b in zip(decoded.shape[1:3], self._shape, strict=False))
        tile[:height, :width] = decoded[0, :height, :width]
        return tile


def _check_size(found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Refuse before decoding: a picture that claims 65,500 x 65,500 px would take 12 GB."""
    if found != expected:
        raise ValueError(
            f"a picture of {found[0]}x{found[1]} px in a tile of {expected[0]}x{expected[1]}"
        )


def _header(tables: bytes, is_rgb: bool) -> bytes:
    """Return what must stand before a tile's own data, in place of its first marker."""
    if tables[:2] == _SOI:
        tables = tables[2:]
    tables = tables.removesuffix(_EOI)
    if not tables and not is_rgb:
        return b""
    return _SOI + (_ADOBE_RGB if is_rgb else b"") + tables
