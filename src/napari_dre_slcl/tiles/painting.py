"""What was painted by hand over a tissue mask, kept apart from what was found in the pixels.

One picture holds both: values below `PAINTED` were found, a class painted by hand is `PAINTED`
plus the class. So the mask may be found anew under the painting, and every stroke can be undone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.tiles.mask import MaskClass, TissueMask

__all__ = [
    "PAINTED",
    "classes_of",
    "is_painted",
    "lay_over",
    "mark_strokes",
    "painting_of",
    "resized",
]

PAINTED = len(MaskClass)
_END = 2 * PAINTED

Values = NDArray[np.uint8]


def is_painted(values: Values) -> NDArray[np.bool_]:
    """Return which pixels were painted, shape as `values`."""
    return (values >= PAINTED) & (values < _END)


def classes_of(values: Values) -> Values:
    """Return the `MaskClass` of each pixel, painted or not."""
    return values % np.uint8(PAINTED)


def lay_over(values: Values, found: Values) -> Values:
    """Put another mask under a painting.

    Parameters
    ----------
    values : ndarray of uint8, shape (height, width)
        The painting; its pixels that are not painted do not matter.
    found : ndarray of uint8, shape (height, width)
        `MaskClass` of each pixel.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    return np.where(is_painted(values), values, found)


def mark_strokes(values: Values, found: Values) -> Values:
    """Mark as painted what differs from the mask under it: strokes with a class, or the eraser.

    Parameters
    ----------
    values : ndarray of uint8, shape (height, width)
        After a stroke with any label. Labels that mean nothing are taken back.
    found : ndarray of uint8, shape (height, width)
        The mask under it.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    is_plain = values < PAINTED
    marked = np.where(is_plain & (values != found), values + np.uint8(PAINTED), values)
    return np.where(marked < _END, marked, found)


def painting_of(mask: TissueMask, found: TissueMask) -> Values:
    """Return the painting that turns one mask of a slide into another.

    Parameters
    ----------
    mask : TissueMask
        What is wanted, such as a mask from a file; it may have another resolution.
    found : TissueMask
        What lies under the painting.

    Returns
    -------
    ndarray of uint8
        In the shape of `found`.
    """
    return mark_strokes(resized(mask.labels, found.labels.shape), found.labels)


def resized(values: Values, shape: tuple[int, ...]) -> Values:
    """Return a painting or mask at another resolution; each pixel takes the nearest value."""
    if values.shape == shape:
        return values
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))
