"""SlpdNet: frozen tile encoder, region encoder and linear heads; a slide is its regions' mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.model.linear_heads import LinearHeads
from napari_dre_slcl.model.region_encoder import RegionMlp, RegionVit
from napari_dre_slcl.model.regions import RegionInputs, check_positions, find_regions, lay_out
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["SlpdNet"]

_CHUNK = 64
_CHUNK_VECTORS = 8192


class SlpdNet(nn.Module):
    """The network of SLPD.

    Parameters
    ----------
    config : DreSlclConfig
        Section slpd.
    class_counts : sequence of int
        Number of classes of each task.
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows; stays as it is.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: DreSlclConfig, class_counts: Sequence[int], encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self._settings = config.slpd
        dim, kind = int(encoder.dim), config.slpd.region_encoder
        if kind == "auto":
            kind = "vit" if encoder.takes_pixels else "mlp"
        self.region_encoder: RegionVit | RegionMlp = (
            RegionVit(dim, config.slpd) if kind == "vit" else RegionMlp(dim, config.slpd)
        )
        self.heads = LinearHeads(self.region_encoder.width, class_counts)
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.feature_mean.device

    @property
    def codeword_names(self) -> tuple[str, ...]:
        """None: the prototypes are dropped after training."""
        return ()

    @property
    def grid(self) -> int:
        """Edge of a region in tiles; 0 where each feature is a region."""
        return self._settings.region_grid if self.region_encoder.takes_grids else 0

    @torch.no_grad()
    def set_scaling(self, features: Tensor) -> None:
        """Fix the scaling of features from (n, d) features of training tiles."""
        self.feature_mean.copy_(features.mean(0))
        std = features.std(0, correction=0)
        # A dimension that hardly varies would be blown up to noise.
        self.feature_std.copy_(std.clamp_min(0.1 * float(std.mean()) + 1e-6))

    def standardise(self, inputs: RegionInputs) -> RegionInputs:
        """Remove the mean and deviation of the training tiles; empty cells stay zeros."""
        values = (inputs.values.to(self.device) - self.feature_mean) / self.feature_std
        if inputs.is_there is None:
            return RegionInputs(values, None)
        is_there = inputs.is_there.to(self.device)
        return RegionInputs(values * is_there.unsqueeze(-1), is_there)

    @torch.no_grad()
    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, d) tile features of one slide and predict.

        Every region weighs alike, and a tile has its share of the region's attention; tiles in
        regions that are too empty have none. The result depends on the set of tiles, not on their
        order.

        Raises
        ------
        ModelError
            If regions are grids and the tiles have no positions.
        """
        vector, attention = self._aggregate(features, rowcol)
        nothing = features.new_zeros(len(features))
        return SlideOutput(
            vector=vector,
            probabilities=[one[0] for one in self.heads.probabilities(vector.unsqueeze(0))],
            codeword=torch.zeros(len(features), dtype=torch.int64, device=features.device),
            attention=attention,
            residual_norm=nothing,
            codeword_attention=features.new_zeros(0),
        )

    @torch.no_grad()
    def slide_vector(self, features: Tensor, rowcol: Tensor | None = None) -> Tensor:
        """Return (width,), the mean of the region vectors of one slide."""
        return self._aggregate(features, rowcol)[0]

    @torch.no_grad()
    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms | None:
        """Return the region vector and 1 of each of (n, d) features, in one slot.

        None where regions are grids of tiles: a region's vector is no sum over its tiles.
        """
        if self.grid:
            return None
        vectors = self._region_vectors(features)
        one = vectors.new_ones(len(vectors), 1)
        slot = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
        return TileTerms(torch.cat([vectors, one], dim=1), slot, 1)

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, 1, width + 1) sums of `tile_terms`."""
        return self.heads.logits(sums[:, 0, :-1] / sums[:, 0, -1:])

    def report_space(self, features: Tensor) -> None:
        """Return None: the method knows no reports."""

    def _region_vectors(self, features: Tensor) -> Tensor:
        return torch.cat(
            [
                self.region_encoder(self.standardise(RegionInputs(chunk, None))).vector
                for chunk in features.split(_CHUNK_VECTORS)
            ]
        )

    def _aggregate(self, features: Tensor, rowcol: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (width,) slide vector and (n,) attention."""
        if not self.grid:
            even = features.new_full((len(features),), 1 / len(features))
            return self._region_vectors(features).mean(0), even
        check_positions([rowcol])
        assert rowcol is not None
        regions = find_regions(rowcol.cpu(), self.grid, self._settings.min_fill)
        inputs = self.standardise(lay_out(features, regions, self.grid))
        assert inputs.is_there is not None
        chunks = [
            self.region_encoder(RegionInputs(values, is_there))
            for values, is_there in zip(
                inputs.values.split(_CHUNK), inputs.is_there.split(_CHUNK), strict=True
            )
        ]
        on_cells = torch.cat([chunk.attention for chunk in chunks]).flatten()
        used = regions.member >= 0
        index = (regions.member * self.grid**2 + regions.cell)[used].to(features.device)
        sharing = torch.bincount(index, minlength=len(on_cells)).clamp(min=1)
        attention = features.new_zeros(len(features))
        attention[used.to(features.device)] = (on_cells / sharing)[index] / regions.n_regions
        return torch.cat([chunk.vector for chunk in chunks]).mean(0), attention
