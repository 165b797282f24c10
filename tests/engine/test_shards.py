"""Which slides each process owns."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.engine.shards import shard_ranges, shards_of


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7, 16])
def test_shards_are_runs_of_neighbours_with_about_as_many_tiles(n_shards: int) -> None:
    counts = np.random.default_rng(0).integers(1, 500, 200).tolist()
    ranges = shard_ranges(counts, n_shards)
    assert [slide for part in ranges for slide in part] == list(range(200))
    tiles = [sum(counts[slide] for slide in part) for part in ranges]
    assert max(tiles) - min(tiles) <= 2 * max(counts)
    assert shards_of(counts, n_shards)[ranges[-1][0]] == n_shards - 1


def test_with_more_shards_than_slides_some_are_empty() -> None:
    ranges = shard_ranges([5, 5], 4)
    assert sorted(slide for part in ranges for slide in part) == [0, 1]
    assert len(ranges) == 4
