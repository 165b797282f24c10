"""The trainable part on top of feature files: nothing, a linear map, or a small residual MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import FeaturesConfig

__all__ = ["FeatureAdapter"]


class FeatureAdapter(nn.Module):
    """Turn stored features into unit vectors; at the start it is the identity up to length.

    Stands where the tile encoder stands when there are pixels.

    Parameters
    ----------
    config : FeaturesConfig
        Kind and hidden width.
    dim : int
        Width of the stored features, and of what comes out.

    Attributes
    ----------
    is_trainable : bool
        False for the kind ``none``.
    takes_pixels : bool
        False.
    """

    takes_pixels = False

    def __init__(self, config: FeaturesConfig, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.is_trainable = config.adapter != "none"
        self.linear = nn.Linear(dim, dim) if config.adapter == "linear" else None
        self.mlp = _residual(dim, config.adapter_width) if config.adapter == "mlp" else None
        if self.linear is not None:
            nn.init.eye_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Adapt features.

        Parameters
        ----------
        features : Tensor
            (n, dim), of any length.

        Returns
        -------
        Tensor
            (n, dim), each row of length 1.
        """
        unit = nn.functional.normalize(features, dim=-1)
        if self.linear is not None:
            unit = self.linear(unit)
        if self.mlp is not None:
            unit = unit + self.mlp(unit)
        return nn.functional.normalize(unit, dim=-1)

    def prepare(self, batch: Tensor, device: torch.device) -> Tensor:
        """Return (n, dim) stored features as float32 on the network's device."""
        return batch.to(device, torch.float32, non_blocking=True)

    def get_ready(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to tell."""
        return ()


def _residual(dim: int, width: int) -> nn.Sequential:
    last = nn.Linear(width, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width), nn.GELU(), last)
