"""Random views keep tissue tissue and glass glass."""

import torch

from napari_dre_slcl.model.augmentation import augment_tiles, crop_tiles


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_white_glass_stays_white() -> None:
    white = torch.ones(6, 3, 8, 8)
    assert torch.equal(augment_tiles(white, [2, 4], _seeded(0)), white)


def test_each_view_is_a_flip_or_turn_of_its_own_tile() -> None:
    tile = torch.ones(1, 3, 4, 4)
    tile[:, :, 0, 1] = 0.2
    views = augment_tiles(tile.expand(200, -1, -1, -1), [200], _seeded(0))
    places = {tuple((view[0] < 0.8).nonzero()[0].tolist()) for view in views}
    # The eight symmetries of the square move one corner neighbour to eight places.
    assert places == {(0, 1), (0, 2), (1, 0), (2, 0), (1, 3), (2, 3), (3, 1), (3, 2)}


def test_tiles_of_a_slide_share_most_of_their_tint() -> None:
    grey = torch.full((400, 3, 2, 2), 0.5)
    density = -augment_tiles(grey, [20] * 20, _seeded(1)).mean((2, 3)).log().view(20, 20, 3)
    within, between = density.std(1).mean(), density.mean(1).std(0).mean()
    assert between > 2 * within > 0


def test_values_stay_in_range() -> None:
    views = augment_tiles(torch.rand(60, 3, 8, 8, generator=_seeded(3)), [30, 30], _seeded(2))
    assert views.min() >= 0
    assert views.max() <= 1


def test_the_same_seed_gives_the_same_view() -> None:
    tiles = torch.rand(5, 3, 8, 8, generator=_seeded(1))
    one = augment_tiles(tiles, [2, 3], _seeded(7))
    assert torch.equal(one, augment_tiles(tiles, [2, 3], _seeded(7)))
    assert not torch.equal(one, augment_tiles(tiles, [2, 3], _seeded(8)))


def test_without_tint_a_view_keeps_its_colours() -> None:
    tiles = torch.rand(6, 3, 4, 4, generator=_seeded(1))
    views = augment_tiles(tiles, [3, 3], _seeded(2), tint=0.0)
    assert torch.equal(views.flatten(2).sort(-1).values, tiles.flatten(2).sort(-1).values)


def test_half_the_tint_varies_half_as_much() -> None:
    grey = torch.full((400, 3, 2, 2), 0.5)
    whole, half = (
        -augment_tiles(grey, [20] * 20, _seeded(1), tint).mean((2, 3)).log() for tint in (1.0, 0.5)
    )
    assert 0.4 < float(half.std() / whole.std()) < 0.6


def test_a_crop_is_a_square_of_the_tile_no_smaller_than_asked() -> None:
    # The pixel's value is its place, so a crop's range says how much of the tile it shows.
    ramp = torch.linspace(0, 1, 32).expand(50, 1, 32, 32)
    crops = crop_tiles(ramp, 0.25, _seeded(0))
    width = crops.amax((1, 2, 3)) - crops.amin((1, 2, 3))
    assert crops.shape == ramp.shape
    assert width.min() > 0.45
    assert width.max() > width.min() + 0.2
    # All rows of a crop show the same columns, and the whole tile comes back as it is.
    assert torch.allclose(crops, crops[:, :, :1].expand_as(crops), atol=1e-6)
    assert torch.allclose(crop_tiles(ramp, 1.0, _seeded(0)), ramp, atol=1e-5)


def test_without_tint_the_colours_stay() -> None:
    tiles = torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(0)).clamp_min(0.1)
    tiles = tiles.expand(4, 3, 8, 8)
    generator = torch.Generator().manual_seed(1)
    torch.testing.assert_close(augment_tiles(tiles, [4], generator, tint=0), tiles)
    assert (augment_tiles(tiles, [4], generator, tint=1) - tiles).abs().max() > 0.01
