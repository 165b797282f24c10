"""Random views of tiles: flips and quarter turns of each, tints shared by the tiles of a slide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["augment_tiles"]

_SLIDE_GAIN = 0.2
_SLIDE_MIX = 0.05
_TILE_GAIN = 0.1


def augment_tiles(
    tiles: Tensor,
    tiles_per_slide: Sequence[int],
    generator: torch.Generator,
    tint: float = 1.0,
) -> Tensor:
    """Flip, turn and tint tiles at random.

    The tint acts on optical densities, so white glass stays white: each channel is scaled, and a
    little of the others is mixed in. All tiles of a slide share one tint, as they share one
    staining bath; a weaker one of their own comes on top. Without the shared part, a slide's mean
    colour would tell slides apart whatever is done to single tiles.

    Parameters
    ----------
    tiles : Tensor
        (n, 3, size, size), values 0 to 1, slide after slide.
    tiles_per_slide : sequence of int
        Number of tiles of each slide, n in all.
    generator : torch.Generator
        On the CPU; the draw does not depend on the device.
    tint : float
        Strength of the tints; 0 keeps the colours.

    Returns
    -------
    Tensor
        Same shape, values 0 to 1.
    """
    n = len(tiles)
    flip, turn = torch.rand(n, generator=generator), torch.rand(n, generator=generator)
    mixing = _draw_mixing(tiles_per_slide, generator, tint)
    tiles = torch.where((flip < 0.5).view(n, 1, 1, 1).to(tiles.device), tiles.flip(-1), tiles)
    quarter = (turn * 4).long().to(tiles.device)
    turned = torch.stack([torch.rot90(tiles, k, (-2, -1)) for k in range(4)])
    tiles = turned[quarter, torch.arange(n, device=tiles.device)]
    density = -tiles.clamp_min(1 / 255).log()
    density = torch.einsum("nij,njhw->nihw", mixing.to(tiles), density)
    return torch.exp(-density).clamp(max=1)


def _draw_mixing(tiles_per_slide: Sequence[int], generator: torch.Generator, tint: float) -> Tensor:
    """Return (n, 3, 3) matrices that act on optical densities."""

    def uniform(*shape: int) -> Tensor:
        return tint * (2 * torch.rand(*shape, generator=generator) - 1)

    n_slides, n = len(tiles_per_slide), sum(tiles_per_slide)
    slide = torch.diag_embed(1 + _SLIDE_GAIN * uniform(n_slides, 3))
    slide = slide + _SLIDE_MIX * uniform(n_slides, 3, 3)
    slide = slide.repeat_interleave(torch.tensor(tiles_per_slide), dim=0)
    return slide * (1 + _TILE_GAIN * uniform(n, 3, 1))
