"""VLAD as sums: residuals per codeword add up over tiles, so parts of a slide can be added.

Jégou et al. 2010 for VLAD; the weighted form is METHOD's extension (c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_dre_slcl.model.codebook import assign_codewords

__all__ = ["ResidualSums", "residual_sums", "scale_gradient"]


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSums:
    """Residuals of a set of tiles, added up per codeword.

    Parameters
    ----------
    residual : Tensor
        (K, d), v_k = sum of w_j (z_j - c_k) over the tiles of codeword k.
    mass : Tensor
        (K,) sum of the weights w_j.
    count : Tensor
        (K,) number of tiles.
    """

    residual: Tensor
    mass: Tensor
    count: Tensor

    def __add__(self, other: ResidualSums) -> ResidualSums:
        """Return the sums over both sets of tiles."""
        return ResidualSums(
            self.residual + other.residual, self.mass + other.mass, self.count + other.count
        )

    @classmethod
    def stack(cls, slides: Sequence[ResidualSums]) -> ResidualSums:
        """Join the sums of B slides along a new first axis."""
        return cls(
            torch.stack([sums.residual for sums in slides]),
            torch.stack([sums.mass for sums in slides]),
            torch.stack([sums.count for sums in slides]),
        )


def residual_sums(features: Tensor, weights: Tensor, codewords: Tensor) -> ResidualSums:
    """Add up the residuals of tiles to their nearest codewords.

    Parameters
    ----------
    features : Tensor
        (n, d) tile features.
    weights : Tensor
        (n,) weights w; ones for plain VLAD.
    codewords : Tensor
        (K, d).

    Returns
    -------
    ResidualSums
        Zeros where no tile belongs to a codeword, or n is 0.
    """
    codeword = assign_codewords(features, codewords)
    member = torch.nn.functional.one_hot(codeword, len(codewords)).to(features.dtype)
    weighted = member * weights.unsqueeze(1)
    # Subtract before adding up: features lie close together, and their sums would cancel.
    residual = weighted.T @ (features - codewords[codeword])
    return ResidualSums(residual, weighted.sum(0), member.sum(0))


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor: Tensor, factor: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return gradient * ctx.factor, None


def scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """Return ``tensor`` unchanged; its gradient is multiplied by ``factor`` on the way back."""
    scaled: Tensor = _ScaleGradient.apply(tensor, factor)
    return scaled
