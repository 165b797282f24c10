"""All settings of a training run in one model."""

from __future__ import annotations

from typing import Literal

from napari_dre_slcl.config.data import CohortConfig, FeaturesConfig, TextConfig, TilingConfig
from napari_dre_slcl.config.learning import LossConfig, PretrainConfig, TrainingConfig
from napari_dre_slcl.config.network import CodebookConfig, EncoderConfig, ResidualConfig
from napari_dre_slcl.config.section import Section

__all__ = ["DreSlclConfig"]


class DreSlclConfig(Section):
    """All settings of a training run."""

    method: Literal["dre-slcl"] = "dre-slcl"
    preset: str = "default"
    cohort: CohortConfig = CohortConfig()
    tiling: TilingConfig = TilingConfig()
    features: FeaturesConfig = FeaturesConfig()
    encoder: EncoderConfig = EncoderConfig()
    codebook: CodebookConfig = CodebookConfig()
    residual: ResidualConfig = ResidualConfig()
    text: TextConfig = TextConfig()
    loss: LossConfig = LossConfig()
    pretrain: PretrainConfig = PretrainConfig()
    training: TrainingConfig = TrainingConfig()
