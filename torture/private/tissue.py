"""Pixels that are taken for tissue, drawn anew for each slide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["GLASS", "tissue"]

GLASS = (243, 243, 242)


def tissue(side: int, number: int) -> NDArray[np.uint8]:
    """Return (side, side, 3) pixels: purple nuclei in pink stroma, with a rim of glass.

    Parameters
    ----------
    side : int
        Edge in pixels.
    number : int
        Of the slide; odd ones are darker, which is what a model can learn.
    """
    rng = np.random.default_rng(number)
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), 4)
    is_nucleus = (field > 1.2 * field.std())[..., None]
    pink, purple = np.array([222, 150, 190]), np.array([105, 60, 140])
    grain = rng.normal(0, 8, size=(side, side, 1))
    pixels = np.where(is_nucleus, purple, pink) * (0.75 if number % 2 else 1.0) + grain
    rim = side // 8
    pixels[:rim], pixels[:, :rim] = GLASS, GLASS
    return np.clip(pixels, 0, 255).astype(np.uint8)
