"""DRE-SLCL (arXiv 2511.05034): fresh tiles with gradient, the others from the memory bank.

Knows tensors; where tiles come from and who cancels is the engine's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.augmentation import augment_tiles
from napari_dre_slcl.model.codebook import fit_codebook
from napari_dre_slcl.model.losses import masked_cross_entropy, slide_report_contrast
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.residual_sums import ResidualSums

__all__ = ["DreSlcl", "SlideBatch", "SlideTruth"]

_ENCODE_CHUNK = 128


@dataclass(frozen=True, slots=True)
class SlideTruth:
    """What is known of the training slides, row i for slide i of the bank.

    Parameters
    ----------
    labels : Tensor
        (n, n_tasks) class numbers, -1 where missing.
    class_weights : tuple of Tensor
        One (C,) per task.
    task_names : tuple of str
        Names of the tasks, for the log.
    reports : Tensor
        (n, text_dim) unit vectors; width 0 without report contrast.
    has_report : Tensor
        (n,) bool.
    is_same : Tensor
        (n, n) bool, True where two slides share a patient or a report.
    """

    labels: Tensor
    class_weights: tuple[Tensor, ...]
    task_names: tuple[str, ...]
    reports: Tensor
    has_report: Tensor
    is_same: Tensor


@dataclass(frozen=True, slots=True)
class SlideBatch:
    """The slides of one step.

    Parameters
    ----------
    slides : tuple of int
        Numbers of the slides in the bank.
    fresh : tuple of Tensor
        For each slide the (s,) distinct numbers of its fresh tiles.
    tiles : Tensor
        (sum of s, size, size, 3) uint8 pixels of the fresh tiles, slide after slide.
    """

    slides: tuple[int, ...]
    fresh: tuple[Tensor, ...]
    tiles: Tensor


class DreSlcl:
    """Train a network by the dynamic residual encoding of METHOD section 1.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    net : DreSlclNet
        On its device.
    bank : MemoryBank
        One row per tile of the training slides.
    truth : SlideTruth
        Labels and reports of the training slides.
    total_steps : int
        Length of the run, for the learning rate's schedule.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        net: DreSlclNet,
        bank: MemoryBank,
        truth: SlideTruth,
        total_steps: int,
    ) -> None:
        self.net = net
        self.bank = bank
        self._config = config
        self._truth = truth
        self._generator = torch.Generator().manual_seed(config.training.seed)
        self._groups = _parameter_groups(net, config)
        self._optimiser = torch.optim.AdamW(self._groups)
        steps_per_epoch = total_steps / config.training.epochs
        warmup = config.training.warmup_epochs * steps_per_epoch
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: _rate_factor(step, warmup, total_steps)
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.net.codewords.device

    @torch.no_grad()
    def encode_tiles(self, tiles: Tensor) -> Tensor:
        """Encode (n, size, size, 3) uint8 tiles without gradient; (n, d) on the CPU."""
        self.net.eval()
        return torch.cat(
            [self.net.encoder(_as_input(c, self.device)).cpu() for c in tiles.split(_ENCODE_CHUNK)]
        )

    def fit_codewords(self) -> None:
        """Fit the codewords on the bank, the same number of tiles from each slide."""
        settings = self._config.codebook
        drawn = []
        for slide in range(len(self.bank)):
            order = torch.randperm(self.bank.tile_count(slide), generator=self._generator)
            drawn.append(self.bank.features(slide, order[: settings.tiles_per_slide]))
        features = torch.cat(drawn)
        codewords = fit_codebook(features, settings.codewords, self._config.training.seed)
        self.net.set_codebook(codewords, features)

    def draw_fresh(self, slide: int) -> Tensor:
        """Draw the numbers of a slide's fresh tiles, all of them where it has few."""
        order = torch.randperm(self.bank.tile_count(slide), generator=self._generator)
        return order[: self._config.training.fresh_tiles].sort().values

    def draw_batches(self) -> list[tuple[int, ...]]:
        """Draw the batches of an epoch: every slide once, batches of nearly equal size."""
        order = torch.randperm(len(self.bank), generator=self._generator)
        n_batches = steps_per_epoch(len(self.bank), self._config.training.slides_per_batch)
        return [tuple(part.tolist()) for part in order.tensor_split(n_batches)]

    def step(self, batch: SlideBatch) -> dict[str, float]:
        """Take one optimiser step and refresh the drawn rows of the bank.

        Returns
        -------
        dict of str to float
            ``loss``, ``loss/contrastive`` and ``loss/<task>`` of this batch.

        Raises
        ------
        ModelError
            If the loss is not a number.
        """
        self.net.train()
        pixels = _as_input(batch.tiles, self.device)
        if self._config.training.augment:
            counts = [len(fresh) for fresh in batch.fresh]
            pixels = augment_tiles(pixels, counts, self._generator)
        features = self._encode_fresh(pixels)
        losses = self.losses(batch, features)
        loss = losses["loss"]
        if not bool(torch.isfinite(loss)):
            raise ModelError(
                "Training stopped because the loss is no longer a number. "
                "Lower training.lr_encoder and training.lr_rest and start again."
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self._groups:
            nn.utils.clip_grad_norm_(group["params"], self._config.training.clip_norm)
        self._optimiser.step()
        self._schedule.step()
        for slide, tiles, fresh in self._by_slide(batch, features):
            self.bank.write(slide, tiles, fresh)
        return {name: float(value.detach()) for name, value in losses.items()}

    def losses(self, batch: SlideBatch, features: Tensor) -> dict[str, Tensor]:
        """Return the losses of a batch, given the (sum of s, d) features of its fresh tiles."""
        encoding = self.net.encode_slides(
            [self._slide_sums(*parts) for parts in self._by_slide(batch, features)]
        )
        vectors, rows = encoding.vector, torch.tensor(batch.slides)
        weights, terms = self._config.loss, {}
        total = vectors.sum() * 0
        with_report = self._truth.has_report[rows].nonzero().squeeze(1)
        if self.net.projection is not None and weights.contrastive_weight and len(with_report) > 1:
            terms["loss/contrastive"] = self._contrast(vectors, rows, with_report)
            total = total + weights.contrastive_weight * terms["loss/contrastive"]
        for index, name in enumerate(self._truth.task_names):
            labels = self._truth.labels[rows, index].to(self.device)
            class_weights = self._truth.class_weights[index].to(self.device)
            term = masked_cross_entropy(self.net.heads[index](vectors), labels, class_weights)
            terms[f"loss/{name}"] = term
            total = total + weights.task_weight * term
        return {"loss": total, **terms}

    def _contrast(self, vectors: Tensor, rows: Tensor, with_report: Tensor) -> Tensor:
        chosen = rows[with_report]
        return slide_report_contrast(
            self.net.project(vectors[with_report.to(self.device)]),
            self._truth.reports[chosen].to(self.device),
            self.net.scale,
            self._truth.is_same[chosen][:, chosen].to(self.device),
        )

    def _encode_fresh(self, pixels: Tensor) -> Tensor:
        if self.net.encoder.is_trainable:
            features: Tensor = self.net.encoder(pixels)
            return features
        with torch.no_grad():
            frozen: Tensor = self.net.encoder(pixels)
            return frozen

    def _slide_sums(self, slide: int, fresh: Tensor, features: Tensor) -> ResidualSums:
        n_tiles = self.bank.tile_count(slide)
        is_bank = torch.ones(n_tiles, dtype=torch.bool)
        is_bank[fresh] = False
        others = is_bank.nonzero().squeeze(1)
        cap = self._config.training.bank_tiles
        if cap is not None and len(others) > cap:
            others = others[torch.randperm(len(others), generator=self._generator)[:cap]]
        scale = (len(others) + len(fresh)) / len(fresh)
        own = self.net.sums(features, scale if self._config.training.rescale_gradient else 1.0)
        if not len(others):
            return own
        return own + self.net.bank_sums(self.bank.features(slide, others))

    @staticmethod
    def _by_slide(batch: SlideBatch, features: Tensor) -> list[tuple[int, Tensor, Tensor]]:
        parts = features.split([len(fresh) for fresh in batch.fresh])
        return list(zip(batch.slides, batch.fresh, parts, strict=True))


def steps_per_epoch(n_slides: int, slides_per_batch: int) -> int:
    """Return the number of batches that hold every slide once."""
    return max(1, math.ceil(n_slides / slides_per_batch))


def _as_input(tiles: Tensor, device: torch.device) -> Tensor:
    return tiles.to(device).permute(0, 3, 1, 2).float().div_(255)


def _parameter_groups(net: DreSlclNet, config: DreSlclConfig) -> list[dict[str, Any]]:
    encoder = {id(parameter) for parameter in net.encoder.parameters()}
    groups = []
    for is_encoder, rate in ((True, config.training.lr_encoder), (False, config.training.lr_rest)):
        for is_matrix in (True, False):
            parameters = [
                parameter
                for parameter in net.parameters()
                if parameter.requires_grad
                and (id(parameter) in encoder) == is_encoder
                and (parameter.ndim > 1) == is_matrix
            ]
            decay = config.training.weight_decay if is_matrix else 0.0
            if parameters:
                groups.append({"params": parameters, "lr": rate, "weight_decay": decay})
    return groups


def _rate_factor(step: int, warmup: float, total: int) -> float:
    rise = min(1.0, (step + 1) / max(1.0, warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total))))


def class_weights(labels: Sequence[int], n_classes: int, is_balanced: bool) -> Tensor:
    """Return (C,) weights, n / (C n_c) where balanced, ones otherwise; -1 labels do not count."""
    counts = torch.bincount(torch.tensor([x for x in labels if x >= 0]), minlength=n_classes)
    if not is_balanced:
        return torch.ones(n_classes)
    return counts.sum() / (n_classes * counts.clamp(min=1).float())
