"""From residual sums to a slide vector: VLAD tokens, a small Transformer, codeword attention."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import ResidualConfig
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.residual_sums import ResidualSums

__all__ = ["ResidualEncoder", "SlideEncoding", "vlad"]

Normalisation = Literal["l2", "intra", "signed-sqrt"]


class SlideEncoding(NamedTuple):
    """What the slide Transformer makes of slides.

    Parameters
    ----------
    vector : Tensor
        (B, d) slide vectors.
    codeword_attention : Tensor
        (B, K) attention of [CLS] on the codewords, rolled out over the layers; rows sum to 1,
        empty codewords have 0.
    """

    vector: Tensor
    codeword_attention: Tensor


def vlad(residual: Tensor, normalisation: Normalisation = "l2") -> Tensor:
    """Normalise residual sums to a VLAD vector.

    Parameters
    ----------
    residual : Tensor
        (..., K, d) residual sums.
    normalisation : str
        "l2": over all K x d; "intra": each codeword first; "signed-sqrt": sign(v) sqrt|v| first.

    Returns
    -------
    Tensor
        Same shape, of length 1 over its last two axes; zeros stay zeros.
    """
    if normalisation == "intra":
        residual = nn.functional.normalize(residual, dim=-1)
    elif normalisation == "signed-sqrt":
        # The root's slope is infinite at 0, where an empty codeword sits.
        residual = residual.sign() * (residual.abs() + 1e-12).sqrt() * (residual != 0)
    return nn.functional.normalize(residual.flatten(-2), dim=-1).view_as(residual)


class ResidualEncoder(nn.Module):
    """Transformer over codeword tokens.

    Parameters
    ----------
    dim : int
        Width of features and tokens.
    codewords : int
        K.
    config : ResidualConfig
        Layers, heads, normalisation, global token.
    """

    def __init__(self, dim: int, codewords: int, config: ResidualConfig) -> None:
        super().__init__()
        if dim % config.heads:
            raise ConfigError(
                f"residual.heads={config.heads} does not divide the encoder's width {dim}. "
                f"Choose a divisor of {dim}."
            )
        self._normalisation: Normalisation = config.normalisation
        self.identity = nn.Parameter(torch.randn(codewords, dim) * 0.02)
        self.cls = nn.Parameter(torch.randn(dim) * 0.02)
        self.from_mean = nn.Linear(dim, dim) if config.global_token else None
        self.from_occupancy = nn.Linear(1, dim) if config.global_token else None
        self.layers = nn.ModuleList(_Layer(dim, config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, sums: ResidualSums, mean: Tensor) -> SlideEncoding:
        """Encode slides.

        Parameters
        ----------
        sums : ResidualSums
            Stacked over slides: residual (B, K, d), mass and count (B, K).
        mean : Tensor
            (B, d) weighted mean feature of each slide, standardised; for the global token.
        """
        tokens = vlad(sums.residual, self._normalisation) + self.identity
        start = self.cls.expand(len(tokens), 1, -1)
        if self.from_mean is not None and self.from_occupancy is not None:
            share = sums.mass / sums.mass.sum(1, keepdim=True)
            start = start + self.from_mean(mean).unsqueeze(1)
            tokens = tokens + self.from_occupancy((share + 1e-6).log().unsqueeze(-1))
        sequence = torch.cat([start, tokens], dim=1)
        is_empty = nn.functional.pad(sums.count == 0, (1, 0), value=False)
        rolled = torch.eye(sequence.shape[1], device=sequence.device, dtype=sequence.dtype)
        rolled = rolled.expand(len(sequence), -1, -1)
        for layer in self.layers:
            sequence, attention = layer(sequence, is_empty)
            # Attention rollout with the residual path, Abnar & Zuidema 2020.
            rolled = (
                0.5 * attention.detach()
                + 0.5
                * torch.eye(attention.shape[-1], device=attention.device, dtype=attention.dtype)
            ) @ rolled
        on_codewords = rolled[:, 0, 1:]
        return SlideEncoding(
            self.norm(sequence[:, 0]), on_codewords / on_codewords.sum(1, keepdim=True)
        )


class _Layer(nn.Module):
    def __init__(self, dim: int, config: ResidualConfig) -> None:
        super().__init__()
        hidden = round(dim * config.ffn_ratio)
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(
            dim, config.heads, dropout=config.dropout, batch_first=True
        )
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, dim)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, sequence: Tensor, is_empty: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.norm_attention(sequence)
        attended, weights = self.attention(normed, normed, normed, key_padding_mask=is_empty)
        sequence = sequence + self.dropout(attended)
        return sequence + self.dropout(self.ffn(self.norm_ffn(sequence))), weights
