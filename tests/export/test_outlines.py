"""Outlines against shapely: each region is a valid polygon that covers its cells exactly."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Polygon, box
from shapely.ops import unary_union

from napari_dre_slcl.export.outlines import regions


@pytest.mark.parametrize("seed", range(20))
def test_regions_of_noise_are_valid_and_cover_their_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, size=tuple(rng.integers(1, 9, 2)))
    n_cells = 0
    for region in regions(values):
        shape = Polygon(region.outer[:, ::-1], [hole[:, ::-1] for hole in region.holes])
        cells = [divmod(int(cell), values.shape[1]) for cell in region.cells]
        assert {values[cell] for cell in cells} == {region.value}
        assert shape.is_valid
        assert shape.equals(unary_union([box(c, r, c + 1, r + 1) for r, c in cells]))
        assert shape.exterior.is_ccw
        assert not any(hole.is_ccw for hole in shape.interiors)
        n_cells += len(cells)
    assert n_cells == (values > 0).sum()


def test_a_hole_that_touches_the_outside_at_a_corner_is_a_hole() -> None:
    values = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    (region,) = regions(values)
    assert len(region.holes) == 1
    assert Polygon(region.outer, region.holes).is_valid


def test_nothing_has_no_region() -> None:
    assert list(regions(np.zeros((3, 4), int))) == []
