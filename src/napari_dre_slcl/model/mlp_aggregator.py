"""Giga-SSL's aggregator that needs no positions: the mean of tiles embedded one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MlpAggregator"]


class MlpAggregator(nn.Module):
    """Two residual blocks on each tile, then the mean over a bag's tiles.

    Parameters
    ----------
    dim : int
        Of a tile feature.
    width : int
        Of the embedding, and of what comes out.
    dropout : float
        In the blocks.
    """

    needs_positions = False

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _ResidualBlock(dim, width, dropout), _ResidualBlock(width, width, dropout)
        )

    def forward(self, features: Tensor, cells: Tensor | None = None) -> Tensor:
        """Return (B, width) vectors of (B, k, dim) bags; positions make no difference."""
        return self.blocks(features.flatten(0, 1)).reshape(*features.shape[:2], -1).mean(1)

    def average(self, features: Tensor, cells: Tensor | None, bags: Tensor) -> Tensor:
        """Return the (width,) mean vector of bags of one slide.

        Parameters
        ----------
        features : Tensor
            (n, dim) of the slide's tiles.
        cells : Tensor or None
            Not looked at.
        bags : Tensor
            (B, k) numbers of tiles. A tile is embedded once however many bags hold it: a mean of
            means of equally many is one mean.
        """
        tiles, count = torch.unique(bags, return_counts=True)
        share = count.to(features.device, features.dtype) / bags.numel()
        return share @ self.blocks(features[tiles.to(features.device)])


class _ResidualBlock(nn.Module):
    """Linear, ReLU, dropout, BN, linear, dropout, BN, beside a skip, projected where it must be."""

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(dim, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.BatchNorm1d(width),
            nn.Linear(width, width),
            nn.Dropout(dropout),
            nn.BatchNorm1d(width),
        )
        self.skip = nn.Identity() if dim == width else nn.Linear(dim, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)
