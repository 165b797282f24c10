"""How coloured pixels are, and whether the colour is that of haematoxylin or eosin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["chroma_of", "green_gap", "least_of", "most_of", "without_unstained"]

MAX_TINT_CHROMA = 40.0
MIN_STAIN_GAP = 0.15
MAX_LINE_CHROMA = 30.0
MAX_LINE_WIDTH_UM = 160.0
MIN_LINE_LENGTH_UM = 2_000.0


def most_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest colour channel, shape (height, width); faster than max(axis=2)."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    most: NDArray[np.uint8] = np.maximum(np.maximum(red, green), blue)
    return most


def least_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the smallest colour channel, shape (height, width)."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    least: NDArray[np.uint8] = np.minimum(np.minimum(red, green), blue)
    return least


def chroma_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest less the smallest colour channel, shape (height, width)."""
    return most_of(pixels) - least_of(pixels)


def green_gap(pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return how much less green there is than red and blue, whichever of these is less.

    Both stains absorb green most, so that the gap is positive in stained tissue, and zero or
    negative in grey, yellow, brown and bluish glass.
    """
    red, green, blue = np.moveaxis(pixels, 2, 0)
    gap: NDArray[np.int16] = np.minimum(red, blue).astype(np.int16) - green
    return gap


def without_unstained(
    tissue: NDArray[np.bool_],
    chroma: NDArray[np.uint8],
    gap: NDArray[np.int16],
    pixel_um2: float,
) -> NDArray[np.bool_]:
    """Return the mask without pale regions that are no tissue: shadows, and a coverslip's edge.

    Pale regions go if their hue is none of H&E, or if they are a line, at most 160 µm wide and at
    least 2 mm long. Whatever is strongly coloured stays.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
    chroma : ndarray of uint8, shape (height, width)
        As `chroma_of` returns it.
    gap : ndarray of int16, shape (height, width)
        As `green_gap` returns it.
    pixel_um2 : float
        Area of a pixel in µm².

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    labels, n_labels = ndimage.label(tissue)
    inside = labels[tissue]
    area = np.maximum(np.bincount(inside, minlength=n_labels + 1), 1)
    mean_chroma = np.bincount(inside, chroma[tissue], n_labels + 1) / area
    mean_gap = np.bincount(inside, gap[tissue], n_labels + 1) / area
    is_dropped = (mean_chroma < MAX_TINT_CHROMA) & (mean_gap < MIN_STAIN_GAP * mean_chroma)
    boxes = ndimage.find_objects(labels, n_labels)
    for label in np.flatnonzero((mean_chroma < MAX_LINE_CHROMA) & ~is_dropped):
        if label and _is_line(labels, int(label), boxes[label - 1], pixel_um2**0.5):
            is_dropped[label] = True
    is_dropped[0] = True
    kept: NDArray[np.bool_] = ~is_dropped[labels]
    return kept


def _is_line(
    labels: NDArray[np.int32], label: int, box: tuple[slice, ...], pixel_um: float
) -> bool:
    """Say whether a region is a long, narrow line, straight or round a corner."""
    region = np.pad(labels[box] == label, 1)
    half_outline_um = sum(region.shape) * pixel_um
    if half_outline_um < MIN_LINE_LENGTH_UM:
        return False
    # Even all four edges of a coverslip fill no more of their box than this.
    area_um2 = region.sum() * pixel_um**2
    if area_um2 > 2 * half_outline_um * MAX_LINE_WIDTH_UM:
        return False
    width_um = 2 * float(ndimage.distance_transform_edt(region).max()) * pixel_um
    return bool(width_um <= MAX_LINE_WIDTH_UM and area_um2 / width_um >= MIN_LINE_LENGTH_UM)
