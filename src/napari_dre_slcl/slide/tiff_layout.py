"""Where the tiles of a TIFF lie in its file, level by level; reads headers only."""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_dre_slcl.slide.tile_decoders import JpegDecoder, PageDecoder, TileDecoder

__all__ = [
    "BrokenTiffError",
    "TiffLevel",
    "UnsuitableTiffError",
    "claims_too_much",
    "colour_fault",
    "is_tiff",
    "matching_levels",
    "page_levels",
    "page_shapes",
]

# Its warnings about odd headers are for programmers; users get our findings.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_PAGES = 256
_MAX_BITS = 16
_ROUNDING_PX = 1.5
_MAX_TILE_EDGE_PX = 8192
_JPEG, _RGB, _YCBCR = 7, 2, 6
# Packed bytes, whose unpacked size tifffile bounds: none, LZW, deflate twice, PackBits, zstd.
_PACKED = (1, 5, 8, 32946, 32773, 50000)
_PICTURES = (33005, 34712, 50001)  # JPEG 2000 as Aperio numbers it, and as others do; WebP
# What tifffile raises on headers that make no sense.
_BROKEN = (
    ValueError, struct.error, LookupError, TypeError, ArithmeticError, AttributeError,
    RuntimeError, OSError, MemoryError,
)  # fmt: skip


class UnsuitableTiffError(ValueError):
    """The tiles cannot be read directly; the text says why, as the end of a sentence."""


class BrokenTiffError(UnsuitableTiffError):
    """The header makes no sense, so that nobody can read the file."""


