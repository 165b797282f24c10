"""Random views of tiles: crops, flips and quarter turns of each, tints shared within a slide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["augment_tiles", "crop_tiles"]

_SLIDE_GAIN = 0.2
_SLIDE_MIX = 0.05
_TILE_GAIN = 0.1


def augment_tiles(
    tiles: Tensor,
    tiles_per_slide: Sequence[int],
    generator: torch.Generator | Sequence[torch.Generator],
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
    generator : torch.Generator or sequence of torch.Generator
        On the CPU; the draw depends neither on the device nor on ``tint``. With one of its own for
        each slide, a slide is changed alike whatever slides stand beside it.
    tint : float, default 1.0
        Strength of the tints; 0 keeps the colours as they are.

    Returns
    -------
    Tensor
        Same shape, values 0 to 1.
    """
    n = len(tiles)
    flip, turn, mixing = _draw(tiles_per_slide, generator, tint)
    tiles = torch.where((flip < 0.5).view(n, 1, 1, 1).to(tiles.device), tiles.flip(-1), tiles)
    quarter = (turn * 4).long().to(tiles.device)
    turned = torch.stack([torch.rot90(tiles, k, (-2, -1)) for k in range(4)])
    tiles = turned[quarter, torch.arange(n, device=tiles.device)]
    if tint == 0:
        return tiles
    density = -tiles.clamp_min(1 / 255).log()
    density = torch.einsum("nij,njhw->nihw", mixing.to(tiles), density)
    return torch.exp(-density).clamp(max=1)


def crop_tiles(tiles: Tensor, least_area: float, generator: torch.Generator) -> Tensor:
    """Cut a random square out of each tile and enlarge it to the tile's size.

    Parameters
    ----------
    tiles : Tensor
        (n, c, size, size).
    least_area : float
        Smallest share of the tile's area that is kept, above 0, at most 1.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        Same shape, bilinear.
    """
    n = len(tiles)
    area, across, down = torch.rand(3, n, generator=generator)
    # In grid_sample's coordinates a tile reaches from -1 to 1.
    half = (least_area + (1 - least_area) * area).sqrt()
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0] = transform[:, 1, 1] = half
    transform[:, 0, 2] = (1 - half) * (2 * across - 1)
    transform[:, 1, 2] = (1 - half) * (2 * down - 1)
    grid = torch.nn.functional.affine_grid(
        transform.to(tiles), list(tiles.shape), align_corners=False
    )
    return torch.nn.functional.grid_sample(tiles, grid, padding_mode="border", align_corners=False)


def _draw(
    tiles_per_slide: Sequence[int],
    generator: torch.Generator | Sequence[torch.Generator],
    tint: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (n,) for flips, (n,) for turns, and (n, 3, 3) for tints."""
    if isinstance(generator, torch.Generator):
        n = sum(tiles_per_slide)
        flip, turn = torch.rand(n, generator=generator), torch.rand(n, generator=generator)
        return flip, turn, _draw_mixing(tiles_per_slide, generator, tint)
    parts = [
        _draw([count], own, tint) for count, own in zip(tiles_per_slide, generator, strict=True)
    ]
    flips, turns, mixings = zip(*parts, strict=True)
    return torch.cat(flips), torch.cat(turns), torch.cat(mixings)


def _draw_mixing(tiles_per_slide: Sequence[int], generator: torch.Generator, tint: float) -> Tensor:
    """Return (n, 3, 3) matrices that act on optical densities."""

    def uniform(*shape: int) -> Tensor:
        return tint * (2 * torch.rand(*shape, generator=generator) - 1)

    n_slides, n = len(tiles_per_slide), sum(tiles_per_slide)
    slide = torch.diag_embed(1 + _SLIDE_GAIN * uniform(n_slides, 3))
    slide = slide + _SLIDE_MIX * uniform(n_slides, 3, 3)
    slide = slide.repeat_interleave(torch.tensor(tiles_per_slide), dim=0)
    return slide * (1 + _TILE_GAIN * uniform(n, 3, 1))
