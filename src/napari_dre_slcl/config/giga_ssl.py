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
    tiles_per_view: int = Field(
        5, ge=1, title="Tiles per view", description="Drawn at random from a slide."
    )
    epochs: int = Field(200, ge=1, le=10_000, title="Epochs", description="Passes over the slides.")
    slides_per_batch: int = Field(
        256, ge=2, le=65_536, title="Slides per batch", description="Negatives come from the batch."
    )
    lr: float = Field(
        0.03, gt=0, le=1, title="Rate", description="Learning rate for 256 slides per batch."
    )
