from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import tile_slide

GLASS = 243


def test_grid_keeps_exactly_the_tissue(slide):
    grid = tile_slide(slide)
    assert (grid.tile_px, grid.size_px, grid.shape) == (256, 256, (4, 6))
    assert grid.rowcol.tolist() == [[r, c] for r in (1, 2) for c in (1, 2, 3, 4)]
    assert np.array_equal(grid.yx, grid.rowcol * 256)
    assert grid.downsample == 1
    assert len(grid) == 8
    assert sum(grid.reasons.values()) + len(grid) == 24


def test_finer_slide_has_larger_tiles(slide_file):
    with open_slide(slide_file(), mpp=0.25) as slide:
        grid = tile_slide(slide)
    assert (grid.size_px, grid.shape, grid.downsample) == (512, (2, 3), 2.0)


def test_unknown_pixel_size_names_the_ways_to_give_it(slide_file):
    with (
        open_slide(slide_file(mpp=None)) as slide,
        pytest.raises(SlideError, match=r"--mpp.*mpp column.*Slide tab"),
    ):
        tile_slide(slide)


def test_coarser_slide_is_refused(slide_file):
    with (
        open_slide(slide_file(), mpp=0.53) as slide,
        pytest.raises(SlideError, match=r"coarser than the 0.5"),
    ):
        tile_slide(slide)
    with open_slide(slide_file(), mpp=0.52) as slide:
        assert tile_slide(slide).size_px == 246


def test_empty_slide_says_why(slide_file):
    glass = np.full((1024, 1024, 3), GLASS, np.uint8)
    with (
        open_slide(slide_file(image=glass)) as slide,
        pytest.raises(SlideError, match=r"no tissue tile: of 16 tiles 16 background"),
    ):
        tile_slide(slide)


def test_slide_smaller_than_a_tile_is_refused(slide_file):
    small = np.full((200, 300, 3), GLASS, np.uint8)
    with (
        open_slide(slide_file(image=small, levels=1)) as slide,
        pytest.raises(SlideError, match="smaller than one tile"),
    ):
        tile_slide(slide)
    with open_slide(slide_file(levels=1)) as slide:
        assert len(tile_slide(slide, TilingConfig(tile_px=64))) == 8 * 16
