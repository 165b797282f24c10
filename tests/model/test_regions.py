"""Regions of the tile grid, and random views of them."""

import pytest
import torch

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.region_views import crop_grids, thin_vectors
from napari_dre_slcl.model.regions import RegionInputs, RegionStore, find_regions, lay_out


def _square(edge: int) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(edge), torch.arange(edge))


def test_tiles_lie_where_they_lay_on_the_slide() -> None:
    rowcol = _square(4) + torch.tensor([100, 7])
    features = rowcol.float()
    inputs = lay_out(features, find_regions(rowcol, 2, 0.0), 2)
    assert inputs.values.shape == (4, 2, 2, 2)
    assert bool(inputs.is_there.all())
    assert inputs.values[1, 1, 0].tolist() == [101, 9]  # upper right region, lower left tile


def test_regions_that_are_too_empty_do_not_count() -> None:
    rowcol = torch.cat([_square(4), torch.tensor([[0, 4]])])
    regions = find_regions(rowcol, 4, 0.25)
    assert regions.n_regions == 1
    assert regions.member.tolist() == [0] * 16 + [-1]


def test_a_slide_keeps_its_fullest_region() -> None:
    rowcol = torch.tensor([[0, 0], [0, 9], [1, 9]])
    regions = find_regions(rowcol, 4, 0.5)
    assert regions.n_regions == 1
    assert regions.member.tolist() == [-1, 0, 0]


def test_tiles_of_one_cell_are_averaged_and_empty_cells_are_zero() -> None:
    rowcol = torch.tensor([[0, 0], [0, 0], [1, 1]])
    inputs = lay_out(torch.tensor([[1.0], [3.0], [5.0]]), find_regions(rowcol, 2, 0.0), 2)
    assert inputs.values.flatten().tolist() == [2, 0, 0, 5]
    assert inputs.is_there.flatten().tolist() == [True, False, False, True]


def test_a_store_gives_the_regions_of_each_slide() -> None:
    places = [_square(4), _square(3)]
    features = [torch.randn(len(place), 5) for place in places]
    store = RegionStore.gather(features, places, 2, 0.0)
    assert store.slide.tolist() == [0] * 4 + [1] * 4
    rows = torch.tensor([6, 1, 3])
    inputs = store.inputs(rows)
    alone = [
        lay_out(rows_of, find_regions(place, 2, 0.0), 2)
        for rows_of, place in zip(features, places, strict=True)
    ]
    torch.testing.assert_close(inputs.values, torch.cat([one.values for one in alone])[rows])
    assert torch.equal(inputs.is_there, torch.cat([one.is_there for one in alone])[rows])


def test_without_a_grid_each_feature_is_a_region() -> None:
    features = [torch.randn(3, 2), torch.randn(2, 2)]
    store = RegionStore.gather(features, [None, None], 0, 0.0)
    assert store.slide.tolist() == [0, 0, 0, 1, 1]
    torch.testing.assert_close(store.inputs(torch.tensor([4])).values, features[1][1:])


def test_missing_positions_are_told() -> None:
    with pytest.raises(ModelError, match=r"1 of 2 slides .* set slpd.region_encoder to mlp"):
        RegionStore.gather([torch.ones(1, 2)] * 2, [torch.zeros(1, 2).long(), None], 2, 0.0)


def test_crops_are_squares_of_the_grid_that_hold_a_tile() -> None:
    grid = torch.arange(36.0).view(1, 6, 6, 1).repeat(200, 1, 1, 1)
    is_there = torch.zeros(200, 6, 6, dtype=torch.bool)
    is_there[:, 1, 4] = True
    crops = crop_grids(RegionInputs(grid, is_there), 3, torch.Generator().manual_seed(0))
    assert crops.values.shape == (200, 3, 3, 1)
    assert bool(crops.is_there.flatten(1).any(1).all())
    values = crops.values[..., 0]
    assert set((values[:, 1] - values[:, 0]).flatten().tolist()) == {6.0}
    steps = (values[:, :, 1] - values[:, :, 0]).flatten(1)
    assert bool((steps == steps[:, :1]).all())
    assert set(steps.flatten().tolist()) == {-1.0, 1.0}
    assert len(values[:, 0].amin(1).unique()) > 3  # corners differ


def test_thinned_vectors_keep_their_mean() -> None:
    ones = RegionInputs(torch.ones(400, 50), None)
    values = thin_vectors(ones, 0.5, 0.0, torch.Generator().manual_seed(0)).values
    assert set(values.flatten().tolist()) == {0.0, 2.0}
    assert values.mean().item() == pytest.approx(1, abs=0.05)
    noisy = thin_vectors(ones, 0.0, 0.3, torch.Generator().manual_seed(0)).values
    assert noisy.std().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(thin_vectors(ones, 0.0, 0.0, torch.Generator()).values, ones.values)
