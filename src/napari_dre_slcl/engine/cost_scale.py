"""How large a training is: the numbers that its cost depends on, and no file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.codebook import drawn_per_slide

__all__ = ["NetworkSize", "Scale"]


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """What a plan needs to know of a network; see `Scale`."""

    dim: int
    stored_dim: int
    text_dim: int
    classes: int
    weight_bytes: int
    trained_bytes: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a training is.

    Parameters
    ----------
    source : str
        ``pixels``, or ``features`` where stored features take the place of tiles.
    train_slides, val_slides, test_slides : int
        Of each split.
    tiles : float
        Of a slide, on average.
    dim, codewords : int
        Width d of a feature in the bank, and K.
    stored_dim : int
        Width of the stored features; 0 for pixels.
    text_dim : int
        Width of report vectors; 0 without reports.
    classes : int
        Outputs of all task heads together.
    epochs, slides_per_batch, fresh_tiles : int
        Settings of the loop.
    sampled_tiles : int
        Of a slide, for each fit of the codewords.
    codebook_fits, refills : int
        Times that codewords are fitted and that all tiles are encoded anew after the first pass.
    checkpoint_steps : int
        Steps between two checkpoints.
    input_px : int
        Edge of a tile as the encoder reads it.
    cache_mib, bank_mib : int
        Most memory for tiles that were read, and for a bank that is held in memory, per process.
    weight_bytes, trained_bytes : int
        Of the network, and of what is trained of it.
    copies : int
        Copies of the weights in a checkpoint: themselves, an average, the best.
    ranks : int
        Processes that share the slides.
    """

    source: Literal["pixels", "features"]
    train_slides: int
    val_slides: int
    test_slides: int
    tiles: float
    dim: int
    codewords: int
    stored_dim: int
    text_dim: int
    classes: int
    epochs: int
    slides_per_batch: int
    fresh_tiles: int
    sampled_tiles: int
    codebook_fits: int
    refills: int
    checkpoint_steps: int
    input_px: int
    cache_mib: int
    bank_mib: int
    weight_bytes: int
    trained_bytes: int
    copies: int = 1
    ranks: int = 1

    @property
    def slides(self) -> int:
        """Slides of all splits."""
        return self.train_slides + self.val_slides + self.test_slides

    @property
    def train_tiles(self) -> float:
        """Tiles of all training slides."""
        return self.train_slides * self.tiles

    @property
    def own_slides(self) -> float:
        """Training slides of the process that has most of them."""
        return self.train_slides / self.ranks

    @property
    def own_tiles(self) -> float:
        """Training tiles of the process that has most of them."""
        return self.train_tiles / self.ranks

    @property
    def fresh(self) -> float:
        """Fresh tiles of a slide in a step."""
        return min(self.tiles, self.fresh_tiles)

    @property
    def steps(self) -> int:
        """Steps of an epoch, as `methods.sampling.draw_batches` cuts them."""
        return max(1, math.ceil(self.train_slides / self.slides_per_batch))

    @property
    def largest_batch(self) -> int:
        """Slides in the largest batch of one process."""
        return math.ceil(math.ceil(self.train_slides / self.steps) / self.ranks)

    @property
    def is_bank_in_memory(self) -> bool:
        """Whether a process holds its part of the bank in memory."""
        return self.own_bank_bytes <= self.bank_mib * 2**20

    @property
    def bank_bytes(self) -> float:
        """Of one generation, as `model.bank_files.BankShape` counts them."""
        per_tile = 2 * self.dim + 1 + 2 + 4 + 4 + 4
        return self.train_tiles * per_tile + self.train_slides * self.sum_bytes

    @property
    def own_bank_bytes(self) -> float:
        """Of one process."""
        return self.bank_bytes / self.ranks

    @property
    def sum_bytes(self) -> int:
        """Of the residual sums of a slide: residual (K, d), mass and count (K,), 8 bytes each."""
        return 8 * self.codewords * (self.dim + 2)

    @classmethod
    def of(
        cls,
        config: DreSlclConfig,
        slides: tuple[int, int, int],
        tiles: float,
        network: NetworkSize,
        ranks: int = 1,
    ) -> Scale:
        """Return the scale of a training with given settings.

        Parameters
        ----------
        config : DreSlclConfig
            Of the method ``dre-slcl``.
        slides, tiles : tuple of int, float
            That train, validate and test; tiles of each.
        network : NetworkSize
            Of the network that the settings make.
        ranks : int
            Processes.

        Raises
        ------
        ConfigError
            If the method is another one: it trains on features in one process.
        """
        if config.method != "dre-slcl":
            raise ConfigError(
                f"The cost of '{config.method}' cannot be planned, only that of 'dre-slcl'. Ask "
                "'dre-slcl train --estimate' with a cohort instead."
            )
        training, codebook = config.training, config.codebook
        fits, refills = _fits_and_refills(config)
        return cls(
            source="features" if network.stored_dim else "pixels",
            train_slides=slides[0],
            val_slides=slides[1],
            test_slides=slides[2],
            tiles=tiles,
            dim=network.dim,
            codewords=codebook.codewords,
            stored_dim=network.stored_dim,
            text_dim=network.text_dim,
            classes=network.classes,
            epochs=training.epochs,
            slides_per_batch=training.slides_per_batch,
            fresh_tiles=training.fresh_tiles,
            sampled_tiles=drawn_per_slide(codebook.tiles_per_slide, slides[0]),
            codebook_fits=fits,
            refills=refills,
            checkpoint_steps=training.checkpoint_steps,
            input_px=config.encoder.input_px,
            cache_mib=training.tile_cache_mib,
            bank_mib=training.bank_memory_mib,
            weight_bytes=network.weight_bytes,
            trained_bytes=network.trained_bytes,
            copies=1 + bool(training.ema) + bool(training.patience),
            ranks=ranks,
        )


def _fits_and_refills(config: DreSlclConfig) -> tuple[int, int]:
    """Return how often codewords are fitted, and how often the bank is filled after the start."""
    training = config.training
    fits = 1 + int(0 < config.codebook.refit_after_epoch <= training.epochs)
    refills = fits - 1
    if training.refill_every_epochs:
        refills = max(refills, training.epochs // training.refill_every_epochs)
    return fits, refills
