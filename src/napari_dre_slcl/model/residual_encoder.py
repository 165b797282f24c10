"""From residual sums to a slide vector: VLAD tokens, a small Transformer, codeword attention."""

from __future__ import annotations

import math
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
        (B, K) attention of what is pooled, [CLS] or with it the codewords by their mass, on the
        codewords, rolled out over the layers; rows sum to 1, empty codewords have 0.
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
        Layers, heads, and which of METHOD's extensions (a) and (b) are on.
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
        self._is_mean = config.tokens == "mean"
        self._has_mass_bias = config.mass_bias
        self._is_mass_pooled = config.pooling == "mass"
        self.from_mean = _global_map(dim, config) if config.global_token else None
        self.from_occupancy = nn.Linear(1, dim) if config.global_token else None
        self.layers = nn.ModuleList(_Layer(dim, config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, sums: ResidualSums, mean: Tensor) -> SlideEncoding:
        """Encode slides.

        Parameters
        ----------
        sums : ResidualSums
            Of B slides.
        mean : Tensor
            (B, d) weighted mean feature of each slide, standardised; for the global token.
        """
        share = sums.mass / sums.mass.sum(1, keepdim=True)
        tokens = self._tokens(sums, share)
        start = self.cls.expand(len(tokens), 1, -1)
        if self.from_mean is not None:
            start = start + self.from_mean(mean).unsqueeze(1)
        sequence = torch.cat([start, tokens], dim=1)
        key_bias = self._key_bias(share, sums.count == 0)
        identity = torch.eye(sequence.shape[1], device=sequence.device, dtype=sequence.dtype)
        rolled = identity.expand(len(sequence), -1, -1)
        for layer in self.layers:
            sequence, attention = layer(sequence, key_bias)
            # Attention rollout with the residual path, Abnar & Zuidema 2020.
            rolled = 0.5 * (attention.detach() + identity) @ rolled
        pooled, attended = sequence[:, 0], rolled[:, 0]
        if self._is_mass_pooled:
            pooled = pooled + (share.unsqueeze(-1) * sequence[:, 1:]).sum(1)
            attended = attended + (share.detach().unsqueeze(-1) * rolled[:, 1:]).sum(1)
        on_codewords = attended[:, 1:]
        return SlideEncoding(self.norm(pooled), on_codewords / on_codewords.sum(1, keepdim=True))

    def encode_single_tiles(self, residual: Tensor, codeword: Tensor, mean: Tensor) -> Tensor:
        """Return the vector of each tile as if it were a slide of its own.

        The codewords that such a slide lacks are hidden from all others, so that two tokens do:
        [CLS] and the tile's codeword. The tile's weight does not matter.

        Parameters
        ----------
        residual : Tensor
            (n, d) z - c_k of its codeword k.
        codeword : Tensor
            (n,) k.
        mean : Tensor
            (n, d) standardised feature.

        Returns
        -------
        Tensor
            (n, d).
        """
        token = vlad(residual.unsqueeze(1), self._normalisation) + self.identity[codeword][:, None]
        if self.from_occupancy is not None:
            token = token + self.from_occupancy(token.new_full((1,), 1 + 1e-6).log())
        start = self.cls.expand(len(token), 1, -1)
        if self.from_mean is not None:
            start = start + self.from_mean(mean).unsqueeze(1)
        sequence = torch.cat([start, token], dim=1)
        n_read = sequence.shape[1] if self._is_mass_pooled else 1
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, _Layer)
            is_last = number == len(self.layers) - 1
            sequence = layer.without_mask(sequence, n_read if is_last else sequence.shape[1])
        pooled = sequence.sum(1)
        vectors: Tensor = self.norm(pooled)
        return vectors

    def _tokens(self, sums: ResidualSums, share: Tensor) -> Tensor:
        residual = sums.residual
        if self._is_mean:
            is_empty = sums.count == 0
            residual = residual / sums.mass.masked_fill(is_empty, 1).unsqueeze(-1)
        tokens = vlad(residual, self._normalisation) + self.identity
        if self.from_occupancy is None:
            return tokens
        return tokens + self.from_occupancy((share + 1e-6).log().unsqueeze(-1))

    def _key_bias(self, share: Tensor, is_empty: Tensor) -> Tensor:
        """Return (B, 1 + K), added to the attention logits: -inf hides an empty codeword.

        With the occupancy bias, log(n_k/N), a codeword's n_k tiles weigh as n_k equal tokens.
        """
        bias = torch.zeros_like(share)
        if self._has_mass_bias:
            bias = share.masked_fill(is_empty, 1).log()
        return nn.functional.pad(bias.masked_fill(is_empty, float("-inf")), (1, 0))


def _global_map(dim: int, config: ResidualConfig) -> nn.Module:
    return nn.Linear(dim, dim) if config.global_map else nn.Identity()


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
        start = config.layer_scale
        # Touvron et al. 2021 (CaiT), section 2.
        self.scale = None if start is None else nn.Parameter(torch.full((2, dim), start))

    def forward(self, sequence: Tensor, key_bias: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.norm_attention(sequence)
        if self.training and self.attention.dropout:
            attended, weights = self._attend(normed, key_bias)
        else:
            attended, weights = self.attention(normed, normed, normed, key_padding_mask=key_bias)
        sequence = sequence + self.dropout(self._scaled(attended, 0))
        added = self._scaled(self.ffn(self.norm_ffn(sequence)), 1)
        return sequence + self.dropout(added), weights

    def _attend(self, normed: Tensor, key_bias: Tensor) -> tuple[Tensor, Tensor]:
        """Do as ``self.attention`` does, with a dropout that `keyed_dropout` reaches."""
        made = self.attention
        queries, keys, values = (
            part.unflatten(-1, (made.num_heads, -1)).transpose(1, 2)
            for part in nn.functional.linear(normed, made.in_proj_weight, made.in_proj_bias).chunk(
                3, dim=-1
            )
        )
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        weights = (scores + key_bias[:, None, None]).softmax(-1)
        weights = nn.functional.dropout(weights, made.dropout)
        attended = made.out_proj((weights @ values).transpose(1, 2).flatten(2))
        return attended, weights.mean(1)

    def without_mask(self, sequence: Tensor, n_read: int) -> Tensor:
        """Return the first ``n_read`` tokens of what `forward` makes where no token is hidden."""
        normed, read = self.norm_attention(sequence), sequence[:, :n_read]
        attended, _ = self.attention(normed[:, :n_read], normed, normed, need_weights=False)
        read = read + self.dropout(self._scaled(attended, 0))
        return read + self.dropout(self._scaled(self.ffn(self.norm_ffn(read)), 1))

    def _scaled(self, added: Tensor, part: int) -> Tensor:
        return added if self.scale is None else added * self.scale[part]
