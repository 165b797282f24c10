"""VLAD as sums: residuals per codeword add up over tiles, so parts of a slide can be added.

Jégou et al. 2010 for VLAD; the weighted form is METHOD's extension (c).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_dre_slcl.model.codebook import assign_codewords

__all__ = ["ResidualSums", "add_residuals", "residual_sums", "scale_gradient"]


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSums:
    """Residuals of the tiles of B slides, added up per slide and codeword.

    Parameters
    ----------
    residual : Tensor
        (B, K, d), v_k = sum of w_j (z_j - c_k) over the tiles of codeword k.
    mass : Tensor
        (B, K) sum of the weights w_j.
    count : Tensor
        (B, K) number of tiles.
    """

    residual: Tensor
    mass: Tensor
    count: Tensor

    def __add__(self, other: ResidualSums) -> ResidualSums:
        """Return the sums over both sets of tiles."""
        return ResidualSums(
            self.residual + other.residual, self.mass + other.mass, self.count + other.count
        )

    def to(self, like: Tensor) -> ResidualSums:
        """Return the same sums with the device and type of a tensor."""
        return ResidualSums(self.residual.to(like), self.mass.to(like), self.count.to(like))

    def slide(self, position: int) -> ResidualSums:
        """Return the sums of one slide, without the first axis."""
        return ResidualSums(self.residual[position], self.mass[position], self.count[position])

    @classmethod
    def stack(cls, slides: list[ResidualSums]) -> ResidualSums:
        """Join the sums of single slides, (K, d) and (K,), along a new first axis."""
        return cls(
            torch.stack([sums.residual for sums in slides]),
            torch.stack([sums.mass for sums in slides]),
            torch.stack([sums.count for sums in slides]),
        )


def residual_sums(
    features: Tensor,
    weights: Tensor,
    codewords: Tensor,
    owner: Tensor | None = None,
    n_slides: int = 1,
) -> ResidualSums:
    """Add up the residuals of tiles to their nearest codewords.

    Parameters
    ----------
    features : Tensor
        (n, d) tile features.
    weights : Tensor
        (n,) weights w; ones for plain VLAD.
    codewords : Tensor
        (K, d).
    owner : Tensor, optional
        (n,) position of each tile's slide, 0 to B - 1; one slide by default.
    n_slides : int
        B.

    Returns
    -------
    ResidualSums
        Zeros where no tile belongs to a codeword, or n is 0.
    """
    codeword = assign_codewords(features, codewords)
    k = len(codewords)
    slot = codeword if owner is None else owner * k + codeword
    # One product for all slides and codewords: on a GPU in one fixed order, unlike index_add.
    member = torch.nn.functional.one_hot(slot, n_slides * k).to(features.dtype)
    weighted = member * weights.unsqueeze(1)
    # Subtract before adding up: features lie close together, and their sums would cancel.
    residual = weighted.T @ (features - codewords[codeword])
    shape = (n_slides, k)
    return ResidualSums(
        residual.view(*shape, -1), weighted.sum(0).view(shape), member.sum(0).view(shape)
    )


def add_residuals(
    sums: dict[str, Tensor],
    owner: Tensor,
    codeword: Tensor,
    residual: Tensor,
    weight: Tensor,
    sign: int,
) -> None:
    """Add the residuals of some tiles to sums in place, or take them away.

    Parameters
    ----------
    sums : dict of str to Tensor
        ``residual`` (B, K, d), ``mass`` and ``count`` (B, K), contiguous.
    owner, codeword : Tensor
        (n,) int64, where each tile's residual belongs.
    residual : Tensor
        (n, d) unweighted.
    weight : Tensor
        (n,).
    sign : int
        1 adds, -1 takes away. Where that leaves no tile, exact zeros are left.
    """
    k, d = sums["residual"].shape[-2:]
    slot = owner * k + codeword
    total, mass = sums["residual"].view(-1, d), sums["mass"].view(-1)
    count = sums["count"].view(-1)
    signed = sign * weight
    total.index_add_(0, slot, residual * signed.unsqueeze(1))
    mass.index_add_(0, slot, signed)
    count.index_add_(0, slot, torch.full_like(slot, sign))
    if sign < 0:
        empty = slot[count[slot] == 0]
        total[empty] = 0
        mass[empty] = 0


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor: Tensor, factor: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(factor)
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (factor,) = ctx.saved_tensors
        return gradient * factor, None


def scale_gradient(tensor: Tensor, factor: Tensor) -> Tensor:
    """Return ``tensor`` unchanged; its gradient is multiplied by ``factor`` on the way back."""
    scaled: Tensor = _ScaleGradient.apply(tensor, factor)
    return scaled
