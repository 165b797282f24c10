"""Random views of slides that are bags of tiles: which tiles, and where they come to lie."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["draw_tiles", "even_draws", "move_tiles", "to_cells"]


def draw_tiles(tile_counts: Tensor, n_drawn: int, generator: torch.Generator) -> Tensor:
    """Draw tiles of each of B slides at random, no tile twice (Floyd's algorithm).

    Takes the same time for slides of any size.

    Parameters
    ----------
    tile_counts : Tensor
        (B,) int64 number of tiles of each slide, at least 1.
    n_drawn : int
        Of each slide. A slide with fewer tiles gives some of them several times.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        (B, n_drawn) int64 numbers of tiles.
    """
    uniform = torch.rand(len(tile_counts), n_drawn, generator=generator, dtype=torch.float64)
    drawn = torch.full((len(tile_counts), n_drawn), -1, dtype=torch.int64)
    for place in range(n_drawn):
        last = tile_counts - n_drawn + place
        candidate = (uniform[:, place] * (last + 1)).long()
        is_taken = (drawn[:, :place] == candidate[:, None]).any(1)
        drawn[:, place] = torch.where(is_taken, last, candidate)
    with_repeats = (uniform * tile_counts[:, None]).long()
    return torch.where(tile_counts[:, None] < n_drawn, with_repeats, drawn)


def even_draws(n_tiles: int, n_bags: int, bag_size: int, generator: torch.Generator) -> Tensor:
    """Deal tiles to bags, shuffled anew when all are dealt: none is drawn much oftener than others.

    Returns
    -------
    Tensor
        (n_bags, bag_size) int64 numbers of tiles; how often two tiles occur differs by at most 1.
    """
    n_rounds = math.ceil(n_bags * bag_size / n_tiles)
    dealt = torch.rand(n_rounds, n_tiles, generator=generator, dtype=torch.float64).argsort(1)
    return dealt.flatten()[: n_bags * bag_size].reshape(n_bags, bag_size)


def move_tiles(
    positions: Tensor, scales: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Scale, rotate, flip and shift the tiles of each view, all tiles of a view alike.

    Parameters
    ----------
    positions : Tensor
        (B, k, 2) float rows and columns of the tiles' centres, in cells.
    scales : (float, float)
        Smallest and largest factor; each axis has its own.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        (B, k, 2): ``positions`` times a diagonal scaling, a rotation by up to ±180°, and perhaps
        a flip, plus a shift of up to a cell on each axis. A shift by whole cells changes nothing,
        as `to_cells` moves each view to its own origin.
    """
    n_views = len(positions)
    low, high = scales
    scale = low + (high - low) * torch.rand(n_views, 1, 2, generator=generator)
    angle = (2 * torch.rand(n_views, generator=generator) - 1) * math.pi
    sign = torch.randint(0, 2, (n_views, 1), generator=generator) * 2.0 - 1
    shift = torch.rand(n_views, 1, 2, generator=generator)
    sine, cosine = angle.sin(), angle.cos()
    # The second row is flipped: a mirror image, then a rotation.
    matrix = torch.stack(
        [torch.stack([cosine, -sine], 1), sign * torch.stack([sine, cosine], 1)], dim=1
    )
    return (positions * scale) @ matrix.transpose(1, 2) + shift


def to_cells(positions: Tensor) -> Tensor:
    """Return (B, k, 2) int64 cells of (B, k, 2) positions in cells; each view starts at (0, 0).

    Views are moved by whole cells, so that tiles share a cell as they did before.
    """
    cells = positions.floor().long()
    return cells - cells.amin(1, keepdim=True)
