"""Where tissue lies double: dark, saturated bands with single tissue on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dre_slcl.tiles.regions import grown, with_core
from napari_dre_slcl.tiles.stain import least_of, most_of

__all__ = ["find_folds"]

# How far a score must lie from the tissue's median, in steps from there to its 90th percentile.
CORE_REACH, FAINT_REACH = 1.8, 1.3
RIM_UM = 24.0
MIN_CORE_UM2 = 16_000.0
MAX_WIDTH_UM = 400.0
MIN_ELONGATION = 3.0
FLANK_UM = 40.0
MIN_FLANK_SHARE = 0.7
MIN_DENSITY_RATIO = 1.5
MAX_HUE_RATIO = 1.5


def find_folds(
    balanced: NDArray[np.uint8], tissue: NDArray[np.bool_], pixel_um2: float
) -> NDArray[np.bool_]:
    """Find folds.

    Darkness is saturation less intensity, beside the slide's own tissue, from a dark core out to
    its fainter rim (Kothari et al., J Pathol Inform 4 (2013) 22). Nuclei are dark too, so a fold
    must be a band, have tissue on both sides, be denser than that by half or more, and have its
    hue: two layers of the same tissue double both stains, many nuclei only the blue one.

    Parameters
    ----------
    balanced : ndarray of uint8, shape (height, width, 3)
        At about 8 µm per pixel, glass made white.
    tissue : ndarray of bool, shape (height, width)
    pixel_um2 : float
        Area of a pixel in µm².

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    folds = np.zeros(tissue.shape, bool)
    if not tissue.any():
        return folds
    score = _score(balanced)
    median, high = np.percentile(score[tissue], [50, 90])
    core = tissue & (score > median + CORE_REACH * (high - median))
    faint = tissue & (score > median + FAINT_REACH * (high - median))
    dark = core.copy()
    for _ in range(max(1, round(RIM_UM / pixel_um2**0.5))):
        dark |= grown(dark) & faint
    labels, n_labels = ndimage.label(
        with_core(dark, core, MIN_CORE_UM2 / pixel_um2), np.ones((3, 3))
    )
    for label, box in enumerate(ndimage.find_objects(labels, n_labels), start=1):
        reach = max(1, round(FLANK_UM / pixel_um2**0.5))
        around = tuple(slice(max(0, s.start - 3 * reach), s.stop + 3 * reach) for s in box)
        region = labels[around] == label
        if _is_band(region, pixel_um2) and _is_doubled(
            region, tissue[around] & (labels[around] == 0), balanced[around], reach
        ):
            folds[around] |= region
    return folds


def _score(balanced: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return saturation less intensity, -1 for glass."""
    score: NDArray[np.float32] = least_of(balanced).astype(np.float32)
    score /= np.maximum(most_of(balanced), 1)
    for channel in np.moveaxis(balanced, 2, 0):
        score += channel / np.float32(3 * 255)
    return np.subtract(1, score, out=score)


def _is_band(region: NDArray[np.bool_], pixel_um2: float) -> bool:
    """Say whether a region is narrow, and several times as long as wide."""
    width_px = 2 * float(ndimage.distance_transform_edt(np.pad(region, 1)).max())
    length_px = region.sum() / width_px
    return bool(
        width_px * pixel_um2**0.5 <= MAX_WIDTH_UM and length_px >= MIN_ELONGATION * width_px
    )


def _is_doubled(
    region: NDArray[np.bool_],
    flat: NDArray[np.bool_],
    balanced: NDArray[np.uint8],
    reach: int,
) -> bool:
    """Say whether a region is denser than the flat tissue around it, of the same hue."""
    near = region
    for _ in range(reach):
        near = grown(near)
    rim = near & ~grown(region)
    flank = rim & flat
    if flank.sum() < MIN_FLANK_SHARE * rim.sum():
        return False
    (red, green), (flat_red, flat_green) = (
        -np.log(np.maximum(np.median(balanced[where][:, :2], axis=0), 1) / 255)
        for where in (region, flank)
    )
    hue, flat_hue = red / max(green, 0.01), max(flat_red, 0.01) / max(flat_green, 0.01)
    return bool(green >= MIN_DENSITY_RATIO * flat_green and hue <= MAX_HUE_RATIO * flat_hue)
