"""A preview says what tiling will say, whatever the mask, and looks at each tile once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide, open_slide
from napari_dre_slcl.tiles import MaskClass, TileStatus, TissueMask, tile_slide
from napari_dre_slcl.tiles.preview import TilePreview


@pytest.fixture
def blurred_slide(slide_file: Callable[..., Path], tissue_image: Callable[..., np.ndarray]) -> Path:
    """A slide whose right half of tissue is out of focus."""
    image = tissue_image(1024, 2100, (100, 100, 900, 2000))
    image[:, 1024:] = ndimage.gaussian_filter(image[:, 1024:], (6, 6, 0))
    return slide_file("blurred.tif", image=image)


def _corrected(mask: TissueMask) -> TissueMask:
    labels = mask.labels.copy()
    labels[:18] = MaskClass.GLASS
    labels[40:, :30] = MaskClass.PEN
    return replace(mask, labels=labels)


@pytest.mark.parametrize("min_tissue", [0.2, 0.9])
def test_the_tiles_are_those_of_tiling(blurred_slide: Path, min_tissue: float) -> None:
    config = TilingConfig(min_tissue=min_tissue)
    with open_slide(blurred_slide) as slide:
        preview = TilePreview(slide.info)
        found = preview.overview.mask()
        for mask in (found, preview.overview.mask(30), _corrected(found)):
            grid, n_unseen = preview.grid(mask, config)
            assert n_unseen == 0
            np.testing.assert_array_equal(grid.status, tile_slide(slide, config, mask).status)
        assert preview.grid(found, config)[0].reasons["blur"] > 0
        np.testing.assert_array_equal(
            preview.grid(found, config)[0].status, tile_slide(slide, config).status
        )


def test_each_tile_is_looked_at_once_and_a_few_at_a_time(blurred_slide: Path) -> None:
    with open_slide(blurred_slide) as slide:
        preview = TilePreview(slide.info)
    config, mask = TilingConfig(min_tissue=0.6), preview.overview.mask()
    grid, n_tissue = preview.grid(mask, config, looks=0)
    assert n_tissue == len(grid)
    assert grid.reasons["blur"] == 0
    counts = [preview.grid(mask, config, looks=5)[1] for _ in range(n_tissue // 5 + 2)]
    assert counts[:3] == [n_tissue - 5, n_tissue - 10, n_tissue - 15]
    assert counts[-1] == 0
    everywhere = replace(mask, labels=np.full_like(mask.labels, MaskClass.TISSUE))
    grid, n_new = preview.grid(everywhere, config, looks=0)
    n_inside = grid.status.size - grid.reasons["outside"]
    assert n_new == n_inside - n_tissue > 0
    assert preview.grid(mask, config, looks=0)[1] == 0


def test_blur_may_be_kept(blurred_slide: Path) -> None:
    with open_slide(blurred_slide) as slide:
        preview = TilePreview(slide.info)
    grid, n_unseen = preview.grid(preview.overview.mask(), TilingConfig(leave_out_blur=False))
    assert n_unseen == 0
    assert grid.reasons["blur"] == 0


def test_no_tile_at_all_is_no_error(slide: Slide) -> None:
    preview = TilePreview(slide.info)
    mask = preview.overview.mask()
    grid, _ = preview.grid(replace(mask, labels=np.zeros_like(mask.labels)), TilingConfig())
    assert len(grid) == 0
    assert set(np.unique(grid.status)) == {TileStatus.BACKGROUND}


def test_a_mask_of_another_slide_is_refused(slide: Slide, blurred_slide: Path) -> None:
    preview = TilePreview(slide.info)
    with open_slide(blurred_slide) as other:
        mask = TilePreview(other.info).overview.mask()
    with pytest.raises(SlideError, match="give the mask of this slide"):
        preview.grid(mask, TilingConfig())
