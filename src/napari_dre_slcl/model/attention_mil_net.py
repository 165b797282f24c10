"""Gated attention MIL (Ilse, Tomczak and Welling, ICML 2018) with one head per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["AttentionMilNet", "PooledBags"]


class PooledBags(NamedTuple):
    """Bags after attention.

    Parameters
    ----------
    vectors : Tensor
        (B, width), one per bag.
    attention : Tensor
        (n,) of each tile; adds up to 1 over each bag.
    """

    vectors: Tensor
    attention: Tensor


class AttentionMilNet(nn.Module):
    """Embed tiles, weight them by gated attention, add them up, and predict every task.

    With h the embedding of a tile, its weight is the softmax over the slide of
    w (tanh(V h) * sigmoid(U h)), and the slide vector is the weighted sum of the h
    (Ilse et al. 2018, equation 9). Features of one encoder lie close together, so they are
    standardised by the training tiles first.

    Parameters
    ----------
    config : DreSlclConfig
        Its section mil.
    class_counts : sequence of int
        Number of classes of each task.
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows; never trained.
    """

    codeword_names: tuple[str, ...] = ()
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: DreSlclConfig, class_counts: Sequence[int], encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        settings, dim = config.mil, int(encoder.dim)
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))
        self.embed = nn.Sequential(
            nn.Linear(dim, settings.width), nn.ReLU(), nn.Dropout(settings.dropout)
        )
        self.value = nn.Linear(settings.width, settings.attention_width)
        self.gate = nn.Linear(settings.width, settings.attention_width)
        self.score = nn.Linear(settings.attention_width, 1)
        self.drop = nn.Dropout(settings.dropout)
        self.heads = nn.ModuleList(nn.Linear(settings.width, count) for count in class_counts)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.feature_mean.device

    @torch.no_grad()
    def standardise_by(self, features: Tensor) -> None:
        """Fix the scaling of features by (n, d) features of training tiles."""
        self.feature_mean.copy_(features.mean(0))
        std = features.std(0, correction=0)
        # A dimension that hardly varies would be blown up to noise.
        self.feature_std.copy_(std.clamp_min(0.1 * float(std.mean()) + 1e-6))

    def pool(self, features: Tensor, owner: Tensor, n_bags: int) -> PooledBags:
        """Make one vector of each bag.

        Parameters
        ----------
        features : Tensor
            (n, d) tiles of all bags.
        owner : Tensor
            (n,) bag of each tile, 0 to B - 1; no bag is empty.
        n_bags : int
            B.
        """
        embedded, attention = self._weighed(features, owner, n_bags)
        vectors = embedded.new_zeros(n_bags, embedded.shape[1])
        vectors = vectors.index_add(0, owner, attention[:, None] * embedded)
        return PooledBags(vectors, attention)

    def _weighed(self, features: Tensor, owner: Tensor, n_bags: int) -> tuple[Tensor, Tensor]:
        """Return (n, width) embeddings and (n,) attention, which adds up to 1 over each bag."""
        embedded = self.embed((features - self.feature_mean) / self.feature_std)
        gated = torch.tanh(self.value(embedded)) * torch.sigmoid(self.gate(embedded))
        score = self.score(gated).squeeze(-1)
        largest = score.detach().new_full((n_bags,), -torch.inf)
        largest = largest.scatter_reduce(0, owner, score.detach(), "amax")
        power = torch.exp(score - largest[owner])
        total = power.new_zeros(n_bags).index_add(0, owner, power)
        return embedded, power / total[owner]

    def logits(self, vectors: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, width) slide vectors."""
        dropped = self.drop(vectors)
        return [head(dropped) for head in self.heads]

    @torch.no_grad()
    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, d) tile features of one slide and predict, whatever their order."""
        owner = torch.zeros(len(features), dtype=torch.long, device=features.device)
        vectors, attention = self.pool(features, owner, 1)
        zeros = features.new_zeros(len(features))
        return SlideOutput(
            vector=vectors[0],
            probabilities=[logits[0].softmax(0) for logits in self.logits(vectors)],
            codeword=zeros.long(),
            attention=attention,
            residual_norm=zeros,
            codeword_attention=features.new_zeros(0),
        )

    @torch.no_grad()
    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms:
        """Return a h and a of each of (n, d) tiles, a its attention in this slide, in one slot."""
        owner = torch.zeros(len(features), dtype=torch.long, device=features.device)
        embedded, attention = self._weighed(features, owner, 1)
        weight = attention[:, None]
        return TileTerms(torch.cat([weight * embedded, weight], dim=1), owner, 1)

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, 1, width + 1) sums of `tile_terms`."""
        # What is left may have next to no attention.
        return self.logits(sums[:, 0, :-1] / sums[:, 0, -1:].clamp_min(1e-30))

    def report_space(self, features: Tensor) -> None:
        """Return None: the method knows no reports."""
