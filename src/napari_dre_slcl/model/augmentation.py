"""Random views of tiles: flips, quarter turns and stain-like tints, the same for no two tiles."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["augment_tiles"]

_GAIN = 0.15
_GAMMA = 0.15


def augment_tiles(tiles: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, turn and tint each tile at random.

    Parameters
    ----------
    tiles : Tensor
        (n, 3, size, size), values 0 to 1.
    generator : torch.Generator
        On the CPU; the draw does not depend on the device.

    Returns
    -------
    Tensor
        Same shape, values 0 to 1. The tint scales the optical density of each channel by up to
        ±15 % and of the tile by up to ±15 %, which keeps white glass white.
    """
    n = len(tiles)
    flip, turn = torch.rand(n, generator=generator), torch.rand(n, generator=generator)
    tiles = torch.where((flip < 0.5).view(n, 1, 1, 1).to(tiles.device), tiles.flip(-1), tiles)
    quarter = (turn * 4).long().to(tiles.device)
    turned = torch.stack([torch.rot90(tiles, k, (-2, -1)) for k in range(4)])
    tiles = turned[quarter, torch.arange(n, device=tiles.device)]
    gain = 1 + _GAIN * (2 * torch.rand(n, 3, 1, 1, generator=generator) - 1)
    gamma = 1 + _GAMMA * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    return tiles.clamp_min(1 / 255).pow((gain * gamma).to(tiles.device))
