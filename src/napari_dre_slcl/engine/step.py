"""One optimiser step: encode the fresh tiles, loss, gradient, clipping, weights, bank rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.fresh_features import FreshFeatures
from napari_dre_slcl.engine.fresh_tiles import is_out_of_memory
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.dre_slcl import Clock, DreSlcl, no_clock
from napari_dre_slcl.methods.slide_batch import SlideBatch
from napari_dre_slcl.model.keyed_dropout import keyed_dropout
from napari_dre_slcl.model.precision import needs_scaler
from napari_dre_slcl.model.seeds import seed_everything

__all__ = ["StepTaker", "make_fabric"]

_WORDS = {"encoder": "tile encoder", "rest": "other weights"}


def make_fabric(device: torch.device) -> Fabric:
    """Return what places and accelerates the loop on one device.

    Precision is the encoder's own business, and the cluster's job is not to start more processes.
    """
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="32-true",
        plugins=[LightningEnvironment()],
    )
    fabric.launch()
    return fabric


class _MemoryElsewhere(torch.OutOfMemoryError):
    """Memory ran out in another process."""


class StepTaker:
    """Takes steps with a method, an optimiser of its own, and clipping for each kind of weight.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    method : DreSlcl
        Network, bank and losses.
    fabric : Fabric, optional
        For the network's device by default.
    world : World
        The processes that take each step together, with the slides that each has.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        method: DreSlcl,
        fabric: Fabric | None = None,
        world: World = SOLO,
    ) -> None:
        self._settings = config.training
        self._method = method
        self._world = world
        self._clock: Clock = no_clock
        if world.size > 1:
            method.gather = self._gather
        self._weights = [weight for weight in method.net.parameters() if weight.requires_grad]
        self._fabric = fabric or make_fabric(method.device)
        # On the CPU one pass over the weights takes a third of the time of one operation after
        # another (benchmarks/step_cost.py); on a GPU torch's default is as good.
        is_fused = True if method.device.type == "cpu" else None
        self.optimiser = torch.optim.AdamW(method.parameter_groups(), fused=is_fused)
        self.scaler = torch.amp.GradScaler(
            method.device.type, enabled=needs_scaler(config.encoder.precision, method.device)
        )

    def take(self, batch: SlideBatch, step: int, clock: Clock = no_clock) -> dict[str, float]:
        """Change the weights once, and renew the drawn rows of the bank.

        Parameters
        ----------
        batch : SlideBatch
            Slides and their fresh tiles.
        step : int
            Its number in the run, from 1; random choices depend on it.
        clock : callable
            Told the phases.

        Returns
        -------
        dict of str to float
            ``loss`` and its terms.

        Raises
        ------
        ModelError
            If loss or gradient is not a number; the bank is as it was then.
        """
        method, self._clock = self._method, clock
        method.net.train()
        self.optimiser.zero_grad(set_to_none=True)
        with self._together():
            with clock("encoder"):
                fresh = self._encode(batch, step) if batch.slides else None
            values = fresh.values if fresh is not None else method.net.codewords[:0]
            losses = method.loss(batch, values, step, clock)
            with clock("loss"):
                self._fabric.backward(self.scaler.scale(losses["loss"]))
            with clock("encoder"):
                if fresh is not None:
                    fresh.backward(self._fabric.backward)
            if self._world.size > 1:
                with clock("network"):
                    self._world.add_gradients(
                        self._weights, method.repeated_weights(), self._check_memory_elsewhere
                    )
        with self._past_return():
            if self._world.size > 1:
                with clock("network"):
                    self._world.average(self._running_figures(), len(values))
            with clock("optimiser"):
                found = losses | self._change_weights()
                # One wait for the device, which the bank needs anyway.
                numbers = torch.stack([value.detach().float() for value in found.values()]).tolist()
                figures = dict(zip(found, numbers, strict=True))
            self._check(step, figures)
            with clock("bank"):
                method.refresh(batch, values.detach(), step)
        return {name: figures[name] for name in losses}

    def _encode(self, batch: SlideBatch, step: int) -> FreshFeatures:
        encoder, settings = self._method.net.encoder, self._settings
        keys = batch.tile_keys()

        def drawing(chunk: int, place: slice) -> AbstractContextManager[Any]:
            what = ("dropout", step, "encoder")
            # What no keys reach: a tile encoder that drops units inside its attention.
            seed_everything(settings.seed, *what, chunk, *self._own_number())
            is_needed = not encoder.takes_pixels
            return keyed_dropout(keys[place], settings.seed, *what, is_needed=is_needed)

        return FreshFeatures(
            encoder,
            self._method.inputs(batch, step),
            settings.encode_chunk,
            drawing,
            is_trainable=encoder.is_trainable,
        )

    def _running_figures(self) -> list[Tensor]:
        """Return what batch normalisation keeps of the tiles that it has seen.

        Each process sees its own slides alone, and the model that is kept is the first one's.
        """
        return [
            figure
            for part in self._method.net.encoder.modules()
            if part.training and isinstance(part, _BatchNorm)
            for figure in (part.running_mean, part.running_var)
            if figure is not None
        ]

    def _own_number(self) -> list[int]:
        """Return what is added to a seed where processes are to draw each for itself."""
        return [self._world.rank] if self._world.rank else []

    def _gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """Gather, unless memory has run out in a process meanwhile."""
        with self._clock("network"):
            return self._world.gather(rows, counts, self._check_memory_elsewhere)

    def _check_memory_elsewhere(self) -> None:
        if self._world.any(False):
            raise _MemoryElsewhere("memory ran out in another process")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Have memory run out in all processes where it does so in one; nobody waits for it."""
        if self._world.size == 1:
            yield
            return
        ran_out: Exception | None = None
        try:
            yield
        except _MemoryElsewhere:
            raise
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            ran_out = error
        if self._world.any(ran_out is not None):
            raise torch.OutOfMemoryError("memory ran out") from ran_out

    @contextmanager
    def _past_return(self) -> Iterator[None]:
        """End the run where memory runs out: of several processes none may step again alone."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if self._world.size == 1 or not is_out_of_memory(error):
                raise
            raise ModelError(
                "Training stopped because memory ran out while the weights were changed. Lower "
                "training.fresh_tiles, or set training.encode_chunk to a small number such as 16, "
                "and go on with 'dre-slcl resume'."
            ) from error

    def _change_weights(self) -> dict[str, Tensor]:
        """Clip, step, and return the norms of the gradients before clipping."""
        self.scaler.unscale_(self.optimiser)
        norms = {}
        for name, limit in (
            ("encoder", self._settings.clip_encoder),
            ("rest", self._settings.clip_norm),
        ):
            weights = [
                weight
                for group in self.optimiser.param_groups
                if group["name"] == name
                for weight in group["params"]
            ]
            if weights:
                norms[f"gradient of the {_WORDS[name]}"] = nn.utils.clip_grad_norm_(weights, limit)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return norms

    def _check(self, step: int, figures: dict[str, float]) -> None:
        broken = [name for name, value in figures.items() if not math.isfinite(value)]
        if self.scaler.is_enabled():  # it expects and skips gradients that are too large
            broken = [name for name in broken if name.startswith("loss")]
        if broken:
            raise ModelError(
                f"Training stopped at step {step} because the {broken[0]} is no longer a "
                "number. Lower training.lr_encoder and training.lr_rest, or training.clip_encoder "
                "and training.clip_norm, and start a new run; the last checkpoint is kept."
            )
