"""Outlines of regions on a grid: connected cells of one value as polygons with holes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Region", "regions"]

Ring = NDArray[np.int64]

# Directions along a cell's edges, clockwise on the screen: right, down, left, up.
_STEP = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
# Of the top, right, bottom and left edge of a cell: where its neighbour lies, where it starts.
_NEIGHBOUR = ((-1, 0), (0, 1), (1, 0), (0, -1))
_START = ((0, 0), (0, 1), (1, 1), (1, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Cells of one value that hang together by their edges.

    Parameters
    ----------
    value : int
        Of its cells.
    cells : ndarray
        (n,) positions in the flattened grid.
    outer : ndarray
        (m, 2) int64 corners (row, column) of its outline in cell edges, first and last alike; it
        runs to the right along the top.
    holes : tuple of ndarray
        Outlines of its holes, which run the other way round.
    """

    value: int
    cells: NDArray[np.int64]
    outer: Ring
    holes: tuple[Ring, ...]


def regions(values: NDArray[Any]) -> Iterator[Region]:
    """Yield the regions of a grid.

    No ring touches itself, so every region is a valid polygon of OGC's simple features: where two
    cells of a region meet at a corner alone, the outline goes on around what lies outside.

    Parameters
    ----------
    values : ndarray
        (rows, columns); 0 is no region.

    Yields
    ------
    Region
        By rising value.
    """
    parts, part_values = _parts(values)
    if not len(part_values):
        return
    edges = _edges(parts)
    rings: list[list[Ring]] = [[] for _ in part_values]
    for part, ring in _rings(*edges):
        rings[part - 1].append(ring)
    flat = parts.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(1, len(part_values) + 2))
    for number, value in enumerate(part_values):
        cells = order[starts[number] : starts[number + 1]]
        first = int(cells[0])  # the topmost cell, whose top edge is part of the outer ring
        corner = np.array(divmod(first, values.shape[1]))
        outer, *holes = sorted(rings[number], key=lambda ring: not _holds(ring, corner))
        yield Region(int(value), cells, outer, tuple(holes))


def _parts(values: NDArray[Any]) -> tuple[NDArray[np.int32], list[int]]:
    """Return the number of each cell's region, from 1, and each region's value."""
    parts = np.zeros(values.shape, np.int32)
    found: list[int] = []
    for value in np.unique(values[values > 0]):
        labels, count = ndimage.label(values == value)
        parts += np.where(labels, labels + len(found), 0).astype(np.int32)
        found += [int(value)] * int(count)
    return parts, found


def _edges(
    parts: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int]:
    """Return start corner, direction and region of every edge, and the corners in a row."""
    padded = np.pad(parts, 1)
    width = parts.shape[1] + 1
    starts, directions, owners = [], [], []
    for direction, ((down, right), (top, left)) in enumerate(zip(_NEIGHBOUR, _START, strict=True)):
        height, breadth = parts.shape
        beside = padded[1 + down : 1 + down + height, 1 + right : 1 + right + breadth]
        rows, cols = np.nonzero((parts > 0) & (beside != parts))
        starts.append((rows + top) * width + cols + left)
        directions.append(np.full(len(rows), direction, np.int64))
        owners.append(parts[rows, cols])
    return np.concatenate(starts), np.concatenate(directions), np.concatenate(owners), width


def _rings(
    start: NDArray[np.int64],
    direction: NDArray[np.int64],
    owner: NDArray[np.int32],
    width: int,
) -> Iterator[tuple[int, Ring]]:
    """Chain edges to rings; yield each with its region, corners where it turns only."""
    follower = _followers(start, direction, owner, width).tolist()
    turns = (direction != direction[follower]).tolist()
    ends = (start + _STEP[direction] @ np.array([width, 1])).tolist()
    seen = bytearray(len(follower))
    for first in range(len(follower)):
        if seen[first]:
            continue
        corners, edge = [], first
        while not seen[edge]:
            seen[edge] = True
            if turns[edge]:
                corners.append(ends[edge])
            edge = follower[edge]
        corners.append(corners[0])
        yield int(owner[first]), np.stack(np.divmod(np.array(corners), width), axis=1)


def _followers(
    start: NDArray[np.int64],
    direction: NDArray[np.int64],
    owner: NDArray[np.int32],
    width: int,
) -> NDArray[np.int64]:
    """Return the edge that follows each: the leftmost turn that stays on the same region."""
    key = start * 4 + direction  # one edge at most starts at a corner in a direction
    order = np.argsort(key)
    end = start + _STEP[direction] @ np.array([width, 1])
    follower = np.full(len(key), -1, np.int64)
    for turn in (1, 0, 3):  # right, straight, left: the last that fits stays
        wanted = end * 4 + (direction + turn) % 4
        place = np.minimum(np.searchsorted(key, wanted, sorter=order), len(key) - 1)
        found = order[place]
        fits = (key[found] == wanted) & (owner[found] == owner)
        follower[fits] = found[fits]
    return follower


def _holds(ring: Ring, corner: NDArray[np.int64]) -> bool:
    """Whether a corner lies on a ring's top edges: of a region's topmost cell, the outer one's."""
    return bool((ring == corner).all(axis=1).any())
