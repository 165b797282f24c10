"""Settings of the methods that work on bags of frozen tile features, and of the probe."""

from __future__ import annotations

from pydantic import Field, field_validator

from napari_dre_slcl.config.section import Section

__all__ = ["MilConfig", "ProbeConfig"]


class ProbeConfig(Section):
    """The standard probe: standardise, then logistic regression on slide vectors."""

    c_values: tuple[float, ...] = Field(
        (0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0),
        title="C",
        description="Inverse strengths of the penalty to choose among, on training patients only; "
        "one value is taken as it is.",
    )
    folds: int = Field(
        5, ge=2, le=20, title="Folds", description="Of training patients, to choose C on."
    )
    balance: bool = Field(
        True, title="Balance classes", description="Weight classes by their inverse frequency."
    )

    @field_validator("c_values")
    @classmethod
    def _has_values(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or min(value) <= 0:
            raise ValueError("give one value or more, all above 0")
        return value


class MilConfig(Section):
    """Gated attention MIL (Ilse et al. 2018)."""

    width: int = Field(256, ge=1, le=8192, title="Width", description="Of the tile embedding.")
    attention_width: int = Field(
        128, ge=1, le=8192, title="Attention width", description="Hidden width of the attention."
    )
    dropout: float = Field(0.25, ge=0, lt=1, title="Dropout", description="Of the tile embedding.")
    epochs: int = Field(10, ge=1, le=10_000, title="Epochs", description="Passes over the slides.")
    least_steps: int = Field(
        400,
        ge=0,
        title="Least steps",
        description="Few slides take more passes, until there are so many steps.",
    )
    slides_per_batch: int = Field(
        8, ge=1, le=4096, title="Slides per batch", description="Bags of one step."
    )
    lr: float = Field(5e-4, gt=0, le=1, title="Rate", description="Learning rate of AdamW.")
    weight_decay: float = Field(1e-3, ge=0, le=1, title="Weight decay", description="Of AdamW.")
