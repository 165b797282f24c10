"""The network of mean pooling: the mean tile feature, and linear heads on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.model.linear_heads import LinearHeads
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["MeanPoolNet"]


class MeanPoolNet(nn.Module):
    """A slide vector is the mean of its tiles' unit features.

    Parameters
    ----------
    class_counts : sequence of int
        Number of classes of each task.
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows; never trained.
    """

    codeword_names: tuple[str, ...] = ()
    where: Tensor

    def __init__(self, class_counts: Sequence[int], encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = LinearHeads(int(encoder.dim), class_counts)
        self.register_buffer("where", torch.zeros(()), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.where.device

    @torch.no_grad()
    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, d) tile features of one slide and predict; each tile counts alike."""
        vector = features.mean(0)
        zeros = features.new_zeros(len(features))
        return SlideOutput(
            vector=vector,
            probabilities=[values[0] for values in self.heads.probabilities(vector[None])],
            codeword=zeros.long(),
            attention=features.new_full((len(features),), 1 / max(len(features), 1)),
            residual_norm=zeros,
            codeword_attention=features.new_zeros(0),
        )

    @torch.no_grad()
    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms:
        """Return z and 1 of each of (n, d) tiles, in one slot."""
        one = features.new_ones(len(features), 1)
        slot = torch.zeros(len(features), dtype=torch.long, device=features.device)
        return TileTerms(torch.cat([features, one], dim=1), slot, 1)

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, 1, d + 1) sums of `tile_terms`."""
        return self.heads.logits(sums[:, 0, :-1] / sums[:, 0, -1:])

    def report_space(self, features: Tensor) -> None:
        """Return None: the method knows no reports."""
