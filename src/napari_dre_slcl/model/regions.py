"""Which tiles make a region: squares of the tile grid, 16 x 16 tiles of a slide by default.

Knows tensors only. Regions lie from the upper left tile on, so they do not depend on where a slide
begins to be scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from napari_dre_slcl.errors import ModelError

__all__ = ["RegionCells", "RegionInputs", "RegionStore", "find_regions", "lay_out"]


class RegionInputs(NamedTuple):
    """What a region encoder reads of B regions.

    Parameters
    ----------
    values : Tensor
        (B, g, g, d) grids of tile features, or (B, d) where a feature is a region.
    is_there : Tensor or None
        (B, g, g) bool, which cells hold a tile; None for (B, d).
    """

    values: Tensor
    is_there: Tensor | None


class RegionCells(NamedTuple):
    """The regions of a slide.

    Parameters
    ----------
    member : Tensor
        (n,) int64 region of each tile, -1 where it lies in none that counts.
    cell : Tensor
        (n,) int64 place of each tile in its region, row by row.
    n_regions : int
        R.
    """

    member: Tensor
    cell: Tensor
    n_regions: int


def find_regions(rowcol: Tensor, grid: int, min_fill: float) -> RegionCells:
    """Divide a slide into squares of `grid` x `grid` cells of the tile grid.

    Parameters
    ----------
    rowcol : Tensor
        (n, 2) int64, n at least 1.
    grid : int
        Edge of a region in tiles.
    min_fill : float
        Share of the cells that must hold a tile. Where no region reaches it the fullest one
        counts, so that every slide has one.
    """
    place = rowcol - rowcol.amin(0)
    square = torch.div(place, grid, rounding_mode="floor")
    inside = place - square * grid
    cell = inside[:, 0] * grid + inside[:, 1]
    number = square[:, 0] * (square[:, 1].amax() + 1) + square[:, 1]
    member = number.unique(return_inverse=True)[1]
    occupied = (member * grid**2 + cell).unique()
    filled = torch.bincount(torch.div(occupied, grid**2, rounding_mode="floor"))
    counts = filled >= min_fill * grid**2
    if not bool(counts.any()):
        counts[filled.argmax()] = True
    new = (counts.cumsum(0) - 1).masked_fill(~counts, -1)
    return RegionCells(new[member], cell, int(counts.sum()))


def lay_out(features: Tensor, regions: RegionCells, grid: int) -> RegionInputs:
    """Put tile features into the grids of their regions.

    Parameters
    ----------
    features : Tensor
        (n, d).
    regions : RegionCells
        Of these tiles.
    grid : int
        Edge of a region in tiles.

    Returns
    -------
    RegionInputs
        Empty cells hold zeros; tiles that share a cell are averaged.
    """
    used = regions.member >= 0
    index = (regions.member * grid**2 + regions.cell)[used].to(features.device)
    values = features.new_zeros(regions.n_regions * grid**2, features.shape[1])
    values.index_add_(0, index, features[used.to(features.device)])
    count = torch.bincount(index, minlength=len(values))
    shape = (regions.n_regions, grid, grid)
    values = values / count.clamp(min=1).unsqueeze(1)
    return RegionInputs(values.view(*shape, -1), (count > 0).view(shape))


@dataclass(frozen=True, slots=True, eq=False)
class RegionStore:
    """All regions of many slides; tile features are kept once, grids are made when asked for.

    Parameters
    ----------
    features : Tensor
        (n, d) tile features of all slides.
    slide : Tensor
        (R,) int64 slide of each region, rising.
    first : Tensor
        (R + 1,) int64; `tiles[first[r]:first[r + 1]]` are the tiles of region r.
    tiles, cell : Tensor
        (t,) int64 rows of `features`, and their places in the grid.
    grid : int
        Edge of a region in tiles; 0 where each feature is a region.
    """

    features: Tensor
    slide: Tensor
    first: Tensor
    tiles: Tensor
    cell: Tensor
    grid: int

    @classmethod
    def gather(
        cls,
        features: Sequence[Tensor],
        rowcol: Sequence[Tensor | None],
        grid: int,
        min_fill: float,
    ) -> RegionStore:
        """Find the regions of slides.

        Parameters
        ----------
        features : sequence of Tensor
            (n_i, d) of each slide.
        rowcol : sequence of Tensor or None
            (n_i, 2) of each slide; not read where `grid` is 0.
        grid : int
            Edge of a region in tiles; 0 where each feature is a region.
        min_fill : float
            See `find_regions`.

        Raises
        ------
        ModelError
            If a slide has no positions, and regions need them.
        """
        joined = torch.cat(list(features))
        if not grid:
            sizes = torch.tensor([len(rows) for rows in features])
            slide = torch.arange(len(sizes)).repeat_interleave(sizes)
            every = torch.arange(len(joined))
            return cls(joined, slide, torch.arange(len(joined) + 1), every, every, 0)
        check_positions(rowcol)
        offset, slides, tiles, cells, sizes_of = 0, [], [], [], []
        for number, place in enumerate(rowcol):
            assert place is not None
            regions = find_regions(place, grid, min_fill)
            order = regions.member.argsort(stable=True)
            order = order[regions.member[order] >= 0]
            tiles.append(order + offset)
            cells.append(regions.cell[order])
            sizes_of.append(torch.bincount(regions.member[order], minlength=regions.n_regions))
            slides.append(torch.full((regions.n_regions,), number))
            offset += len(place)
        first = torch.nn.functional.pad(torch.cat(sizes_of).cumsum(0), (1, 0))
        return cls(joined, torch.cat(slides), first, torch.cat(tiles), torch.cat(cells), grid)

    def __len__(self) -> int:
        return len(self.slide)

    def inputs(self, rows: Tensor) -> RegionInputs:
        """Return what a region encoder reads of (B,) regions."""
        if not self.grid:
            return RegionInputs(self.features[rows], None)
        sizes = self.first[rows + 1] - self.first[rows]
        member = torch.arange(len(rows)).repeat_interleave(sizes)
        within = torch.arange(len(member)) - (sizes.cumsum(0) - sizes)[member]
        place = self.first[rows][member] + within
        regions = RegionCells(member, self.cell[place], len(rows))
        return lay_out(self.features[self.tiles[place]], regions, self.grid)


def check_positions(rowcol: Sequence[Tensor | None]) -> None:
    """Raise `ModelError` where tiles have no positions."""
    n_without = sum(place is None for place in rowcol)
    if n_without:
        raise ModelError(
            f"{n_without} of {len(rowcol)} slides have features without tile positions, and "
            "slpd.region_encoder=vit lays tiles on a grid. Store the positions (coords) with the "
            "features, or set slpd.region_encoder to mlp."
        )
