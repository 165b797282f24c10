"""Refuses slides whose colours cannot be those of an H&E stain under white light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.tiles.stain import chroma_of, green_gap, most_of

__all__ = ["refuse_other_than_brightfield"]

BRIGHT = 100
MIN_BRIGHT_SHARE = 0.05
# Empty glass is flat and bright. Where much of a slide is that but coloured, the colours are false.
MAX_FLAT_RANGE = 10
MIN_GLASS = 170
MIN_FALSE_CHROMA = 30
MAX_STAIN_GAP = 0.25
MAX_FALSE_SHARE = 0.2


def refuse_other_than_brightfield(name: str, pixels: NDArray[np.uint8]) -> None:
    """Raise if a slide is dark all over, or its empty glass has a colour that glass cannot have.

    Parameters
    ----------
    name : str
        Of the slide, for the message.
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole slide at about 8 µm per pixel.

    Raises
    ------
    SlideError
        For fluorescence, and for colours that were stored under a false name, such as YCbCr as RGB.
    """
    red, green, blue = np.moveaxis(pixels, 2, 0)
    if (red.astype(np.uint16) + green + blue > 3 * BRIGHT).mean() < MIN_BRIGHT_SHARE:
        raise SlideError(
            f"Slide '{name}' is dark nearly everywhere, so it is no brightfield slide; "
            "give an H&E slide."
        )
    most, least = _extremes(pixels)
    is_false = _is_falsely_coloured(most, least)
    if is_false.mean() > MAX_FALSE_SHARE:
        colour = [int(value) for value in np.median(most[is_false], axis=0)]
        raise SlideError(
            f"Slide '{name}' has false colours: its empty glass is not white but red {colour[0]}, "
            f"green {colour[1]}, blue {colour[2]}, as when a file calls its pixels RGB that are "
            "YCbCr; convert the slide anew, or ask who made the file."
        )


def _is_falsely_coloured(most: NDArray[np.uint8], least: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which blocks are bright and flat, but coloured, and not in the hue of a stain.

    Parameters
    ----------
    most, least : ndarray of uint8, shape (height, width, 3)
        The largest and smallest value of each channel in each block.
    """
    chroma = chroma_of(most)
    is_flat = most_of(most - least) <= MAX_FLAT_RANGE
    is_stain = green_gap(most) >= MAX_STAIN_GAP * chroma
    is_false: NDArray[np.bool_] = (
        is_flat & (most_of(most) >= MIN_GLASS) & (chroma >= MIN_FALSE_CHROMA) & ~is_stain
    )
    return is_false


def _extremes(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the largest and the smallest value of each channel in blocks of 2 by 2 pixels."""
    height, width = (max(1, size // 2) for size in pixels.shape[:2])
    corners = [pixels[top::2, left::2][:height, :width] for top in (0, 1) for left in (0, 1)]
    corners = [corner for corner in corners if corner.shape == corners[0].shape]
    return np.maximum.reduce(corners), np.minimum.reduce(corners)
