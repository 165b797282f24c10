"""Settings of SLPD (Yu et al., MICCAI 2023, arXiv 2307.10696)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_dre_slcl.config.section import Section

__all__ = ["SlpdConfig"]


class SlpdConfig(Section):
    """Self-supervised training of a region encoder with slide-level prototypes.

    The prototypes are those of METHOD; network and length are of a size for some ten thousand
    regions, and the values of the publication stand in the descriptions.
    """

    region_encoder: Literal["auto", "vit", "mlp"] = Field(
        "auto",
        title="Region encoder",
        description="vit: ViT-4096 over the grid of a region's tiles, needs positions. mlp: each "
        "feature is a region already. auto: vit on pixels, mlp on feature files.",
    )
    region_grid: int = Field(
        16, ge=2, le=64, title="Region", description="Edge of a region in tiles (vit)."
    )
    min_fill: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Least fill",
        description="Share of a region's cells that must hold a tile (vit); a slide without such a "
        "region keeps its fullest one.",
    )
    width: int = Field(
        192, ge=1, le=4096, title="Width", description="Of a region vector of the vit."
    )
    layers: int = Field(6, ge=1, le=64, title="Layers", description="Blocks of the vit.")
    attention_heads: int = Field(
        6, ge=1, le=64, title="Attention heads", description="Of the vit; they divide the width."
    )
    mlp_width: int = Field(
        384,
        ge=1,
        le=8192,
        title="MLP width",
        description="What the mlp adds to the width of a feature.",
    )
    self_weight: float = Field(
        1.0, ge=0, title="DINO", description="Weight of the agreement of a region's views."
    )
    intra_weight: float = Field(
        1.0, ge=0, title="Intra-slide", description="Weight of the pull to the own slide's centre."
    )
    inter_weight: float = Field(
        1.0,
        ge=0,
        title="Inter-slide",
        description="Weight of the pull to the closest centre of the most similar slide.",
    )
    prototypes: int = Field(
        4, ge=1, le=64, title="Prototypes", description="M, centres of a slide's regions."
    )
    restarts: int = Field(
        5, ge=1, le=100, title="Restarts", description="Of k-means; the best one counts."
    )
    min_regions: int = Field(
        32,
        ge=1,
        title="Least regions",
        description="Slides with fewer take part in the DINO term only.",
    )
    prototypes_from: float = Field(
        0.2,
        ge=0,
        lt=1,
        title="Prototypes from",
        description="Share of the passes before the prototype terms begin.",
    )
    global_crop: int = Field(
        14, ge=1, le=64, title="Global crop", description="Edge in tiles of two views (vit)."
    )
    local_crop: int = Field(
        6, ge=1, le=64, title="Local crop", description="Edge in tiles of the other views (vit)."
    )
    local_views: int = Field(
        2, ge=0, le=64, title="Local views", description="Per region; 8 in the publication."
    )
    global_dropout: float = Field(
        0.1, ge=0, lt=1, title="Global dropout", description="Share of values left out (mlp)."
    )
    local_dropout: float = Field(
        0.5, ge=0, lt=1, title="Local dropout", description="Share of values left out (mlp)."
    )
    noise: float = Field(
        0.2,
        ge=0,
        le=10,
        title="Noise",
        description="Deviation of what is added to standardised values (mlp).",
    )
    head_width: int = Field(
        256, ge=1, le=65_536, title="Head width", description="2,048 in the publication."
    )
    bottleneck: int = Field(
        64, ge=1, le=8192, title="Bottleneck", description="256 in the publication."
    )
    out_dim: int = Field(
        512, ge=2, le=1_048_576, title="Outputs", description="65,536 in the publication."
    )
    student_temperature: float = Field(
        0.1, gt=0, le=10, title="Student temperature", description="Divides the student's outputs."
    )
    teacher_temperature: float = Field(
        0.04, gt=0, le=10, title="Teacher temperature", description="Divides the teacher's outputs."
    )
    centre_momentum: float = Field(
        0.9, ge=0, lt=1, title="Centre momentum", description="Of the teacher's mean output."
    )
    ema: float = Field(
        0.99,
        ge=0,
        le=1,
        title="Teacher momentum",
        description="At the start, it rises to 1; 0.996 in the publication, for longer training.",
    )
    epochs: int = Field(8, ge=1, le=10_000, title="Epochs", description="Passes over the regions.")
    regions_per_batch: int = Field(
        256, ge=1, le=65_536, title="Regions per batch", description="Of one step."
    )
    regions_per_slide: int = Field(
        16,
        ge=0,
        title="Regions per slide",
        description="At most so many of a slide in a pass, drawn anew each time; 0 takes all.",
    )
    lr: float = Field(
        2e-3,
        gt=0,
        le=1,
        title="Rate",
        description="Learning rate for 256 regions per batch; 5e-4 in the publication.",
    )
    warmup: float = Field(
        0.1, ge=0, lt=1, title="Warm-up", description="Share of the steps with a rising rate."
    )
    weight_decay: float = Field(
        0.04, ge=0, le=1, title="Weight decay", description="Of AdamW, at the start."
    )
    weight_decay_end: float = Field(
        0.4, ge=0, le=1, title="Last weight decay", description="Of AdamW, at the end."
    )
    clip: float = Field(3.0, gt=0, title="Clipping", description="Gradient norm.")
    freeze_last: int = Field(
        1, ge=0, title="Last layer frozen", description="Passes in which the last layer stays."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> SlpdConfig:
        if not (self.self_weight or self.intra_weight or self.inter_weight):
            raise ValueError(
                "self_weight, intra_weight and inter_weight are all 0, nothing is trained"
            )
        if self.width % self.attention_heads:
            raise ValueError(
                f"attention_heads={self.attention_heads} does not divide width={self.width}"
            )
        if max(self.global_crop, self.local_crop) > self.region_grid:
            raise ValueError(
                f"global_crop={self.global_crop} and local_crop={self.local_crop} must not exceed "
                f"region_grid={self.region_grid}"
            )
        return self
