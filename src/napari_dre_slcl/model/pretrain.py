"""Pretraining of the tile encoder on tiles without labels: SimCLR (Chen et al., ICML 2020).

Two views of each tile are to lie close together, and far from the views of all other tiles of the
batch. Knows tensors only; where tiles come from is the engine's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import PretrainConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.augmentation import augment_tiles, crop_tiles
from napari_dre_slcl.model.losses import nt_xent
from napari_dre_slcl.model.seeds import seed_everything, seeded
from napari_dre_slcl.model.tile_encoder import TileEncoder

__all__ = ["TilePretrainer"]

_LEAST_AREA = 0.5
_PROJECTION_WIDTH = 128
_WEIGHT_DECAY = 1e-4
_WARMUP = 0.1


class TilePretrainer:
    """Trains a tile encoder so that views of one tile agree (NT-Xent).

    Views are random crops of at least half the tile's area, flipped, turned and tinted, each tile
    with a tint of its own. The projector, a two-layer MLP between encoder and loss, is dropped
    afterwards. Steps draw their random numbers from the seed and their own number, so that a run
    that goes on from `state_dict` takes the same steps.

    Parameters
    ----------
    encoder : TileEncoder
        Trained in place, on its device. Where some blocks are frozen, they stay as they are; an
        encoder that is frozen as a whole is pretrained as a whole, and is frozen again after
        each step: that is how a frozen encoder comes by weights that know the tissue.
    config : PretrainConfig
        Temperature and learning rate.
    total_steps : int
        Length of the pretraining, for the learning rate's schedule.
    seed : int
        Of the projector and of all steps.
    tint : float, default 1.0
        Strength of the tints; 0 keeps colours.
    """

    def __init__(
        self,
        encoder: TileEncoder,
        config: PretrainConfig,
        *,
        total_steps: int,
        seed: int = 0,
        tint: float = 1.0,
    ) -> None:
        trained = [weight for weight in encoder.parameters() if weight.requires_grad]
        weights = trained or list(encoder.parameters())
        self._thaws = not trained
        self._encoder, self._config = encoder, config
        self._seed, self._tint, self._total_steps = seed, tint, total_steps
        seed_everything(seed, "projector")
        self.projector = _make_projector(encoder.dim).to(weights[0].device)
        self._optimiser = torch.optim.AdamW(
            [*weights, *self.projector.parameters()], lr=config.lr, weight_decay=_WEIGHT_DECAY
        )
        self.steps_taken = 0

    def step(self, tiles: Tensor) -> float:
        """Take one optimiser step.

        Parameters
        ----------
        tiles : Tensor
            (n, size, size, 3) uint8, at least two tiles.

        Returns
        -------
        float
            The loss of this batch.

        Raises
        ------
        ModelError
            If the loss is not a number; the weights are as they were then.
        """
        if len(tiles) < 2:
            raise ModelError("Pretraining needs at least two tiles at a time.")
        self._encoder.train()
        seed_everything(self._seed, "pretrain dropout", self.steps_taken)
        self._optimiser.zero_grad(set_to_none=True)
        with self._thawed():
            first, second = self.projector(self._encoder(self._views(tiles))).chunk(2)
            loss = nt_xent(first, second, self._config.temperature)
            if not bool(torch.isfinite(loss)):
                raise ModelError(
                    "Pretraining stopped because the loss is no longer a number. Lower pretrain.lr."
                )
            loss.backward()
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.lr * _rate_factor(self.steps_taken, self._total_steps)
        self._optimiser.step()
        self.steps_taken += 1
        return float(loss.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return all that a later `load_state_dict` needs to take the same steps."""
        return {
            "encoder": self._encoder.state_dict(),
            "projector": self.projector.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "steps_taken": self.steps_taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where a `state_dict` was taken."""
        self._encoder.load_state_dict(state["encoder"])
        self.projector.load_state_dict(state["projector"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.steps_taken = int(state["steps_taken"])

    @contextmanager
    def _thawed(self) -> Iterator[None]:
        """Let a frozen encoder be trained for the length of a step."""
        if not self._thaws:
            yield
            return
        self._encoder.requires_grad_(True)
        self._encoder.backbone.train()
        try:
            yield
        finally:
            self._encoder.requires_grad_(False)
            self._encoder.train()

    def _views(self, tiles: Tensor) -> Tensor:
        """Return (2 n, 3, size, size): a view of each tile, then another of each."""
        device = next(self.projector.parameters()).device
        pixels = self._encoder.prepare(tiles, device)
        generator = seeded(self._seed, "pretrain views", self.steps_taken)
        pixels = crop_tiles(torch.cat([pixels, pixels]), _LEAST_AREA, generator)
        return augment_tiles(pixels, [1] * len(pixels), generator, self._tint)


def _make_projector(dim: int) -> nn.Sequential:
    """Return a two-layer MLP; it starts from centred features, which raw ones are far from."""
    return nn.Sequential(
        nn.BatchNorm1d(dim, affine=False),
        nn.Linear(dim, dim),
        nn.BatchNorm1d(dim),
        nn.ReLU(),
        nn.Linear(dim, _PROJECTION_WIDTH),
    )


def _rate_factor(step: int, total: int) -> float:
    """Rise over the first tenth, then a cosine to 0."""
    rise = min(1.0, (step + 1) / max(1.0, _WARMUP * total))
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total))))
