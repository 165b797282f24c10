"""Paints the haematoxylin and the eosin of a generated slide from its anatomy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_dre_slcl.cohort.synthetic_anatomy import FIELD_SCALE, Anatomy, voronoi
from napari_dre_slcl.cohort.synthetic_noise import (
    Field,
    Points,
    fibre_texture,
    jittered_points,
    prune,
    resize,
    smooth_noise,
    smoothstep,
)
from napari_dre_slcl.cohort.synthetic_nuclei import AMOUNT, MutationCue, Plane, stamp, tumour_kind

__all__ = ["paint_tissue"]

Array = npt.NDArray[Any]

_LUMEN_PX, _PEARL_PX = 46.0, 62.0
_STRIP_ROWS = 256
_SPACING_PX = {"LUAD-0": 15.0, "LUAD-1": 20.5, "LUSC-0": 23.0, "LUSC-1": 30.0}


@dataclass(frozen=True, slots=True)
class _Cells:
    """Tumour cells: nuclei, their directions, and per pixel the distance to the cell's border."""

    points: Points
    turns: Points
    border_px: Field
    shade: Field
    is_mutated: npt.NDArray[np.bool_]


def paint_tissue(
    rng: np.random.Generator,
    anatomy: Anatomy,
    subtype: str,
    mutated: bool,
    cue: MutationCue | None = None,
) -> tuple[Plane, Plane]:
    """Return the haematoxylin and eosin planes at level 0, (side, side) uint8 each.

    A value of `AMOUNT` is an optical amount of 1. The mutation changes tumour nuclei only, in
    all glands and nests unless ``cue`` says otherwise.
    """
    cue = cue or MutationCue()
    ground, others, tumour = rng.spawn(3)
    cells = _tumour_cells(tumour, anatomy, subtype, mutated, cue) if subtype else None
    side = anatomy.side_px
    planes = _paint_ground(ground, anatomy, subtype, cells)
    haematoxylin, eosin = (resize(plane, (side, side)).copy() for plane in planes)
    for name, points, turns in _scatter(others, anatomy, subtype):
        stamp(haematoxylin, eosin, name, points, turns, int(others.integers(2**31)))
    if cells is not None:
        for is_mutated in np.unique(cells.is_mutated).tolist():
            which = cells.is_mutated == is_mutated
            kind, seed = tumour_kind(subtype, is_mutated), int(tumour.integers(2**31))
            strength = cue.strength if is_mutated else 1.0
            points, turns = cells.points[which], cells.turns[which]
            stamp(haematoxylin, eosin, kind, points, turns, seed, strength)
    return haematoxylin, eosin


# --- ground: everything that is not a sprite, at half of level 0 -------------------------------


def _paint_ground(
    rng: np.random.Generator, anatomy: Anatomy, subtype: str, cells: _Cells | None
) -> tuple[Plane, Plane]:
    n = anatomy.side_px // 2
    quarter = anatomy.tissue_px.shape[0]
    rough = smooth_noise(rng, quarter, 7)
    thick = smooth_noise(rng, quarter, quarter * 0.3)
    fields = {
        "tissue": anatomy.tissue_px + 1.5 * rough,
        "tumour": anatomy.tumour_px,
        "airy": anatomy.airy_px,
        "depth": anatomy.depth_px + 1.6 * rough,
        "cell": anatomy.cell,
        "u": anatomy.fibre_u,
        "v": anatomy.fibre_v,
        "rough": rough,
        "thick": thick,
        "wet": smooth_noise(rng, quarter, 75),
    }
    if cells is not None:
        fields |= {"border": cells.border_px, "shade": cells.shade}
    haematoxylin, eosin = np.zeros((n, n), np.uint8), np.zeros((n, n), np.uint8)
    strip = _STRIP_ROWS // 2
    for top in range(0, quarter, strip):
        part = {k: np.asarray(f[top : top + strip]) for k, f in fields.items()}
        if part["tissue"].max() < -8:
            continue
        shape = (2 * part["tissue"].shape[0], n)
        full = {k: resize(f.astype(np.float32), shape) for k, f in part.items()}
        h, e = _ground_strip(full, subtype)
        rows = slice(2 * top, 2 * top + shape[0])
        haematoxylin[rows] = np.clip(h * AMOUNT, 0, 255)
        eosin[rows] = np.clip(e * AMOUNT, 0, 255)
    return haematoxylin, eosin


