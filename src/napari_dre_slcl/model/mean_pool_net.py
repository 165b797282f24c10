"""The network of mean pooling: the mean tile feature, and linear heads on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.model.linear_heads import LinearHeads
from napari_dre_slcl.model.slide_net import SlideOutput

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
