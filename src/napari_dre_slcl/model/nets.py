"""The network of every method, as a bundle stores it: which class a setting stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.model.slide_net import SlideNet

__all__ = ["TrainedNet", "build_net"]


class TrainedNet(SlideNet, Protocol):
    """A `SlideNet` with what every ``nn.Module`` can do, as far as it is needed."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return all weights and buffers by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> Any:
        """Take all weights and buffers over."""
        ...

    def project(self, vectors: Tensor) -> Tensor:
        """Return (B, text_dim) unit vectors in report space, where `report_space` is not None."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what is trained."""
        ...

    def eval(self) -> Self:
        """Go to evaluation mode."""
        ...

    def to(self, device: Any) -> Self:
        """Go to a device."""
        ...


def build_net(
    config: DreSlclConfig, class_counts: Sequence[int], text_dim: int, encoder: Any
) -> TrainedNet:
    """Return the untrained network of ``config.method``.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    class_counts : sequence of int
        Number of classes of each task.
    text_dim : int
        Width of the report space; 0 without one. Only dre-slcl has one.
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows.
    """
    net: Any
    if config.method == "mean-pool":
        from napari_dre_slcl.model.mean_pool_net import MeanPoolNet

        net = MeanPoolNet(class_counts, encoder)
    elif config.method == "attention-mil":
        from napari_dre_slcl.model.attention_mil_net import AttentionMilNet

        net = AttentionMilNet(config, class_counts, encoder)
    elif config.method == "giga-ssl":
        from napari_dre_slcl.model.giga_ssl_net import GigaSslNet

        net = GigaSslNet(config, class_counts, encoder)
    elif config.method == "slpd":
        from napari_dre_slcl.model.slpd_net import SlpdNet

        net = SlpdNet(config, class_counts, encoder)
    else:
        from napari_dre_slcl.model.network import DreSlclNet

        net = DreSlclNet(config, class_counts, text_dim, encoder)
    made: TrainedNet = net
    return made