def _ground_strip(f: dict[str, Array], subtype: str) -> tuple[Array, Array]:
    streaks = fibre_texture()
    wrap = streaks.shape[0] - 1
    fibre = streaks[f["v"].astype(np.int32) & wrap, f["u"].astype(np.int32) & wrap]
    eosin = 0.46 + 0.11 * fibre + 0.05 * f["thick"]
    eosin *= smoothstep(fibre + 0.3 * f["rough"], -2.3, -1.5) * 0.75 + 0.25  # clefts
    haematoxylin = 0.07 + 0.015 * fibre
    in_tumour = f["tumour"] > 0
    if subtype == "LUAD":
        haematoxylin, eosin = _glands(f, in_tumour, haematoxylin, eosin)
    elif subtype == "LUSC":
        haematoxylin, eosin = _nests(f, in_tumour, haematoxylin, eosin)
    air = smoothstep(f["depth"] + 2.0 * f["rough"], 9, 13) * ((f["airy"] > 0) & ~in_tumour)
    fluid = 0.012 + 0.16 * smoothstep(f["wet"] + 0.1 * f["rough"], 1.2, 1.7)
    eosin += air * (fluid - eosin)
    haematoxylin *= 1 - air
    tissue = smoothstep(f["tissue"], -1.5, 1.5) * (1 + 0.06 * f["thick"])
    return haematoxylin * tissue, eosin * tissue


def _glands(
    f: dict[str, Array], in_tumour: Array, haematoxylin: Array, eosin: Array
) -> tuple[Array, Array]:
    epithelium = smoothstep(f["depth"], 7, 10) * in_tumour
    line = 1 - smoothstep(f["border"], 0.2, 2.2)
    apical = smoothstep(f["depth"], 20, _LUMEN_PX)
    cytoplasm_e = (0.30 + 0.05 * f["shade"] - 0.06 * apical) * (1 - 0.2 * line)
    cytoplasm_h = 0.17 + 0.03 * f["shade"] - 0.06 * apical
    eosin = eosin + epithelium * (cytoplasm_e + 0.025 * f["rough"] - eosin)
    haematoxylin = haematoxylin + epithelium * (cytoplasm_h - haematoxylin)
    lumen = smoothstep(f["depth"] + 3 * f["rough"], _LUMEN_PX - 3, _LUMEN_PX + 3)
    lumen *= in_tumour & (f["cell"] < 0.85)
    secretion = np.where(f["cell"] < 0.2, 0.13 + 0.05 * f["rough"], np.float32(0.02))
    return haematoxylin * (1 - 0.93 * lumen), eosin + lumen * (secretion - eosin)


def _nests(
    f: dict[str, Array], in_tumour: Array, haematoxylin: Array, eosin: Array
) -> tuple[Array, Array]:
    nest = smoothstep(f["depth"], 9, 12) * in_tumour
    gap = 1 - smoothstep(f["border"] + 0.5 * f["rough"], 0.4, 2.6)
    ripe = smoothstep(f["depth"], 15, 70)  # cells turn pinker towards the middle of a nest
    cytoplasm_e = (0.36 + 0.07 * f["shade"] + 0.1 * ripe) * (1 - 0.55 * gap)
    cytoplasm_h = (0.20 + 0.04 * f["shade"] - 0.06 * ripe) * (1 - 0.6 * gap)
    eosin = eosin + nest * (cytoplasm_e - eosin)
    haematoxylin = haematoxylin + nest * (cytoplasm_h - haematoxylin)
    pearl = smoothstep(f["depth"] + 3 * f["rough"], _PEARL_PX - 4, _PEARL_PX + 6)
    pearl *= in_tumour & (f["cell"] < 0.4)
    lamellae = 0.78 + 0.15 * np.sin(f["depth"] * 0.75 + 1.5 * f["rough"]) + 0.04 * f["rough"]
    return haematoxylin * (1 - 0.7 * pearl), eosin + pearl * (lamellae - eosin)


# --- cells ------------------------------------------------------------------------------------


