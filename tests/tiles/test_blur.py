from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileStatus, tile_slide


@pytest.fixture
def real_image(real_data):
    """1 by 1 mm of a real biopsy at 0.5 µm."""
    with open_slide(real_data / "slides" / "lung-scc-HE3.tif", mpp=0.25) as slide:
        return slide.read_scaled(6800, 8200, 2048, 2048, 2)


def blurred(image, sigma_px):
    return ndimage.gaussian_filter(image, (sigma_px, sigma_px, 0))


def status(path):
    with open_slide(path) as slide:
        return tile_slide(slide).status


def test_noise_does_not_hide_that_a_tile_is_out_of_focus(slide_file, tissue_image):
    image = tissue_image(1024, 1536, (0, 0, 1024, 1536)).copy()
    noise = np.random.default_rng(0).normal(0, 1, size=(1024, 768, 3))
    image[:, :768] = np.clip(blurred(image[:, :768], 8) + noise, 0, 255)
    found = status(slide_file(image=image))
    assert (found[:, :3] == TileStatus.BLUR).all()
    assert (found[:, 3:] == TileStatus.KEPT).all()


def test_coarse_slides_are_not_judged(slide_file, tissue_image):
    image = blurred(tissue_image(1024, 1536, (0, 0, 1024, 1536)), 4)
    with open_slide(slide_file(image=image), mpp=2.0) as slide:
        grid = tile_slide(slide, TilingConfig(mpp=2.0))
    assert grid.reasons["blur"] == 0


@pytest.mark.real_data
def test_blurred_patch_of_real_tissue_is_left_out_and_the_rest_is_not(slide_file, real_image):
    sharp = status(slide_file(image=real_image))
    assert (sharp == TileStatus.BLUR).sum() == 0
    spoilt = real_image.copy()
    spoilt[:, 1024:] = blurred(real_image[:, 1024:], 4)
    found = status(slide_file(image=spoilt))
    was_kept = sharp == TileStatus.KEPT
    right = np.arange(8) >= 4
    assert was_kept[:, right].sum() >= 15
    assert (found[:, right][was_kept[:, right]] == TileStatus.BLUR).mean() >= 0.9
    np.testing.assert_array_equal(found[:, ~right], sharp[:, ~right])


@pytest.mark.real_data
@pytest.mark.parametrize("glass", [(0.8, 0.8, 0.8), (0.93, 0.96, 1.0), (1.0, 0.99, 0.93)])
def test_real_tissue_on_grey_or_tinted_glass_keeps_its_tiles(slide_file, real_image, glass):
    tinted = (real_image * np.array(glass)).astype(np.uint8)
    plain, other = (status(slide_file(image=image)) for image in (real_image, tinted))
    assert (plain != other).sum() <= 1
