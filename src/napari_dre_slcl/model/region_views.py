"""Random views of regions for self-distillation: crops of a grid of tiles, or thinned vectors.

Every choice comes from the generator that is passed.
"""

from __future__ import annotations

import torch

from napari_dre_slcl.model.regions import RegionInputs

__all__ = ["crop_grids", "thin_vectors"]


def crop_grids(inputs: RegionInputs, edge: int, generator: torch.Generator) -> RegionInputs:
    """Cut a square out of each grid, flipped left to right at random.

    A square always holds a tile: it lies at random around a tile that is drawn at random.

    Parameters
    ----------
    inputs : RegionInputs
        (B, g, g, d) grids.
    edge : int
        Of the square, at most g.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    RegionInputs
        (B, edge, edge, d).
    """
    values, is_there = inputs
    assert is_there is not None
    n, grid = values.shape[:2]
    tile = torch.multinomial(is_there.flatten(1).cpu().float(), 1, generator=generator).squeeze(1)
    centre = torch.stack([torch.div(tile, grid, rounding_mode="floor"), tile % grid])
    low = (centre - edge + 1).clamp(min=0)
    high = centre.clamp(max=grid - edge)
    draw = torch.rand(2, n, generator=generator)
    corner = low + (draw * (high - low + 1)).long()
    rows = corner[0, :, None] + torch.arange(edge)
    columns = corner[1, :, None] + torch.arange(edge)
    is_flipped = torch.rand(n, generator=generator) < 0.5
    columns = torch.where(is_flipped[:, None], columns.flip(1), columns)
    index = (rows[:, :, None] * grid + columns[:, None, :]).to(values.device)
    every = torch.arange(n, device=values.device)[:, None, None]
    return RegionInputs(values.flatten(1, 2)[every, index], is_there.flatten(1)[every, index])


def thin_vectors(
    inputs: RegionInputs, dropout: float, noise: float, generator: torch.Generator
) -> RegionInputs:
    """Leave values of standardised vectors out at random, and add noise to the rest.

    Parameters
    ----------
    inputs : RegionInputs
        (B, d) vectors.
    dropout : float
        Share of values that become 0; the others are scaled up for it.
    noise : float
        Deviation of the noise.
    generator : torch.Generator
        On the CPU.
    """
    values = inputs.values
    if noise:
        values = values + noise * torch.randn(values.shape, generator=generator).to(values)
    if dropout:
        kept = torch.rand(values.shape, generator=generator) >= dropout
        values = values * (kept.to(values) / (1 - dropout))
    return RegionInputs(values, None)
