"""Percentiles of very many tiles are as good as sorted ones, in little memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_dre_slcl.insight.attention_scale import attention_counts, binned_percentile
from napari_dre_slcl.insight.rows import MapPool, ShardRows
from napari_dre_slcl.insight.search import attention_percentile
from napari_dre_slcl.insight.tile_index import TileIndex

MakeIndex = Callable[..., TileIndex]


def test_binned_percentiles_are_near_the_sorted_ones(index_of: MakeIndex) -> None:
    index = index_of({"a": 900, "b": 700})
    values = np.array([*index.attention[:50], -1, 0, 1e-6, 0.5, 1, 3, 99], np.float32)
    exact = attention_percentile(index, values)
    binned = binned_percentile(attention_counts(index.attention), values)
    np.testing.assert_allclose(binned, exact, atol=0.5)
    assert binned[50] == 0
    assert binned[-1] == 100


def test_equal_attention_lies_in_the_middle(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", np.ones(40, np.float32))
    equal = ShardRows(MapPool(), [tmp_path / "0.npy"], [40], np.float32)
    found = binned_percentile(attention_counts(equal), np.array([[1.0], [0.9], [1.1]]))
    assert found.tolist() == [[50], [0], [100]]
