"""Views of slides: which tiles are drawn, and where they come to lie."""

import pytest
import torch

from napari_dre_slcl.model.mlp_aggregator import MlpAggregator
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.slide_views import draw_tiles, even_draws, move_tiles, to_cells


@pytest.mark.parametrize("n_tiles", [5, 6, 17, 100_000])
def test_no_tile_is_drawn_twice(n_tiles: int) -> None:
    drawn = draw_tiles(torch.full((200,), n_tiles), 5, seeded(0))
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < n_tiles
    assert all(len(set(row)) == 5 for row in drawn.tolist())


def test_all_sets_of_tiles_are_as_likely() -> None:
    drawn = draw_tiles(torch.full((30_000,), 5), 2, seeded(0)).sort(1).values
    sets, counts = torch.unique(drawn, dim=0, return_counts=True)
    assert len(sets) == 10
    # Ten sets of 3,000 each; one standard deviation is 52.
    assert (counts - 3000).abs().max() < 5 * 52


@pytest.mark.parametrize("n_tiles", [1, 3])
def test_a_small_slide_gives_tiles_several_times(n_tiles: int) -> None:
    drawn = draw_tiles(torch.tensor([n_tiles, 50]), 5, seeded(0))
    assert drawn.shape == (2, 5)
    assert int(drawn[0].max()) < n_tiles
    assert len(set(drawn[1].tolist())) == 5


@pytest.mark.parametrize(("n_tiles", "n_bags", "size"), [(1, 3, 5), (7, 50, 5), (900, 50, 5)])
def test_tiles_are_dealt_out_evenly(n_tiles: int, n_bags: int, size: int) -> None:
    bags = even_draws(n_tiles, n_bags, size, seeded(0))
    counts = torch.bincount(bags.flatten(), minlength=n_tiles)
    assert bags.shape == (n_bags, size)
    assert int(counts.max() - counts.min()) <= 1


def test_moving_without_scaling_keeps_distances() -> None:
    positions = torch.rand(40, 5, 2, generator=seeded(1)) * 20
    moved = move_tiles(positions, (1.0, 1.0), seeded(0))
    torch.testing.assert_close(
        torch.cdist(moved, moved), torch.cdist(positions, positions), atol=1e-3, rtol=1e-3
    )


def test_views_are_turned_all_ways_and_half_of_them_flipped() -> None:
    axes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).expand(4000, 3, 2)
    moved = move_tiles(axes, (1.0, 1.0), seeded(0))
    first, second = moved[:, 1] - moved[:, 0], moved[:, 2] - moved[:, 0]
    is_mirrored = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    assert float(is_mirrored.float().mean()) == pytest.approx(0.5, abs=0.04)
    angle = torch.atan2(first[:, 1], first[:, 0])
    quarters = torch.histc(angle, 4, -torch.pi, torch.pi) / 4000
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_each_axis_is_scaled_within_the_range() -> None:
    axes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).expand(2000, 3, 2)
    moved = move_tiles(axes, (0.7, 1.3), seeded(0))
    length = (moved[:, 1:] - moved[:, :1]).norm(dim=2)
    assert 0.699 < float(length.min()) < 0.71
    assert 1.29 < float(length.max()) < 1.301
    correlation = torch.corrcoef(length.T)[0, 1]
    assert abs(float(correlation)) < 0.1


def test_a_view_starts_at_the_origin_and_keeps_its_cells() -> None:
    cells = to_cells(torch.tensor([[[-3.2, 7.9], [-3.9, 9.0], [1.0, 7.1]]]))
    assert cells.tolist() == [[[0, 0], [0, 2], [5, 0]]]


def test_the_mean_over_bags_is_that_of_the_bags_one_by_one() -> None:
    torch.manual_seed(0)
    aggregator = MlpAggregator(6, 8, 0.3).eval()
    features, bags = torch.randn(9, 6), even_draws(9, 7, 5, seeded(0))
    expected = aggregator(features[bags]).mean(0)
    torch.testing.assert_close(aggregator.average(features, None, bags), expected)
