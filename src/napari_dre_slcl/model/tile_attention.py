"""How much a slide's vector owes to each tile."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GatedAttention", "share_codeword_attention"]

_LOGIT_BOUND = 8.0


class GatedAttention(nn.Module):
    """Gated attention of Ilse et al. 2018, as a positive weight for each tile.

    The weight is exp of a bounded score, so that sums over parts of a slide can be added without
    knowing the largest score.

    Parameters
    ----------
    dim : int
        Width of a tile feature.
    width : int, optional
        Hidden width; ``dim`` by default.
    """

    def __init__(self, dim: int, width: int | None = None) -> None:
        super().__init__()
        hidden = width or dim
        self.value = nn.Linear(dim, hidden)
        self.gate = nn.Linear(dim, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n,) positive weights of (n, dim) features, not yet divided by their sum."""
        gated = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))
        score = self.score(gated).squeeze(-1)
        return torch.exp(_LOGIT_BOUND * torch.tanh(score / _LOGIT_BOUND))


def share_codeword_attention(
    codeword_attention: Tensor, codeword: Tensor, residual_norm: Tensor
) -> Tensor:
    """Share each codeword's attention among its tiles, by the norm of their residuals.

    Parameters
    ----------
    codeword_attention : Tensor
        (K,) sums to 1 over the codewords that have tiles.
    codeword : Tensor
        (n,) codeword of each tile.
    residual_norm : Tensor
        (n,) norm of each tile's residual.

    Returns
    -------
    Tensor
        (n,) attention of each tile, sums to 1 (METHOD, "Attention and evidence").
    """
    # A codeword whose tiles all lie on it exactly shares evenly.
    norm = residual_norm + 1e-12
    total = torch.zeros_like(codeword_attention).index_add_(0, codeword, norm)
    attention = codeword_attention[codeword] * norm / total[codeword]
    return attention / attention.sum()
