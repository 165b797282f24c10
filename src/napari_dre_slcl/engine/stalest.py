"""How many of a process's tiles are among those that were encoded longest ago."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dre_slcl.engine.world import World

__all__ = ["share_of_stalest"]


def share_of_stalest(ages: Tensor, n: int, world: World) -> int:
    """Return how many of the n oldest tiles of all processes are this one's.

    Of equally old tiles those of earlier slides come first, as in one process alone.

    Parameters
    ----------
    ages : Tensor
        (m,) of this process's tiles.
    n : int
        Of all tiles.
    world : World
        The processes; each owns slides that follow on those of the one before.
    """
    values, counts = torch.unique(ages, return_counts=True)
    pairs = list(zip(values.tolist(), counts.tolist(), strict=True))
    told = [dict(map(tuple, one)) for one in world.exchange(pairs)]
    mine = 0
    for age in sorted({age for one in told for age in one}, reverse=True):
        for rank, one in enumerate(told):
            taken = min(n, one.get(age, 0))
            n -= taken
            mine += taken if rank == world.rank else 0
    return mine
