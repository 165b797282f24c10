"""Which method a name stands for; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.methods.bag_method import BagMethod

__all__ = ["make_bag_method"]


def make_bag_method(
    config: DreSlclConfig, encoder: Any, class_counts: Sequence[int], feature_dim: int
) -> BagMethod:
    """Build a method that learns from bags of frozen tile features, and its untrained network.

    Parameters
    ----------
    config : DreSlclConfig
        Says which method.
    encoder : TileEncoder or FeatureAdapter
        Stays as it is, and is saved with the network.
    class_counts : sequence of int
        Number of classes of each task.
    feature_dim : int
        Width of a tile feature.

    Raises
    ------
    ConfigError
        If the method does not work on bags of frozen features, as dre-slcl.
    """
    if config.method == "mean-pool":
        from napari_dre_slcl.methods.mean_pool import MeanPool

        return MeanPool.build(config, encoder, feature_dim, class_counts)
    if config.method == "attention-mil":
        from napari_dre_slcl.methods.attention_mil import AttentionMil

        return AttentionMil.build(config, encoder, feature_dim, class_counts)
    if config.method == "giga-ssl":
        from napari_dre_slcl.methods.giga_ssl import GigaSsl

        return GigaSsl.build(config, encoder, feature_dim, class_counts)
    if config.method == "slpd":
        from napari_dre_slcl.methods.slpd import Slpd

        return Slpd.build(config, encoder, feature_dim, class_counts)
    raise ConfigError(f"The method '{config.method}' does not learn from bags of frozen features.")
