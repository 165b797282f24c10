"""Which tiles lie inside outlines."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer

from napari_dre_slcl.layers.lasso import lasso_layer, tiles_inside

CENTRES = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
SQUARE = np.array([[0.5, 0.5], [0.5, 2.5], [2.5, 2.5], [2.5, 0.5]])


def test_tiles_are_inside_by_their_centre() -> None:
    assert tiles_inside(CENTRES.astype(float), [SQUARE]).tolist() == [5, 6, 9, 10]


def test_several_outlines_add_up_and_a_line_holds_nothing() -> None:
    corner = np.array([[-1, -1], [-1, 0.5], [0.5, 0.5], [0.5, -1]], dtype=float)

    found = tiles_inside(CENTRES.astype(float), [SQUARE, corner, SQUARE[:2]])

    assert found.tolist() == [0, 5, 6, 9, 10]
    assert tiles_inside(CENTRES.astype(float), []).tolist() == []


@pytest.mark.parametrize("mpp", [0.5, None])
def test_corners_are_level_0_pixels_of_the_slide(mpp: float | None) -> None:
    layer = Layer.create(*lasso_layer(mpp))

    layer.add(SQUARE, shape_type="polygon")

    np.testing.assert_allclose(layer.data_to_world((10, 20)), np.array([10, 20]) * (mpp or 1))
