"""Where a generated slide has glass, tumour, alveoli and stroma, and how deep inside a structure.

Fields are kept at a quarter of level 0; every distance is in level-0 pixels (0.5 µm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from napari_dre_slcl.cohort.synthetic_noise import (
    Field,
    Points,
    jittered_points,
    resize,
    signed_distance,
    smooth_noise,
)

__all__ = ["FIELD_SCALE", "Anatomy", "draw_anatomy", "voronoi"]

FIELD_SCALE = 4
_COARSE = 2  # regions are drawn at half of the fields' resolution
_ALVEOLUS_PX, _GLAND_PX, _NEST_PX = 135.0, 180.0, 290.0
_MERGED_ALVEOLI = 0.22


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The architecture of one slide as (side/4, side/4) fields.

    Attributes
    ----------
    tissue_px, tumour_px, airy_px : Field
        Signed distance to the border of tissue, tumour and alveolar lung, positive inside.
    depth_px : Field
        Distance to the nearest wall: septum, basement membrane or border of a region.
    cell : Field
        A random number in 0-1, the same throughout one alveolus, gland or nest.
    fibre_u, fibre_v : Field
        Coordinates in half of level 0 along and across the collagen bundles.
    """

    tissue_px: Field
    tumour_px: Field
    airy_px: Field
    depth_px: Field
    cell: Field
    fibre_u: Field
    fibre_v: Field

    @property
    def side_px(self) -> int:
        """The edge of the slide in level-0 pixels."""
        return int(self.tissue_px.shape[0]) * FIELD_SCALE


def draw_anatomy(
    rng: np.random.Generator, side_px: int, subtype: str, tumour_share: float
) -> Anatomy:
    """Draw the architecture of one slide.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every random choice.
    side_px : int
        Edge of the slide in level-0 pixels, a multiple of 256.
    subtype : str
        "LUAD" draws glands, "LUSC" nests, "" no tumour.
    tumour_share : float
        Share of the tissue that is tumour; 0 for none.
    """
    n = side_px // FIELD_SCALE
    tissue_px, tumour_px, airy_px = _draw_regions(rng, side_px, tumour_share)
    depth, cell = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    warp = [smooth_noise(rng, n, 55) * np.float32(13) for _ in "yx"]
    spacing = _GLAND_PX if subtype == "LUAD" else _NEST_PX
    for inside, step, merged in (
        ((tumour_px > -FIELD_SCALE) & (tissue_px > -FIELD_SCALE), spacing, 0.0),
        ((tumour_px < 0) & (airy_px > -FIELD_SCALE), _ALVEOLUS_PX, _MERGED_ALVEOLI),
    ):
        sites = jittered_points(rng, side_px, step, 0.36)
        values = rng.uniform(size=len(sites))
        where = np.nonzero(inside & (tissue_px > -FIELD_SCALE))
        at = np.stack(
            [(i + 0.5) * FIELD_SCALE + w[where] for i, w in zip(where, warp, strict=True)]
        )
        depth[where], nearest = voronoi(sites, at.T, merged)
        cell[where] = values[nearest]
    walls = np.minimum(np.abs(tumour_px), tissue_px)
    depth = np.minimum(depth, np.where(tumour_px > 0, walls, np.minimum(walls, airy_px)))
    fibre_u, fibre_v = _fibre_coordinates(rng, n)
    return Anatomy(tissue_px, tumour_px, airy_px, depth, cell, fibre_u, fibre_v)


def voronoi(
    sites: Points, at: Points, merged: float = 0.0
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Return the distance of points to the nearest Voronoi edge, and the site that owns them.

    Parameters
    ----------
    sites : (m, 2) array
        Centres of the cells, at least two.
    at : (n, 2) array
        The points asked about.
    merged : float
        Share of neighbour pairs between which there is no edge.

    Returns
    -------
    distance : (n,) float32
    nearest : (n,) integer
    """
    distance, index = cKDTree(sites).query(at, k=2)
    between = np.linalg.norm(sites[index[:, 0]] - sites[index[:, 1]], axis=1)
    edge = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * np.maximum(between, 1e-6))
    if merged > 0:
        low, high = index.min(axis=1).astype(np.int64), index.max(axis=1).astype(np.int64)
        lot = ((low * 73_856_093) ^ (high * 19_349_663)) % 1009 / 1009
        edge[lot < merged] += between[lot < merged] / 2
    return edge.astype(np.float32), index[:, 0]


def _draw_regions(
    rng: np.random.Generator, side_px: int, tumour_share: float
) -> tuple[Field, Field, Field]:
    n = side_px // FIELD_SCALE // _COARSE
    step_px = FIELD_SCALE * _COARSE
    y, x = (np.mgrid[:n, :n] + 0.5) / n - 0.5
    turn = rng.uniform(0, np.pi)
    u, v = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    border = np.maximum(np.abs(y), np.abs(x))
    blob = -(u**2 + 1.5 * v**2) * 9 + 0.33 * smooth_noise(rng, n, n * 0.42)
    blob += 0.08 * smooth_noise(rng, n, n * 0.13) + 0.03 * smooth_noise(rng, n, n * 0.04)
    blob[border > 0.465] = -99
    tissue = blob > np.quantile(blob, 1 - rng.uniform(0.38, 0.5))
    tumour = smooth_noise(rng, n, n * 0.55) + 0.12 * smooth_noise(rng, n, n * 0.1)
    is_tumour = np.zeros_like(tissue)
    if tumour_share > 0:
        is_tumour = tissue & (tumour > np.quantile(tumour[tissue], 1 - tumour_share))
    airy = smooth_noise(rng, n, n * 0.4) - 0.25 * tumour
    rest = tissue & ~is_tumour
    is_airy = rest & (airy > np.quantile(airy[rest], rng.uniform(0.35, 0.5)))
    full = (n * _COARSE, n * _COARSE)
    found = [resize(signed_distance(m) * step_px, full) for m in (tissue, is_tumour, is_airy)]
    return found[0], found[1], found[2]


def _fibre_coordinates(rng: np.random.Generator, n: int) -> tuple[Field, Field]:
    y, x = np.mgrid[:n, :n].astype(np.float32) * np.float32(FIELD_SCALE / 2)
    turn = np.float32(rng.uniform(0, np.pi))
    u = x * np.cos(turn) + y * np.sin(turn) + 30 * smooth_noise(rng, n, 150)
    v = y * np.cos(turn) - x * np.sin(turn) + 55 * smooth_noise(rng, n, 210)
    v += 7 * smooth_noise(rng, n, 40)
    return u.astype(np.float32), v.astype(np.float32)
