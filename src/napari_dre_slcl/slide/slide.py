"""Slide: one open whole-slide image, read by level or by tile at any downsample."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.backend import SlideBackend, open_backend
from napari_dre_slcl.slide.info import Finding, SlideInfo, level_downsample
from napari_dre_slcl.slide.mpp_table import recall_mpp
from napari_dre_slcl.slide.pixel_size import GivenMpp, check_mpp, judge_pixel_size
from napari_dre_slcl.slide.remote import is_remote, located, remote_name, shown
from napari_dre_slcl.slide.scaled_read import read_scaled
from napari_dre_slcl.slide.slide_pool import RestingBackend, SlidePool

__all__ = ["Slide", "open_slide"]

MAX_THREADS = 8
DOWNSAMPLES = (1 / 64, 65_536)


def open_slide(
    path: str | Path,
    mpp: float | None = None,
    *,
    mpp_source: str = "user",
    pool: SlidePool | None = None,
) -> Slide:
    """Open a slide.

    Parameters
    ----------
    path : str or Path
        A slide file, or the folder of a DICOM slide; a URL of either, see `slide.remote`.
    mpp : float, optional
        µm per level-0 pixel, 0.1 to 10; wins over a stored answer, which wins over the file.
    mpp_source : str, default "user"
        Who gave `mpp`.
    pool : SlidePool, optional
        Closes the file while other slides of the pool are read, and opens it again.

    Returns
    -------
    Slide
        A context manager; close it when done.

    Raises
    ------
    SlideError
        If there is no such file, it is no slide, or `mpp` is not plausible.

    Examples
    --------
    >>> from napari_dre_slcl import open_slide
    >>> with open_slide("slide.tif", mpp=0.5) as slide:
    ...     print(slide.info.shape, slide.info.mpp, slide.info.mpp_source)
    ...     corner = slide.read_region(256, 256, 64, 128)
    (1024, 1536) 0.5 user
    >>> corner.shape, corner.dtype
    ((64, 128, 3), dtype('uint8'))
    """
    return Slide(located(path), mpp, mpp_source, pool)


class Slide:
    """An open slide. Many threads may read at once; a copy sent to another process reopens.

    Parameters
    ----------
    path : Path
    mpp : float, optional
    mpp_source : str
    pool : SlidePool, optional
        As in `open_slide`, which is the way to make one.

    Attributes
    ----------
    info : SlideInfo
    """

    def __init__(
        self,
        path: Path,
        mpp: float | None = None,
        mpp_source: str = "user",
        pool: SlidePool | None = None,
    ) -> None:
        self._path = path
        table_findings: tuple[Finding, ...] = ()
        if mpp is None and not is_remote(path):
            answer = recall_mpp(path)
            mpp, mpp_source, table_findings = answer.mpp, "stored answer", answer.findings
        self._given = None if mpp is None else GivenMpp(check_mpp(path.name, mpp), mpp_source)
        self._backend: SlideBackend
        self._backend = open_backend(path) if pool is None else RestingBackend(path, pool)
        self.info = _describe(path, self._backend, self._given, table_findings)

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Slide], tuple[object, ...]]:
        given = () if self._given is None else (self._given.mpp, self._given.source)
        return Slide, (self._path, *given)

    def __repr__(self) -> str:
        height, width = self.info.shape
        return f"Slide('{self.name}', {height}x{width} px, mpp={self.info.mpp})"

    @property
    def name(self) -> str:
        """File name, for messages."""
        return remote_name(self._path) if is_remote(self._path) else self._path.name

    def close(self) -> None:
        """Close the file; later reads raise SlideError."""
        self._backend.close()

    def read_region(
        self, y: int, x: int, height: int, width: int, level: int = 0
    ) -> NDArray[np.uint8]:
        """Read a box of one level as it is stored.

        Parameters
        ----------
        y, x : int
            Top-left corner in level-0 pixels; at a coarser level the nearest level pixel is taken.
        height, width : int
            In pixels of the level.
        level : int, default 0

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            White outside the slide.

        Raises
        ------
        SlideError
            If there is no such level, the file is damaged, or the slide is closed.
        """
        n_levels = len(self.info.level_shapes)
        if not 0 <= level < n_levels:
            raise SlideError(
                f"Slide '{self.name}' has no level {level}; give one of 0 to {n_levels - 1}."
            )
        _check_size(self.name, height, width)
        factor = self.info.level_downsamples[level]
        return self._backend.read(level, round(y / factor), round(x / factor), height, width)

    def read_scaled(
        self, y: float, x: float, height: int, width: int, downsample: float
    ) -> NDArray[np.uint8]:
        """Read a box at any downsample, from the coarsest level that is fine enough.

        Memory stays bounded however many level-0 pixels the box covers.

        Parameters
        ----------
        y, x : float
            Top-left corner in level-0 pixels.
        height, width : int
            Of the output in pixels, each `downsample` level-0 pixels wide.
        downsample : float
            1/64 to 65,536.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)

        Raises
        ------
        SlideError
            If a size is not positive, the file is damaged, or the slide is closed.
        """
        _check_size(self.name, height, width)
        self._check_downsample(downsample)
        if not (math.isfinite(y) and math.isfinite(x)):
            raise SlideError(f"Slide '{self.name}': there is no corner at y={y}, x={x}.")
        out = np.empty((height, width, 3), np.uint8)
        read_scaled(self._backend, self.info.level_downsamples, (y, x), downsample, out)
        return out

    def read_tiles(
        self,
        yx: ArrayLike,
        size_px: int = 256,
        downsample: float = 1.0,
        n_threads: int | None = None,
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Read square tiles.

        Parameters
        ----------
        yx : array-like of int, shape (n, 2)
            Top-left corners in level-0 pixels.
        size_px : int, default 256
            Edge of a tile in the output.
        downsample : float, default 1
            Level-0 pixels per output pixel; 1 gives the stored pixels unchanged.
        n_threads : int, optional
            Default: one per processor, 8 at most.
        out : ndarray of uint8, shape (n, size_px, size_px, 3), optional
            Filled and returned when given.

        Returns
        -------
        ndarray of uint8, shape (n, size_px, size_px, 3)

        Raises
        ------
        SlideError
            If `yx` or `out` has another shape, a number makes no sense, the file is damaged, or the
            slide is closed.
        """
        corners = self._checked_corners(yx)
        _check_size(self.name, size_px, size_px)
        if n_threads is not None and n_threads < 1:
            raise SlideError(
                f"Slide '{self.name}': {n_threads} threads cannot read; give 1 or more."
            )
        self._check_downsample(downsample)
        tiles = self._checked_out(out, (len(corners), size_px, size_px, 3))
        order = self._disk_order(corners)
        n_threads = min(n_threads or _n_processors(), max(1, len(order)))
        backend, level_downsamples = self._backend, self.info.level_downsamples

        def read(rows: NDArray[np.intp]) -> None:
            for row in rows:
                y, x = corners[row].tolist()
                read_scaled(backend, level_downsamples, (y, x), downsample, tiles[row])

        if n_threads == 1:
            read(order)
        else:
            with ThreadPoolExecutor(n_threads, thread_name_prefix="read-tiles") as pool:
                list(pool.map(read, np.array_split(order, n_threads)))
        return tiles

    def _checked_corners(self, yx: ArrayLike) -> NDArray[np.int64]:
        corners = np.asarray(yx)
        if corners.size == 0:
            return np.empty((0, 2), np.int64)
        if corners.ndim != 2 or corners.shape[1] != 2 or corners.dtype.kind not in "iu":
            raise SlideError(
                f"Slide '{self.name}': tile corners have shape {corners.shape} and type "
                f"{corners.dtype}; give whole numbers of shape (n, 2) as (y, x)."
            )
        return corners.astype(np.int64)

    def _checked_out(
        self, out: NDArray[np.uint8] | None, shape: tuple[int, ...]
    ) -> NDArray[np.uint8]:
        if out is None:
            return np.empty(shape, np.uint8)
        if out.shape != shape or out.dtype != np.uint8:
            raise SlideError(
                f"Slide '{self.name}': out has shape {out.shape} and type {out.dtype}; "
                f"give uint8 of shape {shape}."
            )
        return out

    def _disk_order(self, corners: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the order in which tiles share most of what was decoded: along the file's rows."""
        return np.lexsort((corners[:, 1], corners[:, 0] // self.info.tile_shape[0]))

    def _check_downsample(self, downsample: float) -> None:
        least, most = DOWNSAMPLES
        if not least <= downsample <= most:
            raise SlideError(
                f"Slide '{self.name}': downsample {downsample} makes no sense; give one from "
                f"{least:g} to {most:g}."
            )


def _describe(
    path: Path,
    backend: SlideBackend,
    given: GivenMpp | None,
    table_findings: tuple[Finding, ...],
) -> SlideInfo:
    properties = backend.properties
    size = judge_pixel_size(path.name, properties, given, table_findings)
    shapes = backend.level_shapes
    return SlideInfo(
        path=shown(path) if is_remote(path) else str(path),
        vendor=properties.get("openslide.vendor", "unknown"),
        backend=backend.name,
        backend_reason=backend.reason,
        level_shapes=shapes,
        level_downsamples=tuple(level_downsample(shapes[0], shape) for shape in shapes),
        mpp=size.mpp,
        mpp_source=size.source,
        objective_power=_positive(properties.get("openslide.objective-power")),
        tile_shape=backend.tile_shape,
        associated_images=backend.associated_images,
        findings=(*size.findings, *backend.findings),
    )


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _check_size(name: str, height: int, width: int) -> None:
    is_whole = isinstance(height, int | np.integer) and isinstance(width, int | np.integer)
    if not is_whole or height < 1 or width < 1:
        raise SlideError(
            f"Slide '{name}': a box of {height}x{width} px cannot be read; give whole numbers of "
            "1 or more."
        )


def _n_processors() -> int:
    return min(os.cpu_count() or 1, MAX_THREADS)