def _tumour_cells(
    rng: np.random.Generator, anatomy: Anatomy, subtype: str, mutated: bool, cue: MutationCue
) -> _Cells:
    wild, changed = (_SPACING_PX[tumour_kind(subtype, state)] for state in (False, True))
    changed = wild + cue.strength * (changed - wild)
    is_mixed = mutated and cue.share < 1
    denser = rng.uniform(0.95, 1.07)  # some tumours are denser
    spacing = (changed if mutated and not is_mixed else wild) * denser
    draw_points = _gland_points if subtype == "LUAD" else _nest_points
    at = draw_points(rng, anatomy, spacing)
    is_mutated = np.full(len(at), mutated)
    if is_mixed:
        is_mutated = _shows(anatomy, at, cue.share)
        # Larger nuclei stand further apart.
        at = np.concatenate([at[~is_mutated], prune(at[is_mutated], changed * denser)])
        is_mutated = _shows(anatomy, at, cue.share)
    turns = _turns(_slope(anatomy.depth_px, at)) + rng.normal(0, 0.35, len(at))
    if subtype == "LUSC":
        turns = turns + np.pi / 2 * (rng.random(len(at)) < 0.5)
    return _with_borders(rng, anatomy, at, turns, is_mutated)


def _shows(anatomy: Anatomy, points: Points, share: float) -> npt.NDArray[np.bool_]:
    """Whether the gland or nest of each point shows the mutation."""
    # The later digits of a gland's number tell nothing of what the first ones decide.
    shows: npt.NDArray[np.bool_] = (_at(anatomy.cell, points) * 997) % 1 < share
    return shows


def _gland_points(rng: np.random.Generator, anatomy: Anatomy, spacing: float) -> Points:
    points = jittered_points(rng, anatomy.side_px, 8.0, 0.4)
    depth = _at(anatomy.depth_px, points)
    keep = (_at(anatomy.tumour_px, points) > 6) & (depth > 9) & (depth < _LUMEN_PX - 8)
    closed = _at(anatomy.cell, points) >= 0.85
    keep |= (_at(anatomy.tumour_px, points) > 6) & (depth > 9) & closed
    points, depth, closed = points[keep], depth[keep], closed[keep]
    # Nuclei of glands stand in a row on the basement membrane; some lie in a second row.
    row = np.where(rng.random(len(points)) < 0.75, spacing + 2.0, 1.7 * spacing + 4.0)
    target = np.where(closed & (depth > 26), depth, row + rng.normal(0, 2.5, len(points)))
    slope = _slope(anatomy.depth_px, points)
    points = points + slope * np.clip(target - depth, -16, 16)[:, None]
    points = points[_at(anatomy.depth_px, points) > 0.6 * spacing]
    return prune(points[rng.permutation(len(points))], spacing)


def _nest_points(rng: np.random.Generator, anatomy: Anatomy, spacing: float) -> Points:
    points = jittered_points(rng, anatomy.side_px, spacing, 0.26)
    depth = _at(anatomy.depth_px, points)
    pearl = (depth > _PEARL_PX - 12) & (_at(anatomy.cell, points) < 0.4)
    keep = (_at(anatomy.tumour_px, points) > 8) & (depth > 0.5 * spacing + 4) & ~pearl
    return points[keep & (rng.random(len(points)) < 0.96)]


def _with_borders(
    rng: np.random.Generator,
    anatomy: Anatomy,
    points: Points,
    turns: Points,
    is_mutated: npt.NDArray[np.bool_],
) -> _Cells:
    border = np.full(anatomy.depth_px.shape, 99, np.float32)
    shade = np.zeros_like(border)
    if len(points) > 1:
        where = np.nonzero((anatomy.tumour_px > 0) & (anatomy.depth_px > 4))
        at = (np.stack(where, axis=1) + 0.5) * FIELD_SCALE
        border[where], owner = voronoi(points, at)
        shade[where] = rng.standard_normal(len(points)).astype(np.float32)[owner]
    return _Cells(points, turns, border, shade, is_mutated)


def _scatter(
    rng: np.random.Generator, anatomy: Anatomy, subtype: str
) -> list[tuple[str, Points, Points]]:
    """Return kind, points and turns of everything but the tumour's own nuclei."""
    return [
        *_air_cells(rng, anatomy),
        *_stroma_cells(rng, anatomy),
        *(_pearl_cells(rng, anatomy) if subtype == "LUSC" else []),
    ]


