"""A PNG picture of a slide with a map over it, at any resolution, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.legend import LEAST_WIDTH_PX, legend_strip
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.map_colors import codeword_raster, map_raster
from napari_dre_slcl.export.png_stream import PngWriter
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.layers import TileMap
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide

__all__ = ["blended", "picture_bands", "write_picture"]

_BAND_PIXELS = 2_000_000
_MOST_PIXELS = 600_000_000


@dataclass(frozen=True, slots=True)
class _Size:
    height: int
    width: int
    downsample: float


def write_picture(
    slide: Slide,
    result: SlideResult,
    look: CodewordLook,
    tile_map: TileMap | None,
    mpp: float,
    path: Path,
    on_step: OnStep = no_step,
) -> Path:
    """Write slide and map with scale bar and legend, whole or not at all.

    Parameters
    ----------
    slide : Slide
        Of the result.
    result : SlideResult
        With a pixel size.
    look : CodewordLook
        Names and colours of the codewords.
    tile_map : TileMap or None
        What is laid over the slide; None for the codewords.
    mpp : float
        µm per pixel of the picture; not finer than the slide's own.
    path : Path
        Target.
    on_step : callable, optional
        Called with (rows done, rows in all); may raise to break off.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ExportError
        If the pixel size is unknown or the picture would be too large.
    SlideError
        If the slide cannot be read.
    OSError
        If the file cannot be written.
    """
    size = _size(result, mpp)
    own_mpp = mpp if result.mpp is None else size.downsample * result.mpp
    colors = codeword_raster(result, look) if tile_map is None else map_raster(result, tile_map)
    width = max(size.width, LEAST_WIDTH_PX)
    strip = legend_strip(result, look, tile_map, own_mpp, width)
    with atomic_writer(path) as stream:
        png = PngWriter(stream, size.height + len(strip), width, own_mpp)
        for top, band in picture_bands(slide, size.height, size.width, size.downsample):
            on_step(top, size.height)
            drawn = blended(band, colors, top, size.downsample / result.tile_size_px)
            png.write(np.pad(drawn, ((0, 0), (0, width - size.width), (0, 0)), constant_values=255))
        png.write(strip)
        png.close()
    return path


def picture_bands(
    slide: Slide, height: int, width: int, downsample: float
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield a whole slide as (first row, (n, width, 3) uint8 pixels), from the top."""
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        rows = min(step, height - top)
        yield top, slide.read_scaled(top * downsample, 0, rows, width, downsample)


def blended(
    pixels: NDArray[np.uint8], colors: NDArray[np.float32], top: int, cells_per_px: float
) -> NDArray[np.uint8]:
    """Lay a raster of tiles over pixels of the slide.

    Parameters
    ----------
    pixels : ndarray
        (n, width, 3) uint8, rows ``top`` to ``top + n`` of the picture.
    colors : ndarray
        (rows, columns, 4) RGBA in 0-1 of the tile grid, which starts at the picture's corner.
    top : int
        First row.
    cells_per_px : float
        Tiles per pixel of the picture.

    Returns
    -------
    ndarray
        Shape and type of ``pixels``.
    """
    height, width = pixels.shape[:2]
    rows = ((np.arange(top, top + height) + 0.5) * cells_per_px).astype(np.intp)
    cols = ((np.arange(width) + 0.5) * cells_per_px).astype(np.intp)
    # A grid may end before the slide does: clear from there on.
    padded = np.pad(colors, ((0, 1), (0, 1), (0, 0)))
    rows, cols = rows.clip(max=colors.shape[0]), cols.clip(max=colors.shape[1])
    over = padded[rows][:, cols]
    alpha = over[..., 3:]
    mixed = pixels * (1 - alpha) + over[..., :3] * (255 * alpha)
    return (mixed + 0.5).astype(np.uint8)


def _size(result: SlideResult, mpp: float) -> _Size:
    if result.mpp is None:
        raise ExportError(
            f"Slide '{result.slide_id}' has no pixel size, so a picture of it has no scale. Give "
            "the slide a pixel size and predict it again."
        )
    downsample = max(1.0, mpp / result.mpp)
    height, width = (math.ceil(round(size / downsample, 6)) for size in result.slide_shape)
    if height * width > _MOST_PIXELS:
        least = mpp * math.sqrt(height * width / _MOST_PIXELS)
        raise ExportError(
            f"A picture at {mpp:g} µm per pixel would have {width:,} x {height:,} pixels, more "
            f"than most programs open. Choose {least:.2g} µm or more."
        )
    return _Size(height, width, downsample)
