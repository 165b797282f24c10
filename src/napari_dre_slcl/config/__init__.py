"""Every setting, once: form, file, command line and functions all read these models.

Frozen pydantic models; `load_preset` and `with_overrides` are the only ways to make another.
"""

from napari_dre_slcl.config.all_settings import METHODS, DreSlclConfig, MethodName
from napari_dre_slcl.config.bag_methods import MilConfig, ProbeConfig
from napari_dre_slcl.config.data import CohortConfig, FeaturesConfig, TextConfig, TilingConfig
from napari_dre_slcl.config.giga_ssl import GigaSslConfig
from napari_dre_slcl.config.learning import LossConfig, PretrainConfig, TrainingConfig
from napari_dre_slcl.config.method_guide import METHOD_LINES, main_settings, method_settings
from napari_dre_slcl.config.network import CodebookConfig, EncoderConfig, ResidualConfig
from napari_dre_slcl.config.presets import (
    load_preset,
    preset_names,
    setting_names,
    with_overrides,
)
from napari_dre_slcl.config.slpd import SlpdConfig

__all__ = [
    "METHODS",
    "METHOD_LINES",
    "CodebookConfig",
    "CohortConfig",
    "DreSlclConfig",
    "EncoderConfig",
    "FeaturesConfig",
    "GigaSslConfig",
    "LossConfig",
    "MethodName",
    "MilConfig",
    "PretrainConfig",
    "ProbeConfig",
    "ResidualConfig",
    "SlpdConfig",
    "TextConfig",
    "TilingConfig",
    "TrainingConfig",
    "load_preset",
    "main_settings",
    "method_settings",
    "preset_names",
    "setting_names",
    "with_overrides",
]
