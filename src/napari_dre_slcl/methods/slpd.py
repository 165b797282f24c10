"""SLPD (Yu et al., MICCAI 2023, arXiv 2307.10696): DINO on regions, and slide-level prototypes.

Knows tensors; where features come from, who saves and who cancels is the engine's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.methods.bag_method import Bags, BagTruth, OnEpoch, Validate
from napari_dre_slcl.methods.linear_probe import fit_heads
from napari_dre_slcl.methods.region_distillation import RegionDistillation
from napari_dre_slcl.model.regions import RegionStore
from napari_dre_slcl.model.seeds import seed_everything, seeded
from napari_dre_slcl.model.slpd_net import SlpdNet

__all__ = ["Slpd"]

_SCALING_PER_SLIDE = 64


class Slpd:
    """Second-stage pretraining of a region encoder, then the standard probe on slide vectors.

    Parameters
    ----------
    config : DreSlclConfig
        Section slpd, probe and seed.
    net : SlpdNet
        Trained by `fit`.
    """

    copies_wanted = 0

    def __init__(self, config: DreSlclConfig, net: SlpdNet) -> None:
        self.net = net
        self._config = config

    @classmethod
    def build(
        cls, config: DreSlclConfig, encoder: Any, dim: int, class_counts: Sequence[int]
    ) -> Self:
        """Build the method around a frozen encoder."""
        seed_everything(config.training.seed, "slpd network")
        return cls(config, SlpdNet(config, class_counts, encoder))

    def fit(
        self, bags: Bags, truth: BagTruth, on_epoch: OnEpoch, validate: Validate | None = None
    ) -> None:
        """Train the region encoder without labels, then fit the probe on the slide vectors.

        Raises
        ------
        ModelError
            If the loss is no longer a number, or regions are grids and tiles have no positions.
        CohortError
            If the slides show one class of a task only.
        """
        settings, seed = self._config.slpd, self._config.training.seed
        store = RegionStore.gather(bags.features, bags.rowcol, self.net.grid, settings.min_fill)
        self.net.set_scaling(self._sample(bags, seed))
        training = RegionDistillation(self.net, store, settings, seed)
        for epoch in range(settings.epochs):
            on_epoch(epoch + 1, settings.epochs, training.run_epoch(epoch))
        training.finish()
        vectors = [
            self.net.slide_vector(features.to(self.net.device), rowcol)
            for features, rowcol in zip(bags.features, bags.rowcol, strict=True)
        ]
        fit_heads(self.net.heads, torch.stack(vectors), truth, self._config.probe, seed)

    @staticmethod
    def _sample(bags: Bags, seed: int) -> torch.Tensor:
        """Return tiles to standardise by, at most so many of a slide."""
        generator = seeded(seed, "slpd scaling")
        return torch.cat(
            [
                rows[torch.randperm(len(rows), generator=generator)[:_SCALING_PER_SLIDE]]
                for rows in bags.features
            ]
        )
