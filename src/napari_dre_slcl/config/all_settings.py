"""All settings of a training run in one model."""

from __future__ import annotations

from typing import Literal, get_args

from napari_dre_slcl.config.bag_methods import MilConfig, ProbeConfig
from napari_dre_slcl.config.data import CohortConfig, FeaturesConfig, TextConfig, TilingConfig
from napari_dre_slcl.config.giga_ssl import GigaSslConfig
from napari_dre_slcl.config.learning import LossConfig, PretrainConfig, TrainingConfig
from napari_dre_slcl.config.network import CodebookConfig, EncoderConfig, ResidualConfig
from napari_dre_slcl.config.section import Section
from napari_dre_slcl.config.slpd import SlpdConfig

__all__ = ["METHODS", "DreSlclConfig", "MethodName"]

MethodName = Literal["dre-slcl", "attention-mil", "mean-pool", "giga-ssl", "slpd"]
METHODS: tuple[MethodName, ...] = get_args(MethodName)


class DreSlclConfig(Section):
    """All settings of a training run.

    Parameters
    ----------
    method : str
        What is trained.
    preset : str
        The preset that the settings began with.
    cohort, tiling, features, encoder, text : section
        Slides and labels; how a slide is cut; feature files; tile encoder; reports.
    codebook, residual, loss, training, pretrain : section
        Of DRE-SLCL: codewords, slide encoder, losses, loop, and training without labels before.
    probe, mil, giga_ssl, slpd : section
        Of the methods on frozen features.
    """

    method: MethodName = "dre-slcl"
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
    probe: ProbeConfig = ProbeConfig()
    mil: MilConfig = MilConfig()
    giga_ssl: GigaSslConfig = GigaSslConfig()
    slpd: SlpdConfig = SlpdConfig()
