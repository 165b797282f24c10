"""A moving average of a network's weights, kept in a network of its own beside it."""

from __future__ import annotations

from copy import deepcopy

import torch

from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["WeightAverage"]


class WeightAverage:
    """Average with exponential decay: a <- decay a + (1 - decay) w after each step.

    Early in training the decay is (1 + n) / (10 + n) where that is less, so that the random start
    is soon forgotten. Buffers, such as codewords, are taken over as they are.

    Parameters
    ----------
    net : DreSlclNet
        Whose weights are followed; they are the first average.
    decay : float
        0 <= decay < 1.
    """

    def __init__(self, net: DreSlclNet, decay: float) -> None:
        self._decay = decay
        self.net = deepcopy(net).requires_grad_(False).eval()
        """The network with the averaged weights."""

    @torch.no_grad()
    def update(self, net: DreSlclNet, step: int) -> None:
        """Take a step's weights in; the first step is 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for average, value in zip(self.net.parameters(), net.parameters(), strict=True):
            average.lerp_(value, 1 - decay)
        self.follow_buffers(net)

    @torch.no_grad()
    def follow_buffers(self, net: DreSlclNet) -> None:
        """Take over buffers, such as newly fitted codewords."""
        for average, value in zip(self.net.buffers(), net.buffers(), strict=True):
            average.copy_(value)
