"""Reads a whole slide at a coarse resolution, whatever part of the file is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.mask import mask_shape

__all__ = ["read_factor", "read_whole"]

STRIP_ROWS = 512
LEAST_BLOCK_PX = 16
# A level's downsample is a ratio of rounded sizes.
TOLERANCE = 1.001


def read_whole(slide: Slide, downsample: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Read a whole slide strip by strip.

    Where a level is damaged, the next finer one is read; what no level holds is left white.

    Parameters
    ----------
    slide : Slide
    downsample : float
        Level-0 pixels per pixel of the result; at least 1.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width, 3)
    damaged : ndarray of bool, shape (height, width)
        Pixels that could not be read.

    Raises
    ------
    DamagedSlideError
        If not one pixel can be read.
    """
    height, width = mask_shape(slide.info.shape, downsample)
    pixels = np.full((height, width, 3), 255, np.uint8)
    damaged = np.zeros((height, width), bool)
    least_px = _least_block_px(slide, downsample)

    def read(top: int, left: int, rows: int, cols: int) -> None:
        box = slice(top, top + rows), slice(left, left + cols)
        try:
            pixels[box] = slide.read_scaled(
                top * downsample, left * downsample, rows, cols, downsample
            )
        except DamagedSlideError:
            if max(rows, cols) > least_px:
                for first, n_rows in _halves(top, rows, least_px):
                    for start, n_cols in _halves(left, cols, least_px):
                        read(first, start, n_rows, n_cols)
                return
            found = _read_finer(slide, (top, left), (rows, cols), downsample)
            damaged[box] = found is None
            if found is not None:
                pixels[box] = found

    for top in range(0, height, STRIP_ROWS):
        read(top, 0, min(STRIP_ROWS, height - top), width)
    if damaged.all():
        raise DamagedSlideError(
            f"Slide '{slide.name}' is damaged: none of its pixels can be read; "
            "copy the file anew from where it came from."
        )
    return pixels, damaged


def read_factor(slide: Slide, downsample: float) -> float:
    """Return the downsample of the level that `read_whole` reads where nothing is damaged."""
    return _levels(slide, downsample)[0]


def _levels(slide: Slide, downsample: float) -> list[float]:
    """Return the downsamples of the levels that are fine enough, the one to read first."""
    factors = (
        factor for factor in slide.info.level_downsamples if factor <= downsample * TOLERANCE
    )
    return sorted(factors, reverse=True) or [1.0]


def _least_block_px(slide: Slide, downsample: float) -> int:
    """Return half the edge of a file's tile: smaller blocks are damaged as a whole, or not."""
    tile_px = min(slide.info.tile_shape) * _levels(slide, downsample)[0] / downsample
    return max(LEAST_BLOCK_PX, min(int(tile_px / 2), STRIP_ROWS))


def _halves(start: int, length: int, least_px: int) -> Iterator[tuple[int, int]]:
    """Cut a range in two, or leave it where it is short."""
    half = length // 2 if length > least_px else length
    yield start, half
    if half < length:
        yield start + half, length - half


def _read_finer(
    slide: Slide, corner: tuple[int, int], shape: tuple[int, int], downsample: float
) -> NDArray[np.uint8] | None:
    """Read a block from the first finer level that is whole there, and shrink it."""
    y, x = (place * downsample for place in corner)
    for coarser, finer in pairwise(_levels(slide, downsample)):
        # The least enlargement for which `read_scaled` takes the finer level.
        times = int(downsample / coarser * TOLERANCE) + 1
        if downsample / times < finer / TOLERANCE:
            continue
        rows, cols = (size * times for size in shape)
        try:
            block = slide.read_scaled(y, x, rows, cols, downsample / times)
        except DamagedSlideError:
            continue
        return np.asarray(Image.fromarray(block).reduce(times))
    return None
