"""TiffBackend: a tiled TIFF read through its own tile bytes, decoded as small as will do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.forked import restart_after_fork
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.cut_file import cut_findings
from napari_dre_slcl.slide.positioned_file import PositionedFile, ReadableFile
from napari_dre_slcl.slide.tiff_layout import TiffLevel

__all__ = ["TiffBackend"]

CACHE_BYTES = 64 * 2**20
JPEG_BLOCK_PX = 8
_serials = itertools.count()


class TiffBackend:
    """Reads levels tile by tile; the level coordinates of a reduced read are reduced too.

    Parameters
    ----------
    path : Path
    levels : tuple of TiffLevel
        Finest first.
    properties : mapping
        Under OpenSlide's names.
    associated_images : tuple of str
        Names only.
    reason : str
        Why this backend serves the slide.
    file : ReadableFile, optional
        Read in the place of the file of that path.

    Raises
    ------
    SlideError
        If the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        levels: tuple[TiffLevel, ...],
        properties: Mapping[str, str],
        associated_images: tuple[str, ...] = (),
        reason: str = "",
        file: ReadableFile | None = None,
    ) -> None:
        self._path = path
        self._levels = levels
        self._serial = next(_serials)
        self._scratch = threading.local()
        try:
            self._file: ReadableFile = PositionedFile(path) if file is None else file
        except OSError as error:
            raise SlideError(
                f"Slide '{path.name}' cannot be opened: {error.strerror}. Check the file."
            ) from error
        restart_after_fork(self._file)
        self.name = "tiff-jpeg" if all(level.is_jpeg for level in levels) else "tifffile"
        self.reason = reason
        self.properties: Mapping[str, str] = MappingProxyType(dict(properties))
        self.level_shapes = tuple(level.shape for level in levels)
        self.tile_shape = levels[0].tile_shape
        self.associated_images = associated_images
        self.findings = cut_findings(path, levels, self._file.n_bytes)

    def reductions(self, level: int) -> tuple[int, ...]:
        """Return the factors at which a level can be read, 1 first."""
        return self._levels[level].decoder.reductions

    def read(
        self,
        level: int,
        y: int,
        x: int,
        height: int,
        width: int,
        reduction: int = 1,
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Read a box of one level.

        Parameters
        ----------
        level : int
        y, x, height, width : int
            In pixels of the level divided by `reduction`; the box may reach outside the slide.
        reduction : int, default 1
            One of `reductions(level)`.
        out : ndarray of uint8, shape (height, width, 3), optional
            Filled and returned when given.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            White outside the slide.

        Raises
        ------
        DamagedSlideError
            If a tile cannot be decoded.
        SlideError
            If the slide is closed.
        """
        self._file.check_open()
        one = self._levels[level]
        rows, cols = (-(-size // reduction) for size in one.shape)
        tile_h, tile_w = (edge // reduction for edge in one.tile_shape)
        if out is None:
            out = np.empty((height, width, 3), np.uint8)
        top, left, bottom, right = max(y, 0), max(x, 0), min(y + height, rows), min(x + width, cols)
        if bottom - top < height or right - left < width:
            out[:] = 255
        for row in range(top // tile_h, -(-bottom // tile_h)):
            for col in range(left // tile_w, -(-right // tile_w)):
                y0, x0 = row * tile_h, col * tile_w
                y1, x1 = max(y0, top), max(x0, left)
                y2, x2 = min(y0 + tile_h, bottom), min(x0 + tile_w, right)
                if y1 >= y2 or x1 >= x2:
                    continue
                target = out[y1 - y : y2 - y, x1 - x : x2 - x]
                part = (slice(y1 - y0, y2 - y0), slice(x1 - x0, x2 - x0))
                self._fill(target, level, (row, col), reduction, part)
        return out

    def close(self) -> None:
        """Close the file, after the reads that are under way."""
        self._file.close()

    def _fill(
        self,
        target: NDArray[np.uint8],
        level: int,
        tile: tuple[int, int],
        reduction: int,
        part: tuple[slice, slice],
    ) -> None:
        """Copy a part of a tile; whole tiles are not kept, for nobody will want the rest."""
        shape = tuple(edge // reduction for edge in self._levels[level].tile_shape)
        if target.shape[:2] != shape:
            key = (self._serial, level, reduction, *tile)
            target[:] = _cache.get(key, lambda: self._decode(level, tile, reduction, None))[part]
        elif target.flags.c_contiguous:
            self._decode(level, tile, reduction, target)
        else:
            target[:] = self._decode(level, tile, reduction, self._buffer(shape))

    def _decode(
        self, level: int, tile: tuple[int, int], reduction: int, out: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        one = self._levels[level]
        inside = tuple(
            min(edge, size - number * edge)
            for edge, size, number in zip(one.tile_shape, one.shape, tile, strict=True)
        )
        if reduction > 1 and any(size % JPEG_BLOCK_PX for size in inside):
            return self._reduce_edge(level, tile, reduction, inside, out)
        index = tile[0] * one.grid_shape[1] + tile[1]
        count = int(one.counts[index])
        try:
            if count > 4 * one.tile_shape[0] * one.tile_shape[1] + 2**16:
                raise ValueError(f"{count:,} bytes for one tile")
            data = self._file.read_at(int(one.offsets[index]), count)
            if len(data) < count:
                raise ValueError("the file ends before it")
            return one.decoder.decode(data, index, reduction, out)
        except (ValueError, OSError) as error:
            raise DamagedSlideError(self._complaint(level, tile, str(error))) from error

    def _reduce_edge(
        self,
        level: int,
        tile: tuple[int, int],
        reduction: int,
        inside: tuple[int, ...],
        out: NDArray[np.uint8] | None,
    ) -> NDArray[np.uint8]:
        """Reduce a tile that the slide's edge cuts, so that nothing of its padding is mixed in."""
        full = self._decode(level, tile, 1, None)
        full[inside[0] :] = 255
        full[:, inside[1] :] = 255
        reduced = np.array(Image.fromarray(full).reduce(reduction))
        if out is None:
            return reduced
        out[:] = reduced
        return out

    def _complaint(self, level: int, tile: tuple[int, int], reason: str) -> str:
        one = self._levels[level]
        factor = self._levels[0].shape[0] / one.shape[0]
        y, x = (
            round(number * edge * factor) for number, edge in zip(tile, one.tile_shape, strict=True)
        )
        return (
            f"Slide '{self._path.name}' is damaged near y={y}, x={x} (level {level}: "
            f"{reason.rstrip('.')}); copy the file again from its source."
        )

    def _buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return this thread's own pixels to decode into."""
        kept: NDArray[np.uint8] | None = getattr(self._scratch, "pixels", None)
        if kept is None or kept.shape[:2] != shape:
            kept = np.empty((*shape, 3), np.uint8)
            self._scratch.pixels = kept
        return kept


class _SharedCache:
    """Tiles of which only a part was wanted, of all slides together."""

    def __init__(self) -> None:
        self.restart_in_child()
        restart_after_fork(self)

    def restart_in_child(self) -> None:
        blocks = BlockCache(CACHE_BYTES)
        self.get = blocks.get


_cache = _SharedCache()
