"""The trainable part on top of feature files: nothing, a linear map, a small MLP, a wide layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import FeaturesConfig

__all__ = ["FeatureAdapter"]


class FeatureAdapter(nn.Module):
    """Turn stored features into unit vectors.

    Stands where the tile encoder stands when there are pixels. At the start it is the identity up
    to length, but for the kind ``wide``, which is one random layer then.

    Parameters
    ----------
    config : FeaturesConfig
        Kind, width and dropout.
    dim : int
        Width of the stored features.

    Attributes
    ----------
    in_dim, dim : int
        Width of the stored features, and of what comes out.
    is_trainable : bool
        False for the kind ``none``.
    takes_pixels : bool
        False.
    """

    takes_pixels = False
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: FeaturesConfig, dim: int) -> None:
        super().__init__()
        self.in_dim = dim
        self.is_wide = config.adapter == "wide"
        self.dim = config.adapter_width if self.is_wide else dim
        self.is_trainable = config.adapter != "none"
        self.linear = nn.Linear(dim, dim) if config.adapter == "linear" else None
        self.mlp = _residual(dim, config.adapter_width) if config.adapter == "mlp" else None
        self.wide = _wide(dim, self.dim, config.adapter_dropout) if self.is_wide else None
        if self.is_wide:
            self.register_buffer("feature_mean", torch.zeros(dim))
            self.register_buffer("feature_std", torch.ones(dim))
        if self.linear is not None:
            nn.init.eye_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Adapt features.

        Parameters
        ----------
        features : Tensor
            (n, in_dim), of any length.

        Returns
        -------
        Tensor
            (n, dim), each row of length 1.
        """
        if self.wide is not None:
            standardised = (features - self.feature_mean) / self.feature_std
            return nn.functional.normalize(self.wide(standardised), dim=-1)
        unit = nn.functional.normalize(features, dim=-1)
        if self.linear is not None:
            unit = self.linear(unit)
        if self.mlp is not None:
            unit = unit + self.mlp(unit)
        return nn.functional.normalize(unit, dim=-1)

    @torch.no_grad()
    def standardise_by(self, features: Tensor) -> None:
        """Fix the scaling of the wide layer's input by (n, in_dim) features of training tiles."""
        if not self.is_wide:
            return
        std, mean = torch.std_mean(features.to(self.feature_mean), dim=0, correction=0)
        self.feature_mean.copy_(mean)
        # A dimension that hardly varies would be blown up to noise.
        self.feature_std.copy_(std.clamp_min(0.01 * float(std.mean()) + 1e-12))

    def prepare(self, batch: Tensor, device: torch.device) -> Tensor:
        """Return (n, in_dim) stored features as float32 on the network's device."""
        return batch.to(device, torch.float32, non_blocking=True)

    def get_ready(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to tell."""
        return ()


def _wide(dim: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout))


def _residual(dim: int, width: int) -> nn.Sequential:
    last = nn.Linear(width, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width), nn.GELU(), last)
