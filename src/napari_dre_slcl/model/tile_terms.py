"""A slide as a weighted sum over its tiles: what each tile adds, and what follows from the sum.

Where a network's answer depends on its tiles through sums alone, leaving tiles out, drawing them
again and asking what each one adds all cost no more than adding up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["SumNet", "TileTerms", "log_odds", "sum_terms", "tile_evidence"]

_CHUNK = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class TileTerms:
    """What the n tiles of a slide add to its sums.

    Parameters
    ----------
    values : Tensor
        (n, p), what each tile adds where it counts once.
    slot : Tensor
        (n,) int64, which of the sums it adds to.
    n_slots : int
        S.
    n_seen : int or None
        How many tiles the method looks at where it does not look at all alike: its answer then is
        that of the sums on average alone.
    """

    values: Tensor
    slot: Tensor
    n_slots: int
    n_seen: int | None = None

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.slot)

    def only(self, tiles: Tensor) -> TileTerms:
        """Return the terms of some tiles, by (m,) positions or (n,) bool."""
        return replace(self, values=self.values[tiles], slot=self.slot[tiles])


class SumNet(Protocol):
    """A network whose answer depends on its tiles through sums."""

    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms | None:
        """Return the terms of (n, d) tile features; None where the network is no sum."""
        ...

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of the (B, S, p) sums of B slides."""
        ...


def sum_terms(terms: TileTerms, weights: Tensor | None = None) -> Tensor:
    """Add up the tiles of a slide.

    Parameters
    ----------
    terms : TileTerms
        Of its tiles.
    weights : Tensor, optional
        (B, n), how often each tile counts in each of B versions of the slide; once by default.

    Returns
    -------
    Tensor
        (B, S, p); B is 1 by default.
    """
    n_versions = 1 if weights is None else len(weights)
    total = terms.values.new_zeros(n_versions, terms.n_slots, terms.values.shape[1])
    for start in range(0, len(terms), _CHUNK):
        part = slice(start, start + _CHUNK)
        slot, values = terms.slot[part], terms.values[part]
        if n_versions == 1:
            member = torch.nn.functional.one_hot(slot, terms.n_slots).to(values.dtype)
            if weights is not None:
                member = member * weights[0, part, None].to(values)
            total[0] += member.T @ values
            continue
        assert weights is not None
        for number in slot.unique().tolist():
            chosen = (slot == number).nonzero().squeeze(1)
            total[:, number] += weights[:, part][:, chosen].to(values) @ values[chosen]
    return total


def log_odds(logits: Tensor, class_index: int) -> Tensor:
    """Return the (B,) log of p / (1 - p) of a class, of (B, C) logits."""
    others = [index for index in range(logits.shape[1]) if index != class_index]
    return logits[:, class_index] - logits[:, others].logsumexp(1)


def tile_evidence(net: SumNet, terms: TileTerms, targets: Sequence[tuple[int, int]]) -> Tensor:
    """Return what each tile adds to the log-odds of classes, to first order.

    With a weight w_i on each tile it is the derivative of the log-odds with respect to w_i at
    w = 1. For VLAD sums that is METHOD's <d logit / d v_k, z_i - c_k>, for it is linear in the
    residuals. Where the answer does not change when all tiles count twice, the evidence of a slide
    adds up to 0 (Euler's theorem on homogeneous functions): it says what speaks for a class in
    comparison with the rest of the slide.

    Parameters
    ----------
    net : SumNet
        In evaluation mode.
    terms : TileTerms
        Of the slide's tiles.
    targets : sequence of (int, int)
        Task and class of each of m columns.

    Returns
    -------
    Tensor
        (n, m).
    """
    sums = sum_terms(terms)
    with torch.enable_grad():
        sums = sums.detach().requires_grad_()
        logits = net.logits_of_sums(sums)
        slopes = [
            torch.autograd.grad(log_odds(logits[task], index).sum(), sums, retain_graph=True)[0][0]
            for task, index in targets
        ]
    if not slopes:
        return terms.values.new_zeros(len(terms), 0)
    # (S, p, m): one product per chunk gives all slots, of which each tile takes its own.
    slope = torch.stack(slopes, dim=-1)
    return torch.cat(
        [
            _own_slot(values, slot, slope)
            for values, slot in zip(
                terms.values.split(_CHUNK), terms.slot.split(_CHUNK), strict=True
            )
        ]
    )


def _own_slot(values: Tensor, slot: Tensor, slope: Tensor) -> Tensor:
    n_slots, _, n_targets = slope.shape
    everywhere = values @ slope.permute(1, 0, 2).reshape(slope.shape[1], -1)
    picked = everywhere.view(-1, n_slots, n_targets)
    return picked[torch.arange(len(slot), device=slot.device), slot]
