from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import find_tissue, read_overview


def test_overview_has_eight_um_pixels_whatever_the_slide(slide_file):
    with open_slide(slide_file(), mpp=0.5) as slide:
        overview = read_overview(slide)
    assert (overview.downsample, overview.pixels.shape) == (16, (64, 96, 3))
    with open_slide(slide_file(), mpp=0.26) as slide:
        overview = read_overview(slide)
    assert overview.downsample == pytest.approx(8 / 0.26)
    assert overview.pixels.shape[:2] == (round(1024 * 0.26 / 8), round(1536 * 0.26 / 8))


def test_default_threshold_is_the_automatic_one(slide):
    overview = read_overview(slide)
    automatic = overview.mask(overview.auto_threshold).labels
    np.testing.assert_array_equal(overview.mask().labels, automatic)
    np.testing.assert_array_equal(find_tissue(slide).labels, automatic)


def test_higher_threshold_leaves_less_tissue(slide):
    overview = read_overview(slide)
    areas = [overview.mask(threshold).tissue.sum() for threshold in (4, 10, 60, 120, 250)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[-1] == 0
    config = TilingConfig(tissue_threshold=60)
    assert find_tissue(slide, config).tissue.sum() == areas[2]


def test_mask_is_the_same_from_any_level(slide_file, tissue_image):
    image = tissue_image(2048, 2048, (500, 300, 1700, 1900))
    found = []
    for levels in (1, 2, 3):
        with open_slide(slide_file(image=image, levels=levels)) as slide:
            found.append(find_tissue(slide).tissue)
    for other in found[1:]:
        assert (found[0] & other).sum() >= 0.98 * (found[0] | other).sum()


def test_damaged_part_is_marked_and_the_rest_is_read(slide_file, tissue_image, damage_tiles):
    image = tissue_image(2048, 2048, (0, 0, 2048, 2048))
    path = damage_tiles(slide_file(image=image, levels=1), [9])
    with open_slide(path) as slide:
        overview = read_overview(slide)
    expected = np.zeros((128, 128), bool)
    expected[16:32, 16:32] = True
    assert (overview.damaged >= expected).all()
    assert overview.damaged.sum() <= 9 * expected.sum()
    assert (overview.pixels[overview.damaged] == 255).all()
    assert overview.mask().tissue[~overview.damaged].mean() > 0.95


@pytest.mark.parametrize("levels", [2, 3])
def test_damaged_coarse_level_is_made_up_for_by_a_finer_one(
    slide_file, tissue_image, damage_tiles, levels
):
    image = tissue_image(2048, 2048, (500, 300, 1700, 1900))
    path = slide_file(image=image, levels=levels)
    with open_slide(path) as slide:
        whole = read_overview(slide)
    for level in range(1, levels):
        damage_tiles(path, range((2048 // 4**level // 256) ** 2 or 1), level=level)
    with open_slide(path) as slide:
        overview = read_overview(slide)
    assert not overview.damaged.any()
    both, either = (
        operation(overview.mask().tissue, whole.mask().tissue).sum()
        for operation in (np.logical_and, np.logical_or)
    )
    assert both >= 0.98 * either


def test_slide_without_one_sound_pixel_is_refused(slide_file, damage_tiles):
    path = damage_tiles(slide_file(levels=1), range(24))
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="none of its pixels"):
        read_overview(slide)
