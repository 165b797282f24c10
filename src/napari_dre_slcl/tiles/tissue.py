"""Where the tissue of an H&E slide is, and where pen marks are, at 8 µm per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import disk

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide

__all__ = ["TissueMask", "find_tissue", "known_mpp"]

MASK_MPP = 8.0
CHROMA_LIMITS = (8.0, 12.0)
MAX_HOLE_UM2 = 8_000.0
MIN_PIECE_UM2 = 10_000.0
MIN_INK_UM2 = 4_000.0
PEN_MARGIN_UM = 16.0
STRIP_ROWS = 512
# A scanner's padding is black; so is nothing on the glass, ink included.
MAX_BLACK = 20
BRIGHT = 100
MIN_BRIGHT_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class TissueMask:
    """Tissue and pen marks of a slide.

    Parameters
    ----------
    tissue, pen : ndarray of bool, shape (height, width)
        Disjoint; a pixel in neither is glass.
    downsample : float
        Level-0 pixels per mask pixel.
    """

    tissue: NDArray[np.bool_]
    pen: NDArray[np.bool_]
    downsample: float

    def shares(
        self, size_px: int, shape: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return which share of each cell of a grid is tissue, and which is pen.

        Parameters
        ----------
        size_px : int
            Edge of a cell in level-0 pixels; the grid starts at (0, 0).
        shape : (int, int)
            (rows, cols) of the grid.

        Returns
        -------
        tissue, pen : ndarray of float, shape (rows, cols)
            0 to 1, exact for cells that cut mask pixels.
        """
        edge = size_px / self.downsample
        return _cell_means(self.tissue, edge, shape), _cell_means(self.pen, edge, shape)


def known_mpp(slide: Slide) -> float:
    """Return the slide's µm per level-0 pixel, or raise SlideError that says how to give it."""
    if slide.info.mpp is None:
        source = slide.info.mpp_source
        reason = "" if source == "unknown" else f" ({source})"
        raise SlideError(
            f"Slide '{slide.name}' has no known pixel size{reason}. Give mpp= or --mpp, "
            "fill the cohort table's mpp column, or set it in the window's Slide tab."
        )
    return slide.info.mpp


def find_tissue(slide: Slide) -> TissueMask:
    """Find the tissue and the pen marks of a brightfield slide.

    Tissue is what is coloured against the slide's own glass, by Otsu's threshold within narrow
    bounds, so that grey glass, shadows and dust stay out and pale stains stay in.

    Parameters
    ----------
    slide : Slide
        With a known `info.mpp`.

    Returns
    -------
    TissueMask

    Raises
    ------
    SlideError
        If the pixel size is unknown, the slide is not brightfield, or the file is damaged.
    """
    mpp = known_mpp(slide)
    downsample = max(1.0, MASK_MPP / mpp)
    pixel_um2 = (downsample * mpp) ** 2
    overview = _overview(slide, downsample)
    if (overview @ np.full(3, 1 / 3, np.float32) > BRIGHT).mean() < MIN_BRIGHT_SHARE:
        raise SlideError(
            f"Slide '{slide.name}' is dark nearly everywhere, so it is no brightfield slide; "
            "give an H&E slide."
        )
    pen = _pen(overview, pixel_um2)
    tissue = _coloured(overview) & ~pen
    tissue = ndimage.binary_closing(np.pad(tissue, 2), disk(2))[2:-2, 2:-2]
    tissue = _without_small(tissue, MIN_PIECE_UM2 / pixel_um2)
    tissue = ~_without_small(~tissue, MAX_HOLE_UM2 / pixel_um2)
    return TissueMask(tissue & ~pen, pen, downsample)


def _overview(slide: Slide, downsample: float) -> NDArray[np.uint8]:
    """Read the whole slide at the mask's resolution, strip by strip."""
    height, width = (max(1, round(size / downsample)) for size in slide.info.shape)
    overview = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        rows = min(STRIP_ROWS, height - top)
        overview[top : top + rows] = slide.read_scaled(top * downsample, 0, rows, width, downsample)
    return overview