def _stroma_cells(rng: np.random.Generator, anatomy: Anatomy) -> list[tuple[str, Points, Points]]:
    side = anatomy.side_px
    found = []
    n = anatomy.depth_px.shape[0]
    swarm = smooth_noise(rng, n, 60) + 0.5 * smooth_noise(rng, n, 20)
    for kind, spacing in (("spindle", 34.0), ("lymphocyte", 15.0)):
        points = jittered_points(rng, side, spacing, 0.4)
        depth, tumour = _at(anatomy.depth_px, points), _at(anatomy.tumour_px, points)
        solid = (tumour <= 0) & (_at(anatomy.airy_px, points) < 0)
        between = (tumour > 0) & (depth < 5)
        keep = (_at(anatomy.tissue_px, points) > 10) & (solid | between)
        lot = rng.random(len(points))
        crowd = _at(swarm, points)
        keep &= lot < (0.75 if kind == "spindle" else np.where(crowd > 1.7, 0.8, 0.025))
        points = points[keep]
        turns = _turns(_slope(anatomy.fibre_v, points)) + np.pi / 2
        in_septum = _at(anatomy.tumour_px, points) > 0
        along = _turns(_slope(anatomy.depth_px, points)) + np.pi / 2
        turns = np.where(in_septum, along, turns) + rng.normal(0, 0.15, len(points))
        found.append((kind, points, turns))
    return found


def _air_cells(rng: np.random.Generator, anatomy: Anatomy) -> list[tuple[str, Points, Points]]:
    side = anatomy.side_px
    points = jittered_points(rng, side, 11.0, 0.4)
    depth, airy = _at(anatomy.depth_px, points), _at(anatomy.airy_px, points)
    lung = (airy > 0) & (_at(anatomy.tumour_px, points) < 0) & (_at(anatomy.tissue_px, points) > 8)
    lot = rng.random(len(points))
    bled = _at(smooth_noise(rng, anatomy.depth_px.shape[0], 50), points)
    red = points[lung & np.where(depth < 9, (lot > 0.86), (lot > 0.55) & (bled > 1.9))]
    wall = prune(points[lung & (depth < 8) & (lot < 0.42)], 15.0)
    slope = _slope(anatomy.depth_px, wall)
    wall = wall + slope * (6.5 - _at(anatomy.depth_px, wall))[:, None]
    eaters = prune(points[lung & (depth > 20) & (lot < 0.03)], 26.0)
    turn = rng.uniform(0, np.pi, len(points))
    return [
        ("red cell", red, turn[: len(red)]),
        ("foam", eaters, turn[: len(eaters)]),
        ("macrophage", eaters + rng.uniform(-3, 3, eaters.shape), turn[: len(eaters)]),
        ("pneumocyte", wall, _turns(slope) + np.pi / 2 + rng.normal(0, 0.15, len(wall))),
    ]


def _pearl_cells(rng: np.random.Generator, anatomy: Anatomy) -> list[tuple[str, Points, Points]]:
    points = jittered_points(rng, anatomy.side_px, 26.0, 0.4)
    keep = (_at(anatomy.cell, points) < 0.4) & (_at(anatomy.depth_px, points) > _PEARL_PX + 4)
    keep &= (_at(anatomy.tumour_px, points) > 0) & (rng.random(len(points)) < 0.3)
    points = points[keep]
    return [("pyknotic", points, _turns(_slope(anatomy.depth_px, points)) + np.pi / 2)]


# --- reading the fields at points ---------------------------------------------------------------


def _at(field: Field, points: Points) -> Points:
    last = field.shape[0] - 1
    index = np.clip((points / FIELD_SCALE).astype(int), 0, last)
    values: Points = field[index[:, 0], index[:, 1]].astype(np.float64)
    return values


def _slope(field: Field, points: Points) -> Points:
    """Return the unit vector (y, x) of steepest ascent at points."""
    along_y, along_x = np.eye(2) * FIELD_SCALE
    dy = _at(field, points + along_y) - _at(field, points - along_y)
    dx = _at(field, points + along_x) - _at(field, points - along_x)
    slope = np.stack([dy, dx], axis=1)
    unit: Points = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    return unit


def _turns(vectors: Points) -> Points:
    return np.arctan2(vectors[:, 0], vectors[:, 1])
