"""Random views keep tissue tissue and glass glass."""

import torch

from napari_dre_slcl.model.augmentation import augment_tiles


def test_white_glass_stays_white() -> None:
    white = torch.ones(6, 3, 8, 8)
    assert torch.equal(augment_tiles(white, torch.Generator().manual_seed(0)), white)


def test_each_view_is_a_flip_or_turn_of_its_own_tile() -> None:
    tile = torch.zeros(1, 3, 4, 4)
    tile[:, :, 0, 1] = 1
    views = augment_tiles(tile.expand(200, -1, -1, -1), torch.Generator().manual_seed(0))
    places = {tuple((view[0] > 0.5).nonzero()[0].tolist()) for view in views}
    # The eight symmetries of the square move one corner neighbour to eight places.
    assert places == {(0, 1), (0, 2), (1, 0), (2, 0), (1, 3), (2, 3), (3, 1), (3, 2)}


def test_the_same_seed_gives_the_same_view() -> None:
    tiles = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    one = augment_tiles(tiles, torch.Generator().manual_seed(7))
    assert torch.equal(one, augment_tiles(tiles, torch.Generator().manual_seed(7)))
    assert not torch.equal(one, augment_tiles(tiles, torch.Generator().manual_seed(8)))
