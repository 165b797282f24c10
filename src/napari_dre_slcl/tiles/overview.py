"""Overview: a whole slide at 8 µm per pixel, and a tissue mask of it at any threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.brightfield import refuse_other_than_brightfield
from napari_dre_slcl.tiles.fold import find_folds
from napari_dre_slcl.tiles.glass import balance
from napari_dre_slcl.tiles.known_mpp import known_mpp
from napari_dre_slcl.tiles.mask import MaskClass, TissueMask, mask_shape
from napari_dre_slcl.tiles.pen import find_pen
from napari_dre_slcl.tiles.regions import closed, without_small
from napari_dre_slcl.tiles.stain import chroma_of, green_gap, most_of, without_unstained
from napari_dre_slcl.tiles.whole_slide import read_factor, read_whole

__all__ = ["MASK_MPP", "Overview", "pixels_searched", "read_overview"]

MASK_MPP = 8.0
CHROMA_LIMITS = (8.0, 12.0)
MAX_HOLE_UM2 = 8_000.0
MIN_PIECE_UM2 = 10_000.0
# 65 x 65 mm. The largest slides are 50 x 75 mm.
MAX_OVERVIEW_PX = 2**26
MAX_EDGE_MM = 300.0
# A scanner's padding is black; so is nothing on the glass, ink included.
MAX_BLACK = 20


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A slide's pixels at the mask's resolution, and what the mask needs of them at any threshold.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        White where the file is damaged.
    chroma : ndarray of uint8, shape (height, width)
        Largest less smallest colour channel, after the glass was made white.
    gap : ndarray of int16, shape (height, width)
        How much less green there is than red and blue.
    pen : ndarray of bool, shape (height, width)
        Pen marks.
    fold : ndarray of bool, shape (height, width)
        Doubled tissue.
    damaged : ndarray of bool, shape (height, width)
        Pixels that could not be decoded.
    downsample : float
        Level-0 pixels per overview pixel.
    pixel_um2 : float
        Area of an overview pixel in µm².
    slide_shape : (int, int)
        (height, width) of the slide's level 0.
    auto_threshold : float
        Chroma from which on a pixel is tissue, if nobody says otherwise.
    """

    pixels: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    gap: NDArray[np.int16]
    pen: NDArray[np.bool_]
    fold: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    downsample: float
    pixel_um2: float
    slide_shape: tuple[int, int]
    auto_threshold: float

    def mask(self, threshold: float | None = None) -> TissueMask:
        """Return the tissue mask at a threshold; fast enough to follow a slider.

        Parameters
        ----------
        threshold : float, optional
            Chroma (0 to 255) from which on a pixel is tissue; `auto_threshold` by default.

        Returns
        -------
        TissueMask
        """
        limit = self.auto_threshold if threshold is None else threshold
        tissue = closed((self.chroma >= limit) & ~self.pen)
        tissue = without_small(tissue, MIN_PIECE_UM2 / self.pixel_um2)
        tissue = without_unstained(tissue, self.chroma, self.gap, self.pixel_um2)
        tissue = ~without_small(~tissue, MAX_HOLE_UM2 / self.pixel_um2)
        labels = tissue.astype(np.uint8) * np.uint8(MaskClass.TISSUE)
        labels[tissue & self.fold] = MaskClass.FOLD
        labels[self.pen] = MaskClass.PEN
        return TissueMask(labels, self.downsample, self.slide_shape)


def read_overview(slide: Slide) -> Overview:
    """Read a brightfield slide at 8 µm per pixel, from the coarsest level that is fine enough.

    The result depends on nothing but the file: not on free memory, nor on threads.

    Parameters
    ----------
    slide : Slide
        With a known `info.mpp`.

    Returns
    -------
    Overview

    Raises
    ------
    SlideError
        If the pixel size is unknown, makes the slide larger than any, or the slide is not
        brightfield.
    """
    mpp = known_mpp(slide)
    downsample = max(1.0, MASK_MPP / mpp)
    pixel_um2 = (downsample * mpp) ** 2
    _refuse_absurd_size(slide, mpp, downsample)
    pixels, damaged = read_whole(slide, downsample)
    refuse_other_than_brightfield(slide.name, pixels)
    balanced = balance(pixels)
    chroma = _chroma(balanced)
    overview = Overview(
        pixels=pixels,
        chroma=chroma,
        gap=green_gap(balanced),
        pen=find_pen(pixels, pixel_um2),
        fold=np.zeros(chroma.shape, bool),
        damaged=damaged,
        downsample=downsample,
        pixel_um2=pixel_um2,
        slide_shape=slide.info.shape,
        auto_threshold=_auto_threshold(chroma),
    )
    return replace(overview, fold=find_folds(balanced, overview.mask().tissue, pixel_um2))


def pixels_searched(slide: Slide) -> int:
    """Return how many pixels of the file a search for tissue reads.

    Parameters
    ----------
    slide : Slide
        Open.

    Raises
    ------
    SlideError
        If the pixel size is unknown, or makes the slide larger than any.
    """
    mpp = known_mpp(slide)
    downsample = max(1.0, MASK_MPP / mpp)
    _refuse_absurd_size(slide, mpp, downsample)
    factor = read_factor(slide, downsample)
    return round(math.prod(slide.info.shape) / factor**2)


def _refuse_absurd_size(slide: Slide, mpp: float, downsample: float) -> None:
    """Refuse to make room for what no glass holds: a header or a pixel size that is wrong."""
    height, width = (size * mpp / 1000 for size in slide.info.shape)
    n_px = math.prod(mask_shape(slide.info.shape, downsample))
    if n_px > MAX_OVERVIEW_PX or max(height, width) > MAX_EDGE_MM:
        raise SlideError(
            f"Slide '{slide.name}' would be {height:,.0f} x {width:,.0f} mm at {mpp:g} µm per "
            "pixel, larger than any glass; correct its pixel size, or copy the file again."
        )


def _chroma(balanced: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return how coloured each pixel is; black padding is not."""
    chroma = chroma_of(balanced)
    chroma[most_of(balanced) <= MAX_BLACK] = 0
    return chroma


def _auto_threshold(chroma: NDArray[np.uint8]) -> float:
    """Return Otsu's threshold within narrow bounds, so that pale stains count and glass does not.

    Source: N. Otsu, IEEE Trans. SMC 9 (1979) 62.
    """
    threshold = threshold_otsu(chroma) if chroma.min() < chroma.max() else CHROMA_LIMITS[1]
    return float(np.clip(threshold, *CHROMA_LIMITS))
