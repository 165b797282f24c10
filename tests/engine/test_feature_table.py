"""Whether the tiles of a feature file can be drawn, and why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort.feature_store import FeatureFile, StoredFeatures
from napari_dre_slcl.engine.feature_table import tile_table


def _stored(corners: object, size_px: int | None) -> StoredFeatures:
    yx = None if corners is None else np.array(corners, np.int64)
    n = 2 if yx is None else len(yx)
    attrs = {} if size_px is None else {"patch_size_level0": size_px}
    file = FeatureFile(Path("s.h5"), n, 3, yx is not None, attrs)
    return StoredFeatures(np.ones((n, 3), np.float32), yx, file)


def test_tiles_on_a_grid_get_rows_and_columns() -> None:
    table, reason = tile_table(_stored([[0, 512], [1025, 0]], 512))
    assert (table.grid_shape, table.slide_shape, reason) == ((3, 2), (1536, 1024), "")
    assert table.rowcol.tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("corners", "size_px", "reason"),
    [
        (None, 512, "does not say where"),
        ([[0, 0], [0, 512]], None, "does not say how large"),
        ([[0, 0], [0, 300]], 512, "no common grid"),
        ([[-512, 0], [0, 0]], 512, "no common grid"),
        ([[0, 0], [1, 0]], 512, "no common grid"),
        ([[0, 0], [90_000, 80_000]], 1, "of 1 px, lie too far apart"),
    ],
)
def test_tiles_that_cannot_be_drawn_are_told(corners, size_px, reason: str) -> None:
    table, found = tile_table(_stored(corners, size_px))
    assert reason in found
    assert (table.grid_shape, len(table.rowcol)) == ((0, 0), 0)
