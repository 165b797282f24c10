"""Smooth random fields and scattered points, the raw stuff of generated tissue.

Knows numpy and geometry, nothing of tissue.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

__all__ = [
    "Field",
    "Points",
    "fibre_texture",
    "jittered_points",
    "prune",
    "resize",
    "signed_distance",
    "smooth_noise",
    "smoothstep",
    "speckle",
]

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.floating[Any]]

_TEXTURE_SEED = 20240607
_TEXTURE_PX = 1024


def resize(field: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Return ``field`` (h, w), float32 or uint8, scaled bilinearly to ``shape``."""
    image = Image.fromarray(np.ascontiguousarray(field))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def smooth_noise(rng: np.random.Generator, side: int, wavelength: float) -> Field:
    """Return a (side, side) field of zero mean and unit deviation with bumps of ``wavelength``."""
    coarse = max(5, int(np.ceil(2 * side / wavelength)) + 3)
    grid = rng.standard_normal((coarse, coarse)).astype(np.float32)
    # A window of the coarse grid, so that the border is as lively as the middle.
    extent = max(2.0, 2 * side / wavelength)
    y, x = rng.uniform(0, coarse - extent, 2)
    image = Image.fromarray(grid).resize(
        (side, side), Image.Resampling.BICUBIC, box=(x, y, x + extent, y + extent)
    )
    field = np.array(image)
    result: Field = (field - field.mean()) / (field.std() + 1e-6)
    return result


def smoothstep(field: npt.NDArray[Any], low: float, high: float) -> Field:
    """Return 0 below ``low``, 1 above ``high`` and a cubic in between."""
    t = np.clip((field - low) * np.float32(1 / (high - low)), 0, 1)
    result: Field = (t * t * (3 - 2 * t)).astype(np.float32, copy=False)
    return result


def signed_distance(mask: npt.NDArray[np.bool_]) -> Field:
    """Return the distance to the border of ``mask`` in its pixels, positive inside."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, 1e4 if mask.all() else -1e4, np.float32)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    distance: Field = ndimage.gaussian_filter((inside - outside).astype(np.float32), 1.5)
    return distance


def jittered_points(rng: np.random.Generator, side: float, spacing: float, jitter: float) -> Points:
    """Return (n, 2) points over a square, a hexagonal lattice shaken by ``jitter`` spacings."""
    row_step = spacing * np.sqrt(3) / 2
    rows, columns = np.arange(-1, side / row_step + 1), np.arange(-1, side / spacing + 1)
    y, x = np.meshgrid(rows * row_step, columns * spacing, indexing="ij")
    x[::2] += spacing / 2
    points = np.stack([y.ravel(), x.ravel()], axis=1)
    return points + rng.uniform(-jitter, jitter, points.shape) * spacing


def prune(points: Points, distance: float) -> Points:
    """Return the points left when of each pair closer than ``distance`` the later one goes."""
    if len(points) < 2:
        return points
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    keep = np.ones(len(points), bool)
    for first, second in pairs.tolist():
        if keep[first]:
            keep[second] = False
    return points[keep]


@cache
def fibre_texture() -> Field:
    """Return a periodic texture of streaks along x, unit deviation."""
    rng = np.random.default_rng(_TEXTURE_SEED)
    white = rng.standard_normal((_TEXTURE_PX, _TEXTURE_PX))
    fine = ndimage.gaussian_filter(white, (0.9, 14), mode="wrap")
    coarse = ndimage.gaussian_filter(rng.standard_normal(white.shape), (3.0, 30), mode="wrap")
    texture: Field = (fine / fine.std() + 0.9 * coarse / coarse.std()).astype(np.float32)
    texture /= texture.std()
    return texture


@cache
def speckle() -> npt.NDArray[np.int16]:
    """Return a periodic grain in 1/128 parts, about +-0.1 of what it is laid on."""
    rng = np.random.default_rng(_TEXTURE_SEED + 1)
    white = rng.standard_normal((_TEXTURE_PX, _TEXTURE_PX))
    fine = ndimage.gaussian_filter(white, 0.7, mode="wrap")
    mottle = ndimage.gaussian_filter(rng.standard_normal(white.shape), 2.5, mode="wrap")
    grain = fine / fine.std() + 1.2 * mottle / mottle.std()
    parts: npt.NDArray[np.int16] = np.clip(grain * 8, -50, 50).astype(np.int16)
    return parts
