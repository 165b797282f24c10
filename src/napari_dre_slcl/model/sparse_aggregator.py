"""Giga-SSL's aggregator over positions: layer4 of a ResNet-18 on a sparse map of tiles."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_dre_slcl.model.sparse_conv import SparseConv2d, SparseMap, make_sparse_map

__all__ = ["SparseAggregator"]


class SparseAggregator(nn.Module):
    """Two basic blocks (He et al., CVPR 2016), the first with stride 2, then the mean over cells.

    Parameters
    ----------
    dim : int
        Of a tile feature; takes the place of the 256 channels that enter layer4.
    width : int
        Of the blocks, and of what comes out; 512 in ResNet-18.
    """

    needs_positions = True

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_BasicBlock(dim, width, stride=2), _BasicBlock(width, width))

    def forward(self, features: Tensor, cells: Tensor | None = None) -> Tensor:
        """Return (B, width) vectors of bags.

        Parameters
        ----------
        features : Tensor
            (B, k, dim) tile features.
        cells : Tensor
            (B, k, 2) int64 cells, none below 0.
        """
        if cells is None:
            raise ValueError("the sparse aggregator needs the cells of the tiles")
        n_maps, n_tiles = cells.shape[:2]
        owner = torch.arange(n_maps, device=cells.device).repeat_interleave(n_tiles)
        places = torch.cat([owner.unsqueeze(1), cells.flatten(0, 1)], dim=1)
        sparse: SparseMap = self.blocks(make_sparse_map(features.flatten(0, 1), places, n_maps))
        return sparse.mean()

    def average(self, features: Tensor, cells: Tensor | None, bags: Tensor) -> Tensor:
        """Return the (width,) mean vector of bags of one slide.

        Parameters
        ----------
        features : Tensor
            (n, dim) of the slide's tiles.
        cells : Tensor
            (B, k, 2) int64 cells of the bags' tiles, none below 0.
        bags : Tensor
            (B, k) numbers of tiles.
        """
        return self(features[bags.to(features.device)], cells).mean(0)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside a skip, projected where it must be."""

    def __init__(self, dim_in: int, dim_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = SparseConv2d(dim_in, dim_out, 3, stride)
        self.norm1 = nn.BatchNorm1d(dim_out)
        self.conv2 = SparseConv2d(dim_out, dim_out, 3)
        self.norm2 = nn.BatchNorm1d(dim_out)
        is_projected = stride > 1 or dim_in != dim_out
        self.skip = SparseConv2d(dim_in, dim_out, 1, stride) if is_projected else None
        self.skip_norm = nn.BatchNorm1d(dim_out) if is_projected else None

    def forward(self, x: SparseMap) -> SparseMap:
        skip = x.features
        if self.skip is not None and self.skip_norm is not None:
            skip = self.skip_norm(self.skip(x).features)
        hidden = self.conv1(x)
        hidden = hidden._replace(features=self.norm1(hidden.features).relu())
        out = self.conv2(hidden)
        return out._replace(features=(self.norm2(out.features) + skip).relu())
