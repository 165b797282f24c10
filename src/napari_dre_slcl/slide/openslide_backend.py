"""Every format that OpenSlide reads. The only place that knows OpenSlide's (x, y) order."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.forked import restart_after_fork
from napari_dre_slcl.slide.file_to_open import file_to_open
from napari_dre_slcl.slide.info import Finding
from napari_dre_slcl.slide.openslide_handle import (
    OpenSlideHandle,
    UnknownFormatError,
    first_line,
)

__all__ = ["OpenSlideBackend", "UnknownFormatError", "over_white"]

# OpenSlide makes room for a whole tile, and ends the process where there is none.
MAX_TILE_PX = 2**27


class OpenSlideBackend:
    """An open file, read by many threads at once, reopened by itself after a fork.

    Parameters
    ----------
    path : Path
        A slide file, or a folder that holds the files of one DICOM slide.

    Raises
    ------
    SlideError
        If there is no such file or it is no slide; `UnknownFormatError` where another reader may
        know it.
    """

    name = "openslide"
    reason = ""
    findings: tuple[Finding, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = file_to_open(path)
        self._handle: OpenSlideHandle | None = OpenSlideHandle(self._file, path)
        self._readers = 0
        self._n_lent = 0
        self._is_closed = False
        self._inherited: list[OpenSlideHandle] = []
        restart_after_fork(self)
        handle = self._handle.slide
        self.properties: Mapping[str, str] = MappingProxyType(_properties(handle))
        self.level_shapes = tuple((int(h), int(w)) for w, h in handle.level_dimensions)
        self.associated_images = tuple(sorted(handle.associated_images))
        self._downsamples = tuple(float(value) for value in handle.level_downsamples)
        self._numbers = tuple(range(len(self.level_shapes)))
        self.tile_shape = _tile_shape(self.properties, 0, self.level_shapes[0])
        self._check_tiles()

    def _check_tiles(self) -> None:
        for level in range(len(self.level_shapes)):
            height, width = _tile_shape(self.properties, level, (0, 0))
            if height * width > MAX_TILE_PX:
                self.close()
                raise SlideError(
                    f"Slide '{self._path.name}' claims to store tiles of {height}x{width} px, "
                    "too large for memory; copy the file again from its source."
                )

    def keep_levels(self, shapes: Collection[tuple[int, int]]) -> None:
        """Forget the levels of other shapes: pages that are no levels, such as a label.

        Parameters
        ----------
        shapes : collection of (int, int)
            (height, width) of the levels that stay, level 0 among them.
        """
        kept = [
            entry
            for entry in zip(self.level_shapes, self._downsamples, self._numbers, strict=True)
            if entry[0] in shapes
        ]
        self.level_shapes, self._downsamples, self._numbers = zip(*kept, strict=True)

    def reductions(self, level: int) -> tuple[int, ...]:
        """Return the factors at which a level can be read: only as it is."""
        return (1,)

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
            In pixels of the level; the box may reach outside the slide.
        reduction : int, default 1
            Nothing else.
        out : ndarray of uint8, shape (height, width, 3), optional
            Filled and returned when given.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            White outside the slide and under transparency.

        Raises
        ------
        DamagedSlideError
            If the file is damaged there.
        SlideError
            If the slide is closed.
        """
        factor, level = self._downsamples[level], self._numbers[level]
        # OpenSlide takes level-0 positions; the rounded one is within half a level-0 pixel.
        location = (round(x * factor), round(y * factor))
        with self._borrow() as handle:
            try:
                image = handle.read_region(location, level, (width, height))
            except openslide.OpenSlideError as error:
                if self._drop(handle):
                    raise self._damaged(location, error) from error
                image = self._read_alone(location, level, (width, height))
        pixels = over_white(image)
        if out is None:
            return pixels
        out[:] = pixels
        return out

    def close(self) -> None:
        """Close the file, after the reads that are under way."""
        with self._lock:
            self._is_closed = True
            self._close_if_idle()

    @contextmanager
    def _borrow(self) -> Iterator[OpenSlideHandle]:
        with self._lock:
            handle = self._usable_handle()
            self._n_lent += 1
            self._readers += 1
        try:
            yield handle
        finally:
            with self._lock:
                self._readers -= 1
                self._close_if_idle()

    def _usable_handle(self) -> OpenSlideHandle:
        if self._is_closed:
            raise SlideError(f"Slide '{self._path.name}' is closed; open it again to read it.")
        if self._handle is None:
            self._handle = OpenSlideHandle(self._file, self._path)
            self._n_lent = 0
        return self._handle

    def _drop(self, handle: OpenSlideHandle) -> bool:
        """Forget a handle that failed: OpenSlide refuses every later read of it.

        Returns whether nobody else had it, so that it failed over what was read now.
        """
        with self._lock:
            if self._handle is not handle:
                return False
            self._handle = None
            return self._n_lent == 1

    def _read_alone(
        self, location: tuple[int, int], level: int, size: tuple[int, int]
    ) -> Image.Image:
        """Read again through a handle of our own: another thread's read may have failed."""
        try:
            with closing(OpenSlideHandle(self._file, self._path)) as handle:
                return handle.read_region(location, level, size)
        except openslide.OpenSlideError as error:
            raise self._damaged(location, error) from error

    def _damaged(self, location: tuple[int, int], error: Exception) -> DamagedSlideError:
        return DamagedSlideError(
            f"Slide '{self._path.name}' is damaged near y={location[1]}, x={location[0]} "
            f"({first_line(error)}); copy the file again from its source."
        )

    def restart_in_child(self) -> None:
        """Forget the parent's handle after a fork; the next read opens the file again.

        The handle is kept unclosed, since a thread of the parent may have held its locks.
        """
        self._lock = threading.Lock()
        self._readers = 0
        if self._handle is not None:
            self._inherited.append(self._handle)
        self._handle = None

    def _close_if_idle(self) -> None:
        if not self._is_closed or self._readers:
            return
        if self._handle is not None:
            self._handle.close()
        self._handle = None


def _properties(handle: openslide.OpenSlide) -> dict[str, str]:
    """Return the properties that can be had; a name of a broken file may not be found again."""
    found: dict[str, str] = {}
    for name in handle.properties:
        with suppress(KeyError):
            found[name] = handle.properties[name]
    return found


def over_white(image: Image.Image) -> NDArray[np.uint8]:
    """Return the colours of an RGBA image of OpenSlide, white under transparency."""
    least, most = image.getchannel("A").getextrema()
    if least == 255:
        return np.array(image.convert("RGB"))
    if most == 0:  # no data there, as in most of what a scanner left out
        return np.full((image.height, image.width, 3), 255, np.uint8)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def _tile_shape(
    properties: Mapping[str, str], level: int, shape: tuple[int, int]
) -> tuple[int, int]:
    """Return the size of the file's tiles in a level, `shape` where OpenSlide does not say."""
    height, width = (
        int(properties.get(f"openslide.level[{level}].tile-{axis}", size))
        for axis, size in zip(("height", "width"), shape, strict=True)
    )
    return height, width