@dataclass(frozen=True, slots=True)
class TiffLevel:
    """One level of a tiled TIFF.

    Parameters
    ----------
    shape, tile_shape : (int, int)
        (height, width) in pixels of the level.
    offsets, counts : ndarray of int64, shape (n_tiles,)
        Where the data of each tile lies in the file, row by row.
    decoder : TileDecoder
    """

    shape: tuple[int, int]
    tile_shape: tuple[int, int]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    decoder: TileDecoder

    @property
    def grid_shape(self) -> tuple[int, int]:
        """(rows, columns) of tiles."""
        rows, cols = (
            -(-size // edge) for size, edge in zip(self.shape, self.tile_shape, strict=True)
        )
        return rows, cols

    @property
    def is_jpeg(self) -> bool:
        """Whether tiles are plain JPEG."""
        return isinstance(self.decoder, JpegDecoder)


def is_tiff(path: Path) -> bool:
    """Say whether a file starts as TIFF files do."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def claims_too_much(path: Path) -> bool:
    """Say whether a tile or strip of a TIFF claims more bytes than the whole file has.

    OpenSlide would make room for them, and end the process where there is none.
    """
    n_bytes = path.stat().st_size
    try:
        with _opened(path) as tiff:
            for page in itertools.islice(tiff.pages, _MAX_PAGES):
                for one in (page, *(page.pages or ())):
                    if max(one.databytecounts, default=0) > n_bytes:
                        return True
    except UnsuitableTiffError:
        return False
    return False


def colour_fault(path: Path) -> str:
    """Say why OpenSlide cannot show the colours of a TIFF that it opens; empty where it can.

    It fails at the first read of deep samples, and shows the first of several channels as grey.
    """
    try:
        with _opened(path) as tiff:
            page = tiff.pages[0]
            if page.bitspersample > _MAX_BITS:
                return f"its samples are {page.bitspersample}-bit"
            is_grey = page.samplesperpixel == 1 and (tiff.is_ome or tiff.is_qpi)
            n_channels = tiff.series[0].sizes.get("channel", 1) if is_grey else 1
    except UnsuitableTiffError:
        return ""
    return f"its colours lie in {n_channels} separate images" if n_channels > 1 else ""


def matching_levels(path: Path, shapes: Sequence[tuple[int, int]]) -> tuple[TiffLevel, ...]:
    """Return the JPEG levels of the given shapes.

    Parameters
    ----------
    path : Path
    shapes : sequence of (int, int)
        (height, width) of the levels to find, among the pages of the file and their SubIFDs.

    Raises
    ------
    UnsuitableTiffError
        If one is missing, or its tiles are not plain JPEG.
    """
    with _opened(path) as tiff:
        pages: dict[tuple[int, int], Any] = {}
        for page in _tiled_pages(tiff):
            pages.setdefault(_shape(page), page)
        levels = []
        for number, shape in enumerate(shapes):
            if shape not in pages:
                raise UnsuitableTiffError(f"level {number} is not stored in tiles")
            page = pages[shape]
            if page.compression != _JPEG:
                raise UnsuitableTiffError(f"level {number} is compressed as {_compression(page)}")
            levels.append(_level(page, number))
        return tuple(levels)


def page_levels(path: Path | IO[bytes]) -> tuple[tuple[TiffLevel, ...], dict[str, str]]:
    """Return the pyramid that the largest page of a TIFF heads, and that page's properties.

    Levels are the pages, and their SubIFDs, that show the same picture smaller; a label or a macro
    image has another shape.

    Raises
    ------
    UnsuitableTiffError
        If its tiles cannot be read directly.
    """
    with _opened(path) as tiff:
        if not len(tiff.pages):
            raise BrokenTiffError("its TIFF header names no image")
        if tiff.is_ndpi:  # whose tiles only OpenSlide cuts out of the JPEG stream
            raise BrokenTiffError("its Hamamatsu header is broken")
        pages = _pyramid_pages(tiff)
        levels = tuple(_level(page, number) for number, page in enumerate(pages))
        return levels, _properties(tiff, pages[0])


def page_shapes(path: Path) -> tuple[tuple[int, int], ...]:
    """Return the shapes of the levels that `page_levels` would give, empty if it cannot be told."""
    try:
        with _opened(path) as tiff:
            return tuple(_shape(page) for page in _pyramid_pages(tiff))
    except UnsuitableTiffError:
        return ()


@contextmanager
def _opened(path: Path | IO[bytes]) -> Iterator[Any]:
    try:
        # Never its sisters: a multi-file OME-TIFF names others, whose offsets mean nothing here.
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            yield tiff
    except UnsuitableTiffError:
        raise
    except _BROKEN as error:
        text = str(error).strip() or type(error).__name__
        raise BrokenTiffError(f"its TIFF header is broken ({text})") from error


def _pyramid_pages(tiff: Any) -> list[Any]:
    """Return the largest tiled page and those that show the same smaller, one of each shape."""
    first_of_shape: dict[tuple[int, int], Any] = {}
    for page in _tiled_pages(tiff):
        first_of_shape.setdefault(_shape(page), page)
    if not first_of_shape:
        raise UnsuitableTiffError("level 0 is stored in strips")
    height, width = max(first_of_shape, key=lambda shape: shape[0] * shape[1])
    by_size = sorted(first_of_shape, reverse=True)
    return [
        first_of_shape[rows, cols]
        for rows, cols in by_size
        if abs(cols - width * rows / height) <= _ROUNDING_PX
        or abs(rows - height * cols / width) <= _ROUNDING_PX
    ]


def _shape(page: Any) -> tuple[int, int]:
    return int(page.imagelength), int(page.imagewidth)


def _tiled_pages(tiff: Any) -> Iterator[Any]:
    for number, page in enumerate(tiff.pages):
        if number >= _MAX_PAGES:
            raise UnsuitableTiffError(f"it has more than {_MAX_PAGES} pages")
        for one in (page, *(page.pages or ())):
            if one.is_tiled:
                yield one


def _level(page: Any, number: int) -> TiffLevel:
    shape = _shape(page)
    if not page.is_tiled:
        raise UnsuitableTiffError(f"level {number} is stored in strips")
    tile_shape = (int(page.tilelength), int(page.tilewidth))
    if min(*shape, *tile_shape) < 1 or max(tile_shape) > _MAX_TILE_EDGE_PX:
        raise UnsuitableTiffError(f"level {number} claims tiles of {tile_shape[0]}x{tile_shape[1]}")
    if page.samplesperpixel != 3 or page.bitspersample != 8 or page.planarconfig != 1:
        raise UnsuitableTiffError(f"level {number} is not 8-bit RGB")
    level = TiffLevel(
        shape,
        tile_shape,
        np.asarray(page.dataoffsets, np.int64),
        np.asarray(page.databytecounts, np.int64),
        _decoder(page, tile_shape, number),
    )
    rows, cols = level.grid_shape
    if not len(level.offsets) == len(level.counts) == rows * cols:
        raise UnsuitableTiffError(f"level {number} lists {len(level.offsets)} of its tiles")
    if level.counts.min() <= 0 or level.offsets.min() <= 0:
        raise UnsuitableTiffError(f"level {number} leaves tiles out")
    return level


def _decoder(page: Any, tile_shape: tuple[int, int], number: int) -> TileDecoder:
    if page.compression in (*_PACKED, *_PICTURES):
        if page.photometric != _RGB:
            raise UnsuitableTiffError(f"level {number} has an unusual colour space")
        return PageDecoder(page, page.compression in _PICTURES)
    if page.compression != _JPEG:
        raise UnsuitableTiffError(f"level {number} is compressed as {_compression(page)}")
    if page.photometric not in (_RGB, _YCBCR):
        raise UnsuitableTiffError(f"level {number} has an unusual colour space")
    return JpegDecoder(tile_shape, bytes(page.jpegtables or b""), page.photometric == _RGB)


def _compression(page: Any) -> str:
    return str(getattr(page.compression, "name", page.compression))


def _properties(tiff: Any, page: Any) -> dict[str, str]:
    vendor = "ome-tiff" if tiff.is_ome else "perkinelmer-qpi" if tiff.is_qpi else "tiff"
    properties = {"openslide.vendor": vendor}
    for tag, name in (("XResolution", "tiff.XResolution"), ("YResolution", "tiff.YResolution")):
        value = page.tags.get(tag)
        if value is not None and value.value[1]:
            properties[name] = f"{value.value[0] / value.value[1]:.10g}"
    unit = page.tags.get("ResolutionUnit")
    if unit is not None:
        properties["tiff.ResolutionUnit"] = {2: "inch", 3: "centimeter"}.get(
            int(unit.value), "none"
        )
    if page.description:
        properties["tiff.ImageDescription"] = page.description
    return properties
