"""Settings of how it learns: losses, pretraining and the loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_dre_slcl.config.section import Section

__all__ = ["LossConfig", "PretrainConfig", "TrainingConfig"]


class LossConfig(Section):
    """What training minimises."""

    contrastive_weight: float = Field(
        1.0, ge=0, title="Report contrast", description="Weight of the slide-report contrast."
    )
    task_weight: float = Field(1.0, ge=0, title="Tasks", description="Weight of the task heads.")
    temperature: float = Field(
        0.07, gt=0, le=10, title="Temperature", description="Start value; it is learned."
    )
    view_weight: float = Field(
        0.0,
        ge=0,
        title="View contrast",
        description="Weight of the contrast between two disjoint tile subsets of a slide.",
    )
    view_temperature: float = Field(
        0.1, gt=0, le=10, title="View temperature", description="Of the view contrast."
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Label smoothing",
        description="Share of each label that is spread over all classes.",
    )
    balance_classes: bool = Field(
        True, title="Balance classes", description="Weight classes by their inverse frequency."
    )

    @model_validator(mode="after")
    def _trains_something(self) -> LossConfig:
        if not (self.contrastive_weight or self.task_weight or self.view_weight):
            raise ValueError(
                "contrastive_weight, task_weight and view_weight are all 0, nothing is trained"
            )
        return self


class PretrainConfig(Section):
    """Self-supervised training of the tile encoder on the training tiles, before all else."""

    epochs: int = Field(
        0, ge=0, le=10_000, title="Pretraining", description="Passes over the tiles; 0 none."
    )
    tiles_per_batch: int = Field(
        128, ge=2, le=65_536, title="Tiles per batch", description="Two views are made of each."
    )
    temperature: float = Field(0.2, gt=0, le=10, title="Temperature", description="Of NT-Xent.")
    lr: float = Field(1e-3, gt=0, le=1, title="Rate", description="Learning rate.")


class TrainingConfig(Section):
    """The loop."""

    epochs: int = Field(30, ge=1, le=10_000, title="Epochs", description="Passes over the slides.")
    least_steps: int = Field(
        0,
        ge=0,
        title="Least steps",
        description="Few slides take more epochs, until there are so many steps.",
    )
    slides_per_batch: int = Field(
        8, ge=1, le=4096, title="Slides per batch", description="Negatives come from the batch."
    )
    fresh_tiles: int = Field(
        32, ge=1, le=100_000, title="Fresh tiles", description="Per slide and step, with gradient."
    )
    bank_tiles: int | None = Field(
        None, ge=0, title="Bank tiles", description="At most, per slide and step; empty takes all."
    )
    dynamic_sums: bool = Field(
        True,
        title="Dynamic sums",
        description="Keep each slide's residual sums current, so that a step does not grow with "
        "the slide. Without it they are added up anew; bank_tiles and tile_dropout do so as well.",
    )
    tile_dropout: float = Field(
        0.0, ge=0, lt=1, title="Tile dropout", description="Share of bank tiles left out of a step."
    )
    bank_memory_mib: int = Field(
        4096,
        ge=0,
        title="Bank in memory",
        description="A bank of up to so many MiB is kept in memory, a larger one in its file.",
    )
    bank_momentum: float = Field(
        0.0, ge=0, lt=1, title="Bank momentum", description="Share of the old feature that is kept."
    )
    refill_every_epochs: int = Field(
        0, ge=0, title="Refill bank", description="Encode every tile anew each n epochs; 0 never."
    )
    refresh_stalest: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Refresh stalest",
        description="Share of all tiles, the stalest first, encoded anew after each epoch.",
    )
    encode_chunk: int | None = Field(
        None,
        ge=1,
        title="Tiles at a time",
        description="Fresh tiles that go through the encoder together; a larger batch is "
        "accumulated, with the same gradient unless the encoder normalises by batch. Empty takes "
        "all at once.",
    )
    one_slide_per_patient: bool = Field(
        True,
        title="One slide per patient",
        description="No batch holds two slides of a patient where that can be avoided.",
    )
    within_site: bool = Field(
        False,
        title="Batches within a site",
        description="Batches of one hospital each, so that the hospital is no shortcut.",
    )
    rescale_gradient: bool = Field(
        True, title="Rescale gradient", description="Scale fresh residuals' gradient by N/s."
    )
    lr_encoder: float = Field(1e-5, gt=0, le=1, title="Encoder rate", description="Learning rate.")
    lr_rest: float = Field(1e-4, gt=0, le=1, title="Other rate", description="Learning rate.")
    weight_decay: float = Field(0.05, ge=0, le=1, title="Weight decay", description="Of AdamW.")
    warmup_epochs: float = Field(1.0, ge=0, title="Warm-up", description="Epochs of rising rate.")
    clip_encoder: float = Field(
        1.0, gt=0, title="Encoder clipping", description="Gradient norm of the tile encoder."
    )
    clip_norm: float = Field(
        1.0, gt=0, title="Other clipping", description="Gradient norm of all else."
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Weight average",
        description="Decay per step of a moving average of the weights that validates and is "
        "saved; 0 uses the weights themselves.",
    )
    patience: int = Field(
        0,
        ge=0,
        title="Early stop",
        description="Stop after so many epochs without a better validation, and keep the best "
        "weights; 0 never. Needs validation slides.",
    )
    checkpoint_steps: int = Field(
        200, ge=1, title="Checkpoint", description="Steps between two checkpoints."
    )
    preflight: bool = Field(
        True,
        title="Pre-flight",
        description="Probe tiles and a step first; say time, memory and disk, refuse what cannot "
        "fit.",
    )
    tint: float = Field(
        1.0, ge=0, le=2, title="Tint", description="Strength of the random tints; 0 keeps colours."
    )
    augment: bool = Field(
        True, title="Augment", description="Flip, turn and tint fresh tiles at random."
    )
    seed: int = Field(
        0, ge=0, lt=2**31, title="Seed", description="Same seed, same run on the CPU."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", title="Device", description="auto takes a GPU where there is one."
    )
    devices: int = Field(
        1,
        ge=1,
        le=256,
        title="Devices",
        description="Processes of this machine that share the slides: one per GPU, or CPU ones.",
    )
    nodes: int = Field(
        1,
        ge=1,
        le=4096,
        title="Machines",
        description="Machines with so many processes each; more than one are started from shells, "
        "not from the window.",
    )
    shards: int = Field(
        0,
        ge=0,
        le=2**20,
        title="Shards",
        description="Draw batches with as many slides from each of so many parts of the cohort; "
        "0 takes one part per process, and a resumed run keeps what it began with.",
    )
    tile_cache_mib: int = Field(
        2048, ge=0, title="Tile cache", description="Memory for decoded tiles in MiB."
    )
    workers: int = Field(2, ge=1, le=64, title="Readers", description="Threads that read tiles.")
