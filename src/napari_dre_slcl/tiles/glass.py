"""The colour of a slide's empty glass, and the slide as it would be if that were white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dre_slcl.tiles.stain import least_of

__all__ = ["balance"]


def balance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels with the slide's own glass made white, and specks of dust removed.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole slide at about 8 µm per pixel.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    balanced = np.empty_like(pixels)
    for channel, glass in enumerate(_glass_colour(pixels)):
        white = np.minimum(np.arange(256) * np.float32(255 / glass), 255).astype(np.uint8)
        ndimage.median_filter(
            white[pixels[..., channel]], 3, output=balanced[..., channel], mode="nearest"
        )
    return balanced


def _glass_colour(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the RGB of empty glass: the median of the brightest pixels."""
    darkest_channel = least_of(pixels)
    is_bright = darkest_channel >= max(np.percentile(darkest_channel, 98) - 8, 1)
    colour = np.array([np.median(channel[is_bright]) for channel in np.moveaxis(pixels, 2, 0)])
    # A slide that is tissue all over shows no glass: take white then.
    is_glass = colour.min() > 170 and colour.max() - colour.min() < 30
    return colour if is_glass else np.full(3, 245.0)