def _coloured(overview: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels with more chroma than the slide's own glass has."""
    channels = [
        ndimage.median_filter(
            np.minimum(channel * np.float32(255 / glass), 255).astype(np.uint8), 3, mode="nearest"
        )
        for channel, glass in zip(np.moveaxis(overview, 2, 0), _glass_colour(overview), strict=True)
    ]
    most = np.maximum.reduce(channels)
    chroma = most - np.minimum.reduce(channels)
    threshold = threshold_otsu(chroma) if chroma.min() < chroma.max() else CHROMA_LIMITS[1]
    coloured: NDArray[np.bool_] = (chroma >= np.clip(threshold, *CHROMA_LIMITS)) & (
        most > MAX_BLACK
    )
    return coloured


def _glass_colour(overview: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the RGB of empty glass: the median of the brightest pixels."""
    darkest_channel = np.minimum.reduce(np.moveaxis(overview, 2, 0))
    bright = overview[darkest_channel >= max(np.percentile(darkest_channel, 98) - 8, 1)]
    colour = np.median(bright, axis=0).astype(np.float64)
    # A slide that is tissue all over shows no glass: take white then.
    is_glass = colour.min() > 170 and colour.max() - colour.min() < 30
    return colour if is_glass else np.full(3, 245.0)


def _pen(overview: NDArray[np.uint8], pixel_um2: float) -> NDArray[np.bool_]:
    """Return pen marks: ink has hues that haematoxylin and eosin do not reach.

    Both stains let more red than green through; blue and green ink do not. Red ink lets
    neither green nor blue through, which blood of one section's thickness still does. Lumina
    may be bluish too, so a mark must have a strong core, from which it is followed outwards.
    """
    red, green, blue = np.moveaxis(overview, 2, 0).astype(np.int16)
    most = np.maximum.reduce([red, green, blue])
    chroma = most - np.minimum.reduce([red, green, blue])
    cold = (green - red > 5) & (chroma > 60) & (red < 110)
    warm = (red > 110) & (green < 50) & (blue < 70)
    black = (most < 60) & (chroma < 25) & (most > MAX_BLACK)
    ink = np.zeros(red.shape, bool)
    for core, faint, least_um2 in (
        (cold, (green - red > 0) & (chroma > 40), MIN_INK_UM2),
        (warm, (red > 110) & (green < 70) & (blue < 90), 8 * MIN_INK_UM2),
        (black, (most < 80) & (most > MAX_BLACK), 5 * MIN_INK_UM2),
    ):
        ink |= _with_core(faint, core, least_um2 / pixel_um2)
    reach = max(1, round(PEN_MARGIN_UM / pixel_um2**0.5))
    return ndimage.binary_dilation(ink, disk(reach)) if ink.any() else ink


def _with_core(
    faint: NDArray[np.bool_], core: NDArray[np.bool_], least_px: float
) -> NDArray[np.bool_]:
    """Return the connected regions of `faint` that hold enough pixels of `core`."""
    labels, n_labels = ndimage.label(faint | core, np.ones((3, 3)))
    is_kept = np.bincount(labels[core], minlength=n_labels + 1) >= least_px
    kept: NDArray[np.bool_] = is_kept[labels] & (labels > 0)
    return kept


def _without_small(mask: NDArray[np.bool_], least_px: float) -> NDArray[np.bool_]:
    labels, n_labels = ndimage.label(mask)
    is_kept = np.bincount(labels.ravel(), minlength=n_labels + 1) >= least_px
    is_kept[0] = False
    kept: NDArray[np.bool_] = is_kept[labels]
    return kept


def _cell_means(
    mask: NDArray[np.bool_], edge: float, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Average a mask over square cells of `edge` mask pixels: an integral image, interpolated."""
    sums = mask.astype(np.float64)
    for axis, n_cells in enumerate(shape):
        sums = np.moveaxis(sums, axis, 0)
        total = np.concatenate([np.zeros((1, *sums.shape[1:])), np.cumsum(sums, axis=0)])
        edges = np.minimum(np.arange(n_cells + 1) * edge, len(total) - 1)
        below = np.minimum(edges.astype(int), len(total) - 2)
        part = (edges - below)[:, None]
        sums = np.moveaxis(
            np.diff(total[below] * (1 - part) + total[below + 1] * part, axis=0), 0, axis
        )
    return sums / edge**2
