"""One view of a slide: the same change to every tile."""

from __future__ import annotations

import torch

from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.slide_augmentation import SlideView


def test_all_tiles_change_alike_in_whatever_batches() -> None:
    tiles = torch.rand(1, 3, 8, 8, generator=seeded(0)).expand(6, -1, -1, -1)
    view = SlideView(seeded(1))
    seen = torch.cat([view(tiles[:2]), view(tiles[2:])])
    assert torch.equal(seen, seen[:1].expand_as(seen))
    assert not torch.allclose(seen, tiles)
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
    assert torch.equal(SlideView(seeded(1))(tiles), seen)


def test_views_differ_and_white_stays_white() -> None:
    tile = torch.rand(1, 3, 8, 8, generator=seeded(0))
    seen = [SlideView(seeded(2, number))(tile) for number in range(4)]
    assert not any(torch.allclose(seen[0], other) for other in seen[1:])
    white = torch.ones(1, 3, 4, 4)
    torch.testing.assert_close(SlideView(seeded(3))(white), white)


def test_without_tint_pixels_only_move() -> None:
    tile = torch.rand(1, 3, 8, 8, generator=seeded(0))
    moved = SlideView(seeded(4), tint=0)(tile)
    torch.testing.assert_close(moved.flatten(2).sort().values, tile.flatten(2).sort().values)
