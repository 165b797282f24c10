"""Takes the running mean and spread out of features, so that they fill the sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RunningCentre"]

_EPSILON = 1e-5


class RunningCentre(nn.Module):
    """Centre and scale each dimension by figures that follow the encoder step by step.

    Features of an encoder that was not trained yet lie close together on the sphere; what tells
    them apart is lost when they are brought to length 1. Unlike batch normalisation, the figures
    are constants within a step, in training too, so that fresh features and those of the bank are
    made alike, and a feature does not depend on the tiles that it is encoded with.

    Parameters
    ----------
    dim : int
        Width of a feature.
    momentum : float
        Share of a step's own figures in the running ones; the first step's are taken whole.
    """

    mean: Tensor
    var: Tensor
    n_updates: Tensor

    def __init__(self, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self._momentum = momentum
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("var", torch.ones(dim))
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))
        self._n_seen = 0
        self._sums: tuple[Tensor, Tensor] | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, dim) features less the mean, over the spread; (x - m) / sqrt(v + 1e-5)."""
        if self.training:
            self.see(features)
        return (features - self.mean) / (self.var + _EPSILON).sqrt()

    @torch.no_grad()
    def see(self, features: Tensor) -> None:
        """Keep the figures of (n, dim) features for the next `update`."""
        values = features.detach()
        if values.device.type != "mps":  # which has no double precision
            values = values.double()
        sums = values.sum(0), values.square().sum(0)
        if self._sums is not None:
            sums = self._sums[0] + sums[0], self._sums[1] + sums[1]
        self._n_seen, self._sums = self._n_seen + len(values), sums

    def forget(self) -> None:
        """Drop what was seen since the last `update`."""
        self._n_seen, self._sums = 0, None

    @torch.no_grad()
    def seen(self, n_tiles: int) -> Tensor:
        """Return what was seen of so many tiles as one vector, to be added to that of others.

        Parameters
        ----------
        n_tiles : int
            How many tiles they were, each of which may have been seen more than once.

        Returns
        -------
        Tensor
            (1 + 2 dim,): number, sums, sums of squares; each tile counts once.
        """
        if self._sums is None or not n_tiles:
            return self.mean.new_zeros(1 + 2 * len(self.mean), dtype=torch.float64)
        share = n_tiles / self._n_seen
        number = self._sums[0].new_full((1,), n_tiles)
        return torch.cat([number, self._sums[0] * share, self._sums[1] * share])

    def see_instead(self, total: Tensor) -> None:
        """Take the sum of several vectors of `seen` for what was seen."""
        self.forget()
        if total[0] > 0:
            first, second = total[1:].chunk(2)
            self._n_seen, self._sums = round(float(total[0])), (first, second)

    @torch.no_grad()
    def update(self) -> None:
        """Move the running figures towards those seen since the last call, and forget these.

        Tiles that were encoded twice within a step, as gradient caching does, count twice, all of
        them: the figures are the same.
        """
        if self._sums is None:
            return
        mean, square = (total / self._n_seen for total in self._sums)
        share = self._momentum if int(self.n_updates) else 1.0
        self.mean.lerp_(mean.to(self.mean), share)
        self.var.lerp_((square - mean.square()).clamp_min(0).to(self.var), share)
        self.n_updates += 1
        self.forget()
