"""Pieces of a slide in which single cells can be seen, found without knowing the pixel size. No Qt.

They are for the eye, to compare cells with a scale bar; `tiles` finds the tissue that counts.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide import Slide, open_slide

__all__ = ["PIECE_PX", "read_tissue_pieces"]

PIECE_PX = 512
"""Edge of a piece in level-0 pixels."""

_OVERVIEW_PX = 1024
_MAX_OVERVIEW_READ_PX = 40_000_000
_LOOK_PX = 256
_N_LOOKS = 48
_N_BLIND_LOOKS = 200
_COLOURED = 25  # most minus least of red, green and blue; glass stays below
_BLACK = 40


def read_tissue_pieces(path: str, n_pieces: int = 6) -> list[NDArray[np.uint8]]:
    """Read pieces at full resolution, the one with most detail of tissue first.

    Parameters
    ----------
    path : str
        Slide file or DICOM folder.
    n_pieces : int
        How many at most.

    Returns
    -------
    list of ndarray of uint8, shape (512, 512, 3)
        At least one.

    Raises
    ------
    SlideError
        If the slide cannot be read.
    """
    with open_slide(path) as slide:
        corners = _coloured_corners(slide)
        scores = [_score(slide, corner) for corner in corners]
        best = [corners[index] for index in np.argsort(scores)[::-1]]
        pieces = (_read(slide, corner, PIECE_PX) for corner in best)
        readable = (piece for piece in pieces if piece is not None)
        found = [piece for piece, _ in zip(readable, range(n_pieces), strict=False)]
    return found or [np.full((PIECE_PX, PIECE_PX, 3), 255, np.uint8)]


def _coloured_corners(slide: Slide) -> list[tuple[int, int]]:
    """Return where coloured pieces lie; anywhere, if an overview is too costly or damaged."""
    height, width = slide.info.shape
    lattice = [(y, x) for y in _starts(height) for x in _starts(width)]
    downsample = max(1.0, max(height, width) / _OVERVIEW_PX)
    read_factor = min(slide.info.level_downsamples[-1], downsample)
    overview = None
    shape = (max(1, round(height / downsample)), max(1, round(width / downsample)))
    if height * width / read_factor**2 <= _MAX_OVERVIEW_READ_PX:
        with suppress(DamagedSlideError):
            overview = slide.read_scaled(0, 0, *shape, downsample)
    if overview is None:
        order = np.random.default_rng(0).permutation(len(lattice))[:_N_BLIND_LOOKS]
        return [lattice[index] for index in order]
    coloured = _coloured(overview)
    edge = max(1, round(PIECE_PX / downsample))
    shares = ndimage.uniform_filter(coloured.astype(np.float32), edge, mode="constant")
    centres = np.maximum(0, (np.array(lattice) + PIECE_PX / 2) / downsample)
    rows, cols = np.minimum(centres.astype(int), np.array(shape) - 1).T
    order = np.argsort(-shares[rows, cols], kind="stable")[:_N_LOOKS]
    return [lattice[index] for index in order]


def _starts(size: int) -> list[int]:
    n_pieces = max(1, size // PIECE_PX)
    first = (size - n_pieces * PIECE_PX) // 2
    return [first + PIECE_PX * number for number in range(n_pieces)]


def _score(slide: Slide, corner: tuple[int, int]) -> float:
    """Return how much sharp tissue the middle of a piece shows, -1 where it is damaged."""
    margin = (PIECE_PX - _LOOK_PX) // 2
    pixels = _read(slide, (corner[0] + margin, corner[1] + margin), _LOOK_PX)
    if pixels is None:
        return -1.0
    green = ndimage.gaussian_filter(pixels[..., 1].astype(np.float32), 1)
    edges = np.hypot(ndimage.sobel(green, 0), ndimage.sobel(green, 1))
    return float(_coloured(pixels).mean() * edges.mean())


def _coloured(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    most, least = pixels.max(axis=2), pixels.min(axis=2)
    return (most - least > _COLOURED) & (most > _BLACK)


def _read(slide: Slide, corner: tuple[int, int], size_px: int) -> NDArray[np.uint8] | None:
    try:
        return slide.read_region(*corner, size_px, size_px)
    except DamagedSlideError:
        return None
