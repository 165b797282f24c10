"""Gated attention MIL (Ilse et al. 2018): trained on labels, all tasks of a cohort at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.bag_method import Bags, BagTruth, OnEpoch, Validate
from napari_dre_slcl.methods.slide_batch import class_weights
from napari_dre_slcl.model.attention_mil_net import AttentionMilNet
from napari_dre_slcl.model.losses import masked_cross_entropy
from napari_dre_slcl.model.seeds import seed_everything, seeded

__all__ = ["AttentionMil"]

_WARM_UP = 0.05


class AttentionMil:
    """Masked, class-balanced cross-entropy on every task; AdamW, a short warm-up, then a cosine.

    Parameters
    ----------
    config : DreSlclConfig
        Sections mil and training (seed, patience, balance).
    net : AttentionMilNet
        On its device.
    """

    copies_wanted = 0

    def __init__(self, config: DreSlclConfig, net: AttentionMilNet) -> None:
        self.net = net
        self._config = config
        self._settings = config.mil

    @classmethod
    def build(
        cls, config: DreSlclConfig, encoder: Any, dim: int, class_counts: Sequence[int]
    ) -> Self:
        """Build the method around a frozen encoder."""
        return cls(config, AttentionMilNet(config, class_counts, encoder))

    def fit(
        self, bags: Bags, truth: BagTruth, on_epoch: OnEpoch, validate: Validate | None = None
    ) -> None:
        """Train on the training slides; keep the best epoch where validation decides."""
        seed, n_batches = self._config.training.seed, self._n_batches(len(bags))
        epochs = max(self._settings.epochs, math.ceil(self._settings.least_steps / n_batches))
        seed_everything(seed, "attention-mil")
        tiles = _TileTable(bags, self.net.device)
        self.net.standardise_by(tiles.features)
        learner = _Learner(self._config, self.net, truth, epochs * n_batches)
        best = _Best(self.net, self._config.training.patience)
        for epoch in range(1, epochs + 1):
            self.net.train()
            order = torch.randperm(len(bags), generator=seeded(seed, "bags", epoch))
            for slides in order.tensor_split(n_batches):
                learner.take(slides, *tiles.of(slides))
            self.net.eval()
            found = validate(self.net) if validate is not None else {}
            on_epoch(epoch, epochs, learner.mean_losses() | found)
            if best.is_over(epoch, found):
                break
        best.restore()
        self.net.eval()

    def _n_batches(self, n_slides: int) -> int:
        return max(1, round(n_slides / self._settings.slides_per_batch))


class _TileTable:
    """The tiles of all slides in one tensor, so that a batch is one look-up."""

    def __init__(self, bags: Bags, device: torch.device) -> None:
        self.features = torch.cat(bags.features).to(device)
        counts = torch.tensor([len(features) for features in bags.features])
        self._counts = counts
        self._starts = counts.cumsum(0) - counts

    def of(self, slides: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, d) tiles of some slides, and for each tile its slide's position here."""
        counts = self._counts[slides]
        owner = torch.repeat_interleave(torch.arange(len(slides)), counts)
        within = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        rows = (self._starts[slides][owner] + within).to(self.features.device)
        return self.features[rows], owner.to(self.features.device)


class _Learner:
    """Takes steps, and adds up the losses of an epoch."""

    def __init__(
        self, config: DreSlclConfig, net: AttentionMilNet, truth: BagTruth, n_steps: int
    ) -> None:
        self._net = net
        self._truth = truth
        self._n_steps = n_steps
        self._step = 0
        self._losses: list[dict[str, float]] = []
        balances = config.loss.balance_classes
        self._weights = []
        heads: Any = net.heads
        for task, head in enumerate(heads):
            known = truth.labels[truth.labels[:, task] >= 0, task].tolist()
            n_classes: int = head.out_features
            weights = class_weights(known, n_classes, balances) if known else torch.ones(n_classes)
            self._weights.append(weights)
        trained = [weight for weight in net.parameters() if weight.requires_grad]
        settings = config.mil
        self._rate = settings.lr
        self._optimiser = torch.optim.AdamW(
            trained, lr=settings.lr, weight_decay=settings.weight_decay
        )

    def take(self, slides: Tensor, features: Tensor, owner: Tensor) -> None:
        """Take one step on the (n, d) tiles of some slides."""
        vectors = self._net.pool(features, owner, len(slides)).vectors
        losses = {}
        for task, logits in enumerate(self._net.logits(vectors)):
            labels = self._truth.labels[slides, task].to(logits.device)
            weights = self._weights[task].to(logits)
            name = f"loss/{self._truth.task_names[task]}"
            losses[name] = masked_cross_entropy(logits, labels, weights)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise ModelError(
                f"Training stopped at step {self._step + 1} because the loss is no longer a "
                "number. Lower mil.lr."
            )
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * _share_of_rate(self._step, self._n_steps)
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        self._optimiser.step()
        self._step += 1
        figures = {"loss": total, **losses}
        self._losses.append({name: value.item() for name, value in figures.items()})

    def mean_losses(self) -> dict[str, float]:
        """Return the mean losses since the last call."""
        steps, self._losses = self._losses, []
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]}


def _share_of_rate(step: int, n_steps: int) -> float:
    """Return the share of the learning rate: rising at first, then a half cosine to 0."""
    warm_up = max(1, round(_WARM_UP * n_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up)))


class _Best:
    """The weights of the best mean validation AUC, where ``training.patience`` asks for them."""

    def __init__(self, net: AttentionMilNet, patience: int) -> None:
        self._net = net
        self._patience = patience
        self._epoch = 0
        self._score = -math.inf
        self._weights: dict[str, Tensor] = {}

    def is_over(self, epoch: int, found: dict[str, float]) -> bool:
        """Look at an epoch's validation; True where so many epochs brought nothing better."""
        if not self._patience or not found:
            return False
        score = float(np.mean(list(found.values())))
        if score > self._score:
            self._epoch, self._score = epoch, score
            self._weights = {name: x.clone() for name, x in self._net.state_dict().items()}
        return epoch - self._epoch >= self._patience

    def restore(self) -> None:
        """Take the best weights, where any were kept."""
        if self._weights:
            self._net.load_state_dict(self._weights)
