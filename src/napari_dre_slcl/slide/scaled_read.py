"""A box of a slide at any downsample, from the least data that holds its detail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.slide.backend import SlideBackend

__all__ = ["read_scaled"]

_MAX_READ_PX = 4096
_LARGEST_SHRINK = 64
_LANCZOS_SUPPORT_PX = 3
# A level that is this little too coarse still counts as fine enough.
_SLACK = 1.001
# Resampling takes at least this many reduced pixels per pixel: with fewer, tissue edges differ by
# more than two grey levels from a resampling of the stored pixels.
_OVERSAMPLING = 1.6


def read_scaled(
    backend: SlideBackend,
    level_downsamples: Sequence[float],
    corner: tuple[float, float],
    downsample: float,
    out: NDArray[np.uint8],
) -> None:
    """Fill `out` with a box at any downsample.

    Whole factors on whole pixels are averaged, and so is what shrinks 64 times or more; anything
    else is resampled with Lanczos' filter.
    Memory stays bounded however many level-0 pixels the box covers.

    Parameters
    ----------
    backend : SlideBackend
    level_downsamples : sequence of float
        Level-0 pixels per pixel of each level.
    corner : (float, float)
        (y, x) of the top-left corner in level-0 pixels.
    downsample : float
        Level-0 pixels per pixel of `out`.
    out : ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    SlideError
        If the file is damaged, or the slide is closed.
    """
    height, width = out.shape[:2]
    level = _level_for(level_downsamples, downsample)
    factor = level_downsamples[level]
    edge = max(1, int(_MAX_READ_PX * factor / downsample))
    for top in range(0, height, edge):
        for left in range(0, width, edge):
            block = out[top : top + edge, left : left + edge]
            y, x = corner[0] + top * downsample, corner[1] + left * downsample
            _fill(backend, level, (y / factor, x / factor), downsample / factor, block)


def _level_for(level_downsamples: Sequence[float], downsample: float) -> int:
    fine = [
        level for level, factor in enumerate(level_downsamples) if factor <= downsample * _SLACK
    ]
    return fine[-1] if fine else 0


def _fill(
    backend: SlideBackend,
    level: int,
    corner: tuple[float, float],
    shrink: float,
    out: NDArray[np.uint8],
) -> None:
    """Fill `out` from one level; corner in level pixels, `shrink` of them per pixel of `out`."""
    is_whole = shrink <= _MAX_READ_PX and all(map(_is_whole, (shrink, *corner)))
    most = shrink * _SLACK / (1 if is_whole else _OVERSAMPLING)
    reduction = max(r for r in backend.reductions(level) if r == 1 or r <= most)
    if is_whole:
        # A reduced read starts on whole reduced pixels; halve it until this one does.
        while any(round(value) % reduction for value in corner) or round(shrink) % reduction:
            reduction //= 2
        _fill_whole(backend, level, corner, round(shrink), reduction, out)
    else:
        y, x = (value / reduction for value in corner)
        _fill_resampled(backend, level, (y, x), shrink / reduction, reduction, out)


def _fill_whole(
    backend: SlideBackend,
    level: int,
    corner: tuple[float, float],
    shrink: int,
    reduction: int,
    out: NDArray[np.uint8],
) -> None:
    y, x = (round(value) // reduction for value in corner)
    rest = shrink // reduction
    height, width = out.shape[:2]
    if rest == 1:
        backend.read(level, y, x, height, width, reduction, out)
    else:
        pixels = backend.read(level, y, x, height * rest, width * rest, reduction)
        out[:] = np.asarray(Image.fromarray(pixels).reduce(rest))


def _fill_resampled(
    backend: SlideBackend,
    level: int,
    corner: tuple[float, float],
    shrink: float,
    reduction: int,
    out: NDArray[np.uint8],
) -> None:
    # So many pixels become one that their means, taken part by part, do instead of all of them.
    mean = int(shrink // _LARGEST_SHRINK * 2) or 1
    (y, x), shrink = (value / mean for value in corner), shrink / mean
    height, width = (size * shrink for size in out.shape[:2])
    margin = math.ceil(_LANCZOS_SUPPORT_PX * max(shrink, 1)) + 1 if mean == 1 else 1
    top, left = math.floor(y) - margin, math.floor(x) - margin
    shape = math.ceil(y + height) + margin - top, math.ceil(x + width) + margin - left
    pixels = np.empty((*shape, 3), np.uint8)
    edge = max(1, _MAX_READ_PX // mean) if mean > 1 else max(shape)
    for row in range(0, shape[0], edge):
        for col in range(0, shape[1], edge):
            part = pixels[row : row + edge, col : col + edge]
            start = ((top + row) * mean * reduction, (left + col) * mean * reduction)
            _fill_whole(backend, level, start, mean * reduction, reduction, part)
    box = (x - left, y - top, x - left + width, y - top + height)
    filter_ = Image.Resampling.LANCZOS if mean == 1 else Image.Resampling.BOX
    image = Image.fromarray(pixels).resize((out.shape[1], out.shape[0]), filter_, box=box)
    out[:] = np.asarray(image)


def _is_whole(value: float) -> bool:
    """Say whether a value is meant to be whole, despite floating point."""
    return abs(value - round(value)) < 1e-6
