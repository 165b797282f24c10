"""Atlas: known planes are found, the same input gives the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.insight.atlas import atlas_sample, principal_plane, project


def test_points_of_a_plane_keep_their_distances() -> None:
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((40, 2)) * (5, 1)
    axes = np.linalg.qr(rng.standard_normal((6, 2)))[0]
    placed = principal_plane(flat @ axes.T + 3)
    between = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(np.linalg.norm(placed[:, None] - placed, axis=2), between, atol=1e-4)
    assert placed[:, 0].std() > placed[:, 1].std()


def test_the_same_vectors_give_the_same_picture_in_any_order() -> None:
    vectors = np.random.default_rng(1).standard_normal((30, 5))
    np.testing.assert_allclose(project(vectors)[::-1], project(vectors[::-1]), atol=1e-4)


@pytest.mark.parametrize(("n", "dim"), [(0, 4), (1, 4), (2, 1), (3, 4)])
def test_few_points_are_placed_too(n: int, dim: int) -> None:
    placed = project(np.random.default_rng(2).standard_normal((n, dim)))
    assert placed.shape == (n, 2)
    assert np.isfinite(placed).all()


def test_a_sample_is_drawn_once_each_and_the_same_again() -> None:
    assert atlas_sample(5, 10).tolist() == [0, 1, 2, 3, 4]
    drawn = atlas_sample(1000, 50, seed=3)
    assert len(np.unique(drawn)) == 50
    np.testing.assert_array_equal(drawn, np.sort(drawn))
    np.testing.assert_array_equal(drawn, atlas_sample(1000, 50, seed=3))


def test_umap_places_groups_apart_where_it_is_installed() -> None:
    pytest.importorskip("umap", reason="the extra 'umap' is not installed")
    rng = np.random.default_rng(0)
    groups = np.concatenate([rng.normal(0, 0.1, (30, 8)), rng.normal(5, 0.1, (30, 8))])
    placed = project(groups, "umap", seed=0)
    assert np.linalg.norm(placed[:30].mean(0) - placed[30:].mean(0)) > placed[:30].std()
