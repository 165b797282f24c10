"""Which slides each process of a training owns: runs of about as many tiles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

__all__ = ["shard_ranges", "shards_of"]


def shard_ranges(tile_counts: Sequence[int], n_shards: int) -> list[range]:
    """Cut slides into runs of neighbours with nearly equal numbers of tiles.

    Parameters
    ----------
    tile_counts : sequence of int
        (n) of each slide.
    n_shards : int
        Number of runs; with fewer slides than that, some are empty.

    Returns
    -------
    list of range
        Slide numbers of each run; together all slides, in order. No cut lies further from its even
        place than half of the slide there.
    """
    ends = np.cumsum([0, *tile_counts])
    wanted = np.arange(1, n_shards) * (ends[-1] / n_shards)
    right = np.searchsorted(ends, wanted).clip(1, len(ends) - 1)
    cuts = np.where(wanted - ends[right - 1] < ends[right] - wanted, right - 1, right)
    return [range(first, last) for first, last in pairwise([0, *cuts.tolist(), len(tile_counts)])]


def shards_of(tile_counts: Sequence[int], n_shards: int) -> tuple[int, ...]:
    """Return for each slide the number of the shard that it is in."""
    ranges = shard_ranges(tile_counts, n_shards)
    return tuple(number for number, slides in enumerate(ranges) for _ in slides)
