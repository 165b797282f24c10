"""Mean pooling: the mean tile feature of a slide, and the standard probe on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.methods.bag_method import Bags, BagTruth, OnEpoch, Validate
from napari_dre_slcl.methods.linear_probe import fit_heads
from napari_dre_slcl.model.mean_pool_net import MeanPoolNet

__all__ = ["MeanPool"]


class MeanPool:
    """The baseline that every other method has to beat.

    Parameters
    ----------
    config : DreSlclConfig
        Probe and seed.
    net : MeanPoolNet
        Its heads are set by `fit`.
    """

    copies_wanted = 0

    def __init__(self, config: DreSlclConfig, net: MeanPoolNet) -> None:
        self.net = net
        self._config = config

    @classmethod
    def build(
        cls, config: DreSlclConfig, encoder: Any, dim: int, class_counts: Sequence[int]
    ) -> Self:
        """Build the method around a frozen encoder."""
        return cls(config, MeanPoolNet(class_counts, encoder))

    def fit(
        self, bags: Bags, truth: BagTruth, on_epoch: OnEpoch, validate: Validate | None = None
    ) -> None:
        """Fit the probe on the mean features of the training slides."""
        vectors = torch.stack([features.mean(0) for features in bags.features])
        fit_heads(self.net.heads, vectors, truth, self._config.probe, self._config.training.seed)
        on_epoch(1, 1, {})
