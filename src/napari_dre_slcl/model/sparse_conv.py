"""Convolution over the occupied cells of many small maps, in plain torch.

A slide's tiles leave most of the grid empty; a dense map would be computed for nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["SparseConv2d", "SparseMap", "make_sparse_map"]


class SparseMap(NamedTuple):
    """Occupied cells of n maps.

    Parameters
    ----------
    features : Tensor
        (m, d) of the occupied cells, by map, row and column.
    cells : Tensor
        (m, 3) int64 map, row and column, rows and columns from 0; no cell twice.
    n_maps : int
        n; a map may be empty.
    """

    features: Tensor
    cells: Tensor
    n_maps: int

    def mean(self) -> Tensor:
        """Return (n, d): each map's mean over its occupied cells, zeros for an empty map."""
        return _mean_by(self.features, self.cells[:, 0], self.n_maps)


def make_sparse_map(features: Tensor, cells: Tensor, n_maps: int) -> SparseMap:
    """Put tiles on their cells; several tiles of a cell are averaged.

    Parameters
    ----------
    features : Tensor
        (n, d) of the tiles.
    cells : Tensor
        (n, 3) int64 map, row and column of each tile, none below 0.
    n_maps : int
        Number of maps.
    """
    unique, place = torch.unique(cells, dim=0, return_inverse=True)
    return SparseMap(_mean_by(features, place, len(unique)), unique, n_maps)


class SparseConv2d(nn.Module):
    """Convolution whose output lives on the cells that the input occupies.

    Its values are those of ``torch.nn.Conv2d`` with ``padding=kernel_size // 2`` on a map with
    zeros in the empty cells, read at the occupied cells alone. With stride 1 the occupied cells
    stay the same, so that a stack of layers does not fill the map (submanifold convolution,
    Graham et al., CVPR 2018). With stride s a cell (r, c) lands in (r // s, c // s), as in
    generalised sparse convolution (Choy et al., CVPR 2019). No bias: batch normalisation follows.

    Parameters
    ----------
    dim_in, dim_out : int
        Widths.
    kernel_size : int
        Odd.
    stride : int, default 1
        At most the kernel covers every cell where it is not above ``kernel_size``.

    Attributes
    ----------
    weight : Parameter
        (kernel_size ** 2, dim_in, dim_out); of a dense layer's (out, in, k, k) weight it is
        ``weight.permute(2, 3, 1, 0).flatten(0, 1)``.
    """

    def __init__(self, dim_in: int, dim_out: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}")
        self.kernel_size, self.stride = kernel_size, stride
        # He initialisation for the fan-out, as in ResNet.
        std = math.sqrt(2 / (kernel_size**2 * dim_out))
        self.weight = nn.Parameter(torch.randn(kernel_size**2, dim_in, dim_out) * std)

    def forward(self, sparse: SparseMap) -> SparseMap:
        """Convolve (m, dim_in) features of occupied cells to (m', dim_out)."""
        cells = self._cells_out(sparse.cells)
        out = sparse.features.new_zeros(len(cells), self.weight.shape[2])
        for offset, weight in zip(self._offsets(), self.weight, strict=True):
            wanted = cells.clone()
            wanted[:, 1:] = wanted[:, 1:] * self.stride + wanted.new_tensor(offset)
            target, source = _matches(wanted, sparse.cells)
            # No row occurs twice, neither in target nor in source: any order adds up alike.
            out = out.index_add(0, target, sparse.features[source] @ weight)
        return SparseMap(out, cells, sparse.n_maps)

    def _cells_out(self, cells: Tensor) -> Tensor:
        if self.stride == 1:
            return cells
        coarse = cells.clone()
        coarse[:, 1:] //= self.stride
        return torch.unique(coarse, dim=0)

    def _offsets(self) -> list[tuple[int, int]]:
        half = self.kernel_size // 2
        span = range(-half, half + 1)
        return [(row, column) for row in span for column in span]


def _matches(wanted: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions in ``wanted`` that are occupied, and where in the sorted ``cells``."""
    extent = cells[:, 1:].amax(0) + 1
    is_inside = ((wanted[:, 1:] >= 0) & (wanted[:, 1:] < extent)).all(1)
    keys, key = _keys(cells, extent), _keys(wanted, extent)
    place = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
    target = (is_inside & (keys[place] == key)).nonzero().squeeze(1)
    return target, place[target]


def _keys(cells: Tensor, extent: Tensor) -> Tensor:
    return (cells[:, 0] * extent[0] + cells[:, 1]) * extent[1] + cells[:, 2]


def _mean_by(features: Tensor, group: Tensor, n_groups: int) -> Tensor:
    """Return (n_groups, d) means of (n, d) features; zeros for a group without any."""
    total = features.new_zeros(n_groups, features.shape[1]).index_add(0, group, features)
    count = torch.bincount(group, minlength=n_groups).clamp_min(1)
    return total / count.unsqueeze(1)
