"""Giga-SSL: SimCLR on slides as bags of frozen tile features (Lazard et al., CVPRW 2023).

Two random views of a slide, a few tiles each, are to lie close together and far from the views of
other slides. No label is looked at until linear heads are fitted on the finished slide vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.config.giga_ssl import GigaSslConfig
from napari_dre_slcl.errors import CohortError, ModelError
from napari_dre_slcl.methods.bag_method import Bags, BagTruth, OnEpoch, Validate
from napari_dre_slcl.methods.linear_probe import fit_heads
from napari_dre_slcl.methods.never_negatives import never_negatives
from napari_dre_slcl.methods.sampling import draw_batches
from napari_dre_slcl.methods.view_sampler import ViewSampler
from napari_dre_slcl.model.giga_ssl_net import GigaSslNet
from napari_dre_slcl.model.losses import view_contrast
from napari_dre_slcl.model.seeds import seed_everything, seeded

__all__ = ["GigaSsl"]

_LR_SLIDES = 256


class GigaSsl:
    """Trains a `GigaSslNet`.

    Parameters
    ----------
    config : DreSlclConfig
        Its sections ``giga_ssl`` and ``probe``, and ``training.seed``.
    net : GigaSslNet
        Trained in place, on its device.
    """

    def __init__(self, config: DreSlclConfig, net: GigaSslNet) -> None:
        self.net = net
        self.copies_wanted = config.giga_ssl.copies
        self._config, self._settings = config, config.giga_ssl
        self._seed = config.training.seed

    @classmethod
    def build(
        cls, config: DreSlclConfig, encoder: Any, dim: int, class_counts: Sequence[int]
    ) -> Self:
        """Build the method and its untrained network; the same seed gives the same weights."""
        seed_everything(config.training.seed, "giga-ssl network")
        return cls(config, GigaSslNet(config, class_counts, encoder))

    def fit(
        self, bags: Bags, truth: BagTruth, on_epoch: OnEpoch, validate: Validate | None = None
    ) -> None:
        """Train the aggregator on views of slides, then fit the heads on the slide vectors.

        Parameters
        ----------
        bags, truth : Bags, BagTruth
            Training slides. Labels are for the heads alone; patients say which slides are never
            each other's negatives.
        on_epoch : callable
            Called after each pass with ``nt_xent``; may raise.
        validate : callable, optional
            Not called: there is nothing to validate before the heads are fitted.

        Raises
        ------
        CohortError
            If there are fewer than two slides, or they show one class of a task only.
        ConfigError
            If the aggregator needs tile positions that are not known.
        ModelError
            If the loss is no longer a number.
        """
        if len(bags) < 2:
            raise CohortError("Giga-SSL tells slides apart and needs two training slides or more.")
        positions = tuple(self.net.positions(rowcol) for rowcol in bags.rowcol)
        self.net.set_scaling(*_mean_and_std(bags.features))
        patients = truth.patients or tuple(str(slide) for slide in range(len(bags)))
        trainer = _ViewTrainer(
            self.net, ViewSampler(bags, positions, self._settings), patients, self._config
        )
        for epoch in range(self._settings.epochs):
            loss = trainer.train_epoch(epoch)
            on_epoch(epoch + 1, self._settings.epochs, {"nt_xent": loss})
        self.net.eval()
        fit_heads(self.net.heads, self._vectors(bags), truth, self._config.probe, self._seed)

    def _vectors(self, bags: Bags) -> Tensor:
        """Return (n, width) vectors of the slides, as prediction makes them."""
        device = self.net.device
        pairs = zip(bags.features, bags.rowcol, strict=True)
        return torch.stack(
            [self.net.slide_vector(features.to(device), rowcol) for features, rowcol in pairs]
        )


class _ViewTrainer:
    """Trains the aggregator of a network, and the projector that is dropped afterwards."""

    def __init__(
        self,
        net: GigaSslNet,
        sampler: ViewSampler,
        patients: Sequence[str],
        config: DreSlclConfig,
    ) -> None:
        self._net, self._sampler, self._patients = net, sampler, patients
        self._settings, self._seed = config.giga_ssl, config.training.seed
        self._is_same = never_negatives(patients)
        seed_everything(self._seed, "giga-ssl projector")
        self._projector = _make_projector(self._settings).to(net.device)
        self._rate = (
            self._settings.lr * min(self._settings.slides_per_batch, len(patients)) / _LR_SLIDES
        )
        weights = [*net.aggregator.parameters(), *self._projector.parameters()]
        self._optimiser = torch.optim.Adam(weights, lr=self._rate)

    def train_epoch(self, epoch: int) -> float:
        """Show every slide once, in two views; return the mean loss."""
        self._net.aggregator.train()
        batches = draw_batches(
            self._patients,
            (),
            self._settings.slides_per_batch,
            seeded(self._seed, "giga-ssl batches", epoch),
            one_slide_per_patient=False,
            within_site=False,
        )
        total = 0.0
        for number, batch in enumerate(batches):
            seed_everything(self._seed, "giga-ssl dropout", epoch, number)
            rate = self._rate * _rate_factor(epoch + number / len(batches), self._settings)
            generator = seeded(self._seed, "giga-ssl views", epoch, number)
            total += self._step(torch.tensor(batch), rate, generator) * len(batch)
        return total / len(self._patients)

    def _step(self, slides: Tensor, rate: float, generator: torch.Generator) -> float:
        features, positions = self._sampler.draw(slides.repeat(2), generator)
        vectors = self._net.encode_bags(features.to(self._net.device), positions)
        first, second = self._projector(vectors).chunk(2)
        is_same = self._is_same.among(slides).to(self._net.device)
        loss = view_contrast(first, second, self._settings.temperature, is_same)
        if not bool(torch.isfinite(loss)):
            raise ModelError(
                "Giga-SSL stopped because the loss is no longer a number. Lower giga_ssl.lr."
            )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return float(loss.detach())


def _make_projector(settings: GigaSslConfig) -> nn.Sequential:
    """Return width-512-512-256: linear, ReLU, BN twice, then linear."""
    hidden = settings.projector_width
    return nn.Sequential(
        nn.Linear(settings.width, hidden),
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Linear(hidden, settings.projector_out),
    )


def _rate_factor(epoch: float, settings: GigaSslConfig) -> float:
    """Rise over the warm-up, at most half of the training, then half a cosine to 0."""
    warmup = min(settings.warmup_epochs, settings.epochs / 2)
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (settings.epochs - warmup)))


def _mean_and_std(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return (d,) mean and deviation over the tiles of all slides."""
    n_tiles = sum(len(one) for one in features)
    total = torch.stack([one.double().sum(0) for one in features]).sum(0)
    squares = torch.stack([one.double().square().sum(0) for one in features]).sum(0)
    mean = total / n_tiles
    return mean, (squares / n_tiles - mean.square()).clamp_min(0).sqrt()
