"""From the tiles of a region to a region vector: ViT-4096 of HIPT (Chen et al., CVPR 2022), or MLP.

Both read standardised features and give one vector per region, and what it attended to.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.model.regions import RegionInputs

__all__ = ["RegionMlp", "RegionVectors", "RegionVit"]


class RegionVectors(NamedTuple):
    """What a region encoder gives.

    Parameters
    ----------
    vector : Tensor
        (B, width).
    attention : Tensor
        (B, g, g) of [CLS] on the tiles in the last block, mean of the heads; 0 in empty cells,
        rows sum to 1. (B, 1) of ones where a feature is a region.
    """

    vector: Tensor
    attention: Tensor


class RegionVit(nn.Module):
    """A Transformer over the tiles of a region: linear and GELU, [CLS], pre-norm blocks.

    Empty cells are never attended to. The table of positions is resampled to the size of a crop,
    as DINO does.

    Parameters
    ----------
    dim : int
        Width of a tile feature.
    config : SlpdConfig
        Width, layers, heads; the table of positions is as large as a global crop.
    """

    takes_grids = True

    def __init__(self, dim: int, config: SlpdConfig) -> None:
        super().__init__()
        self.width = config.width
        self.embed = nn.Linear(dim, config.width)
        self.cls = nn.Parameter(torch.empty(1, 1, config.width))
        self.cls_position = nn.Parameter(torch.empty(1, 1, config.width))
        edge = config.global_crop
        self.positions = nn.Parameter(torch.empty(1, config.width, edge, edge))
        self.blocks = nn.ModuleList(
            _Block(config.width, config.attention_heads) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        for weights in (self.cls, self.cls_position, self.positions):
            nn.init.trunc_normal_(weights, std=0.02)

    def forward(self, inputs: RegionInputs) -> RegionVectors:
        """Encode (B, h, w, dim) grids of standardised features."""
        grids, is_there = inputs
        assert is_there is not None
        n, height, width = grids.shape[:3]
        tokens = F.gelu(self.embed(grids)).flatten(1, 2) + self._positions(height, width)
        start = (self.cls + self.cls_position).expand(n, -1, -1)
        sequence = torch.cat([start, tokens], 1)
        may_see = F.pad(is_there.flatten(1), (1, 0), value=True)[:, None, None, :]
        for block in self.blocks[:-1]:
            sequence = block(sequence, may_see)
        last = self.blocks[-1]
        assert isinstance(last, _Block)
        attention = last.attention_of_cls(sequence.detach(), may_see)
        sequence = last(sequence, may_see)
        return RegionVectors(self.norm(sequence[:, 0]), attention.view(n, height, width))

    def _positions(self, height: int, width: int) -> Tensor:
        table: Tensor = self.positions
        if table.shape[2:] != (height, width):
            table = F.interpolate(table, (height, width), mode="bicubic", align_corners=False)
        return table.flatten(2).transpose(1, 2)


class RegionMlp(nn.Module):
    """For vectors that stand for a region each: the vector beside GELU(W LN(x)).

    A slide vector, their mean, so holds the mean feature, and what is not linear in it.

    Parameters
    ----------
    dim : int
        Width of a feature.
    config : SlpdConfig
        Hidden width.
    """

    takes_grids = False

    def __init__(self, dim: int, config: SlpdConfig) -> None:
        super().__init__()
        self.width = dim + config.mlp_width
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, config.mlp_width), nn.GELU())

    def forward(self, inputs: RegionInputs) -> RegionVectors:
        """Encode (B, dim) standardised features."""
        values = inputs.values
        vector = torch.cat([values, self.mlp(values)], 1)
        return RegionVectors(vector, values.new_ones(len(values), 1))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_ffn = nn.LayerNorm(width)
        self.ffn = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, sequence: Tensor, may_see: Tensor) -> Tensor:
        query, key, value = self._split(sequence)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=may_see)
        sequence = sequence + self.out(attended.transpose(1, 2).flatten(2))
        return sequence + self.ffn(self.norm_ffn(sequence))

    @torch.no_grad()
    def attention_of_cls(self, sequence: Tensor, may_see: Tensor) -> Tensor:
        """Return (B, t) attention of the first token on the t others, rows sum to 1."""
        query, key, _ = self._split(sequence)
        logits = query[:, :, :1] @ key.transpose(2, 3) / query.shape[3] ** 0.5
        others = logits.masked_fill(~may_see, float("-inf"))[:, :, 0, 1:]
        return others.softmax(2).mean(1)

    def _split(self, sequence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value, each (B, heads, t, width / heads)."""
        qkv = self.qkv(self.norm_attention(sequence))
        query, key, value = qkv.unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value
