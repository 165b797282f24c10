"""SlideBlocks: blocks of a slide for its arrays, cached, read in threads, white where damaged."""

from __future__ import annotations

import itertools
import math
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.block_threads import shared_threads
from napari_dre_slcl.slide.damage import Damage
from napari_dre_slcl.slide.slide import Slide

__all__ = ["DrawnLevel", "SlideBlocks"]

SMALLEST_CELL_PX = 16
# A level made from one so much finer is that of a file without coarse levels: an overview of it
# takes the whole file, which may be more than anybody waits for.
FAR = 8
FAR_READ_PX = 4096
PATIENCE_S = 4.0


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """One level as it is drawn.

    Parameters
    ----------
    shape : (int, int)
        (height, width).
    downsample : float
        Level-0 pixels per pixel.
    stored : int or None
        Number of the level in the file; None where it is made by shrinking a finer one.
    """

    shape: tuple[int, int]
    downsample: float
    stored: int | None = None


class SlideBlocks:
    """Reads blocks of a slide for its arrays, keeps them in a shared cache, survives damage.

    Its blocks leave the cache when it is gone.

    Parameters
    ----------
    slide : Slide
        Must stay open for as long as the arrays are used.
    levels : list of DrawnLevel
        What the levels' numbers mean.
    cache : BlockCache
        Shared with other slides.
    on_damage : callable
        Gets one sentence when damaged pixels are first met.
    """

    def __init__(
        self,
        slide: Slide,
        levels: list[DrawnLevel],
        cache: BlockCache,
        on_damage: Callable[[str], None],
    ) -> None:
        self._slide = slide
        self._levels = levels
        self._cache = cache
        self._threads = shared_threads()
        self._owner = next(_owners)
        self.damage = Damage(slide.name, on_damage)
        self._on_damage = on_damage
        self._until_s = math.inf
        self._given_up: set[int] = set()
        weakref.finalize(self, cache.drop, self._owner).atexit = False

    def read(self, level: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return a block, read-only; white where the file is damaged.

        Parameters
        ----------
        level : int
            Number of a drawn level.
        y, x, height, width : int
            In pixels of that level.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)

        Raises
        ------
        SlideError
            If the slide is closed.
        """
        key = (level, y, x)

        def read() -> NDArray[np.uint8]:
            if self._shrink(level) >= FAR:
                return self._read_far(level, y, x, height, width)
            return self._read_box(level, y, x, height, width)

        return self._cache.get(key, read, owner=self._owner)

    def run(self, tasks: Iterator[Callable[[], None]]) -> None:
        """Run tasks that read, several at a time, then tell of damage that they met.

        A far overview is drawn as far as it can be read in a few seconds.
        """
        self._until_s = time.monotonic() + PATIENCE_S
        had_given_up = bool(self._given_up)
        self._threads.run(tasks)
        self.damage.tell()
        if self._given_up and not had_given_up:
            height, width = self._slide.info.shape
            self._on_damage(
                f"Slide '{self._slide.name}' of {height:,} x {width:,} px has no coarse levels and "
                "is too large to be drawn whole: what is missing from this view is white. Convert "
                "it to a pyramidal TIFF, or zoom in."
            )

    def _read_box(self, level: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        try:
            return self._read_whole(level, y, x, height, width)
        except DamagedSlideError:
            self.damage.add((level, y, x))
            return self._read_around_damage(level, y, x, height, width)

    def _read_far(self, level: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        """Read a block piece by piece, and leave white what would take too long."""
        pixels = np.full((height, width, 3), 255, np.uint8)
        edge = int(FAR_READ_PX / self._shrink(level))
        for row, col in itertools.product(*(range(0, n, max(1, edge)) for n in (height, width))):
            if level in self._given_up or not edge or time.monotonic() > self._until_s:
                self._given_up.add(level)
                break
            piece = min(edge, height - row), min(edge, width - col)
            box = self._read_box(level, y + row, x + col, *piece)
            pixels[row : row + piece[0], col : col + piece[1]] = box
        return pixels

    def _shrink(self, level: int) -> float:
        """Return pixels of the stored level that are made one of a drawn level."""
        return self._levels[level].downsample / self._stored_below(level).downsample

    def _stored_below(self, level: int) -> DrawnLevel:
        return next(one for one in reversed(self._levels[: level + 1]) if one.stored is not None)

    def _read_whole(self, level: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        drawn = self._levels[level]
        top, left = y * drawn.downsample, x * drawn.downsample
        if drawn.stored is None:
            return self._slide.read_scaled(top, left, height, width, drawn.downsample)
        return self._slide.read_region(round(top), round(left), height, width, drawn.stored)

    def _read_around_damage(
        self, level: int, y: int, x: int, height: int, width: int
    ) -> NDArray[np.uint8]:
        """Read the halves of a damaged box, and theirs, down to single tiles of the file."""
        cell_h, cell_w = self._cell_shape(level)
        if height <= cell_h and width <= cell_w:
            return np.full((height, width, 3), 255, np.uint8)
        if height * cell_w >= width * cell_h:
            half = _half(height, cell_h)
            boxes = [(y, x, half, width), (y + half, x, height - half, width)]
        else:
            half = _half(width, cell_w)
            boxes = [(y, x, height, half), (y, x + half, height, width - half)]
        halves = []
        for box in boxes:
            try:
                halves.append(self._read_whole(level, *box))
            except DamagedSlideError:
                halves.append(self._read_around_damage(level, *box))
        return np.concatenate(halves, axis=0 if boxes[0][1] == boxes[1][1] else 1)

    def _cell_shape(self, level: int) -> tuple[int, int]:
        """Return the pixels of a level that one tile of the file gives."""
        shrink = self._shrink(level)
        height, width = (
            max(SMALLEST_CELL_PX, math.ceil(edge / shrink)) for edge in self._slide.info.tile_shape
        )
        return height, width


def _half(size: int, cell: int) -> int:
    """Return about half of a size, in whole cells, less than all of it."""
    return cell * max(1, math.ceil(size / cell) // 2)


_owners = itertools.count()
