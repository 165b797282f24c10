"""DreSlclNet: tile encoder, codebook, residual encoder, projection and task heads, assembled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.model.codebook import assign_codewords
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.residual_encoder import ResidualEncoder, SlideEncoding
from napari_dre_slcl.model.residual_sums import ResidualSums, residual_sums, scale_gradient
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.tile_attention import GatedAttention, share_codeword_attention
from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["DreSlclNet"]

_MAX_SCALE = 100.0
_BANK_CHUNK = 8192
_SINGLE_CHUNK = 512


class DreSlclNet(nn.Module):
    """The trainable network of DRE-SLCL.

    Parameters
    ----------
    config : DreSlclConfig
        Encoder, codebook, residual and loss settings.
    class_counts : sequence of int
        Number of classes of each task.
    text_dim : int
        Width of a report vector; 0 where there are no reports.
    encoder : nn.Module, optional
        Makes (n, dim) unit rows of its input; the settings' own by default.
    """

    codewords: Tensor
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        config: DreSlclConfig,
        class_counts: Sequence[int],
        text_dim: int,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        made: Any = build_encoder(config) if encoder is None else encoder
        self.encoder = made
        dim, k = int(made.dim), config.codebook.codewords
        self.tile_attention = (
            GatedAttention(dim, config.residual.attention_width)
            if config.residual.weighting == "attention"
            else None
        )
        self.register_buffer("codewords", torch.zeros(k, dim))
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))
        self.residual_encoder = ResidualEncoder(dim, k, config.residual)
        self.heads = nn.ModuleList(nn.Linear(dim, count) for count in class_counts)
        self.projection = nn.Linear(dim, text_dim) if text_dim else None
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.loss.temperature)))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.codewords.device

    @property
    def codeword_names(self) -> tuple[str, ...]:
        """One per codeword."""
        return tuple(f"codeword {k + 1}" for k in range(len(self.codewords)))

    @torch.no_grad()
    def set_codebook(self, codewords: Tensor, features: Tensor) -> None:
        """Fix the codewords, and the scaling of features, from features of training tiles.

        Features of one encoder lie close together on the sphere. Where they are read directly, by
        the tile attention and the global token, they are standardised by these fixed figures.

        Parameters
        ----------
        codewords : Tensor
            (K, d).
        features : Tensor
            (n, d) that the codewords were fitted on.
        """
        self.codewords.copy_(codewords)
        self.feature_mean.copy_(features.mean(0))
        std = features.std(0, correction=0)
        # A dimension that hardly varies would be blown up to noise.
        self.feature_std.copy_(std.clamp_min(0.1 * float(std.mean()) + 1e-6))

    def standardise(self, features: Tensor) -> Tensor:
        """Return (..., d) features with the mean and deviation of the training tiles removed."""
        return (features - self.feature_mean) / self.feature_std

    @property
    def scale(self) -> Tensor:
        """1 / temperature, at most 100."""
        return self.log_scale.exp().clamp(max=_MAX_SCALE)

    def sums(
        self,
        features: Tensor,
        owner: Tensor | None = None,
        n_slides: int = 1,
        gradient_scale: Tensor | None = None,
    ) -> ResidualSums:
        """Residual sums of the tiles of B slides, with gradient.

        Parameters
        ----------
        features : Tensor
            (n, d).
        owner : Tensor, optional
            (n,) position of each tile's slide, 0 to B - 1; one slide by default.
        n_slides : int
            B.
        gradient_scale : Tensor, optional
            (n, 1) factor on the gradient that reaches the features; N/s makes s fresh tiles stand
            for N.
        """
        if gradient_scale is not None:
            features = scale_gradient(features, gradient_scale)
        weights = self.weights(features)
        return residual_sums(features, weights, self.codewords, owner, n_slides)

    @torch.no_grad()
    def bank_sums(self, features: Tensor) -> ResidualSums:
        """Residual sums of (n, d) features of one slide on any device, by chunks, no gradient."""
        total = self.sums(features[:0].to(self.codewords))
        for chunk in features.split(_BANK_CHUNK):
            total = total + self.sums(chunk.to(self.codewords))
        return total

    @torch.no_grad()
    def index_tiles(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n,) codeword and (n,) weight of (n, d) features on any device, as the bank keeps.

        Both are on the CPU.
        """
        features = features.to(self.codewords)
        codeword = assign_codewords(features, self.codewords)
        return codeword.cpu(), self.weights(features).cpu()

    def encode_slides(self, sums: ResidualSums) -> SlideEncoding:
        """Encode B slides from their residual sums."""
        mass = sums.mass.unsqueeze(-1)
        total = (sums.residual + mass * self.codewords).sum(1)
        mean = self.standardise(total / mass.sum(1))
        encoding: SlideEncoding = self.residual_encoder(sums, mean)
        return encoding

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Keep the temperature where it has a gradient, as CLIP does."""
        self.log_scale.clamp_(max=math.log(_MAX_SCALE) - 1e-5)

    def project(self, vectors: Tensor) -> Tensor:
        """Return (B, text_dim) unit vectors in report space: u = norm(W h + b)."""
        if self.projection is None:
            raise ValueError("the network was built without a report space")
        return nn.functional.normalize(self.projection(vectors), dim=-1)

    @torch.no_grad()
    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, d) tile features of one slide and predict.

        The result depends on the set of tiles, not on their order.
        """
        sums = self.bank_sums(features)
        encoding = self.encode_slides(sums)
        codeword = assign_codewords(features, self.codewords)
        norm = (features - self.codewords[codeword]).norm(dim=1)
        if self.tile_attention is None:
            attention = share_codeword_attention(encoding.codeword_attention[0], codeword, norm)
        else:
            weights = self.weights(features)
            attention = weights / weights.sum()
        return SlideOutput(
            vector=encoding.vector[0],
            probabilities=[head(encoding.vector)[0].softmax(0) for head in self.heads],
            codeword=codeword,
            attention=attention,
            residual_norm=norm,
            codeword_attention=encoding.codeword_attention[0],
        )

    @torch.no_grad()
    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms:
        """Return what each of (n, d) tiles adds to the residual sums.

        One slot per codeword, with w (z - c), w and 1 of each tile.
        """
        codeword = assign_codewords(features, self.codewords)
        weight = torch.cat([self.weights(part) for part in features.split(_BANK_CHUNK)])[:, None]
        residual = (features - self.codewords[codeword]).mul_(weight)
        values = torch.cat([residual, weight, torch.ones_like(weight)], dim=1)
        return TileTerms(values, codeword, len(self.codewords))

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, K, d + 2) sums of `tile_terms`."""
        vector = self.encode_slides(
            ResidualSums(sums[..., :-2], sums[..., -2], sums[..., -1].detach())
        ).vector
        return [head(vector) for head in self.heads]

    @torch.no_grad()
    def report_space(self, features: Tensor) -> Tensor | None:
        """Return (n, text_dim) unit vectors, each of (n, d) tiles alone as a slide.

        None where the network was built without a report space.
        """
        if self.projection is None:
            return None
        vectors = []
        for part in features.split(_SINGLE_CHUNK):
            codeword = assign_codewords(part, self.codewords)
            residual = part - self.codewords[codeword]
            vector = self.residual_encoder.encode_single_tiles(
                residual, codeword, self.standardise(part)
            )
            vectors.append(self.project(vector))
        return torch.cat(vectors) if vectors else features.new_zeros(0, len(self.projection.bias))

    def weights(self, features: Tensor) -> Tensor:
        """Return (n,) weights of (n, d) tile features: gated attention, or ones."""
        if self.tile_attention is None:
            return features.new_ones(len(features))
        weights: Tensor = self.tile_attention(self.standardise(features))
        return weights
