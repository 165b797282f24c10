"""Settings of SLPD (Yu et al., MICCAI 2023, arXiv 2307.10696)."""

from __future__ import annotations

from pydantic import Field

from napari_dre_slcl.config.section import Section

__all__ = ["SlpdConfig"]


class SlpdConfig(Section):
    """Self-supervised training of a region encoder with slide-level prototypes."""

    prototypes: int = Field(
        4, ge=1, le=64, title="Prototypes", description="M, centres of a slide's regions."
    )
    epochs: int = Field(60, ge=1, le=10_000, title="Epochs", description="Passes over the regions.")
