"""Settings of Giga-SSL (Lazard et al., CVPRW 2023)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_dre_slcl.config.section import Section

__all__ = ["GigaSslConfig"]


class GigaSslConfig(Section):
    """Self-supervised training of a slide aggregator on frozen tile features."""

    aggregator: Literal["mlp", "sparse-conv"] = Field(
        "mlp",
        title="Aggregator",
        description="mlp: mean of embedded tiles. sparse-conv: ResNet blocks over tile positions.",
    )
    width: int = Field(
        512, ge=1, le=8192, title="Width", description="Of the aggregator and the slide vector."
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, title="Dropout", description="In the blocks of the mlp aggregator."
    )
    tiles_per_view: int = Field(
        5, ge=1, title="Tiles per view", description="Drawn at random from a slide."
    )
    copies: int = Field(
        4,
        ge=0,
        le=100,
        title="Augmented copies",
        description="Of all tile features, each with one augmentation per slide; views are drawn "
        "from them. Needs pixels; with feature files views come from the stored features.",
    )
    scale_min: float = Field(
        0.7, gt=0, le=1, title="Smallest scale", description="Of tile positions, on each axis."
    )
    scale_max: float = Field(
        1.3, ge=1, le=10, title="Largest scale", description="Of tile positions, on each axis."
    )
    cell_tiles: float = Field(
        1.0,
        gt=0,
        le=1024,
        title="Cell",
        description="Edge of a cell of the sparse map in tiles; tiles of one cell are averaged.",
    )
    projector_width: int = Field(
        512, ge=1, le=8192, title="Projector width", description="Hidden width, used in training."
    )
    projector_out: int = Field(
        256,
        ge=1,
        le=8192,
        title="Projector output",
        description="Width that views are compared in.",
    )
    temperature: float = Field(0.05, gt=0, le=10, title="Temperature", description="Of NT-Xent.")
    epochs: int = Field(15, ge=1, le=10_000, title="Epochs", description="Passes over the slides.")
    warmup_epochs: int = Field(
        10,
        ge=0,
        title="Warm-up",
        description="Epochs of rising rate, at most half of all, before the cosine.",
    )
    slides_per_batch: int = Field(
        256, ge=2, le=65_536, title="Slides per batch", description="Negatives come from the batch."
    )
    lr: float = Field(
        0.003, gt=0, le=1, title="Rate", description="Learning rate for 256 slides per batch."
    )
    bags: int = Field(
        50,
        ge=1,
        le=100_000,
        title="Bags",
        description="Of tiles_per_view tiles each; a slide's vector is the mean of their vectors.",
    )
