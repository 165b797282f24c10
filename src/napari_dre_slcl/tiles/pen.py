"""Where pen marks are: ink has hues that haematoxylin and eosin do not reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import disk

from napari_dre_slcl.tiles.regions import with_core, without_small
from napari_dre_slcl.tiles.stain import chroma_of, most_of

__all__ = ["find_pen"]

MIN_INK_UM2 = 4_000.0
MAX_HOLE_UM2 = 8_000.0
PEN_MARGIN_UM = 16.0
# A scanner's padding is black; so is nothing on the glass, ink included.
MAX_PADDING = 20


def find_pen(pixels: NDArray[np.uint8], pixel_um2: float) -> NDArray[np.bool_]:
    """Find pen marks.

    Both stains let more red than green through; blue and green ink do not. Red ink lets
    neither green nor blue through, which blood of one section's thickness still does. Lumina
    may be bluish too, so a mark must have a strong core, from which it is followed outwards.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        At about 8 µm per pixel.
    pixel_um2 : float
        Area of a pixel in µm².

    Returns
    -------
    ndarray of bool, shape (height, width)
        Marks with a margin of 16 µm.
    """
    red, green, blue = np.moveaxis(pixels, 2, 0)
    most, chroma = most_of(pixels), chroma_of(pixels)
    # Over tissue, blue ink lets through what the eosin leaves: hardly more green than red.
    coldness = green.astype(np.int16) - red
    is_blue = ((coldness > 5) & (red < 110)) | ((coldness > -5) & (red < 70))
    cold = (is_blue & (chroma > 60)) | ((coldness > 20) & (red < 80) & (chroma > 45))
    is_warm = red.astype(np.int16) - blue > 40
    warm = is_warm & (red > 80) & (green < 50) & (blue < 70)
    black = (most < 60) & (chroma < 25) & (most > MAX_PADDING)
    ink = np.zeros(most.shape, bool)
    for core, faint, least_um2 in (
        (cold, (coldness > 0) & (chroma > 40), MIN_INK_UM2),
        (warm, is_warm & (green < 70) & (blue < 90), 4 * MIN_INK_UM2),
        (black, (most < 80) & (most > MAX_PADDING), 5 * MIN_INK_UM2),
    ):
        ink |= with_core(faint, core, least_um2 / pixel_um2)
    if not ink.any():
        return ink
    # Black ink over dark tissue is as black as padding. Larger holes are what a pen drew round.
    ink = ~without_small(~ink, MAX_HOLE_UM2 / pixel_um2)
    reach = max(1, round(PEN_MARGIN_UM / pixel_um2**0.5))
    marks: NDArray[np.bool_] = ndimage.binary_dilation(ink, disk(reach))
    return marks
