from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileStatus, find_tissue, tile_slide

SIDE, LEFT, RIGHT = 2048, 128, 1920


@pytest.fixture(scope="module")
def tissue(tissue_image):
    """0.9 mm of tissue at 0.5 µm."""
    return tissue_image(SIDE, SIDE, (LEFT, LEFT, RIGHT, RIGHT))


def band(width_px=160, length_px=1300, angle=0.5, at=(1024, 1024), side=SIDE):
    y, x = np.mgrid[:side, :side] - np.array(at)[:, None, None]
    along, across = y * np.sin(angle) + x * np.cos(angle), x * np.sin(angle) - y * np.cos(angle)
    wave = 30 * np.sin(along / 90)
    return (abs(across + wave) <= width_px / 2) & (abs(along) <= length_px / 2)


def at_mask_pixels(where, mask):
    edge = round(mask.downsample)
    height, width = (size // edge * edge for size in where.shape)
    cells = where[:height, :width].reshape(height // edge, edge, width // edge, edge)
    return cells.mean(axis=(1, 3)) > 0.5


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("angle", [0.0, 0.5, 1.5])
def test_band_of_doubled_tissue_is_a_fold(slide_file, tissue, with_fold, layers, angle):
    where = band(angle=angle)
    with open_slide(slide_file(image=with_fold(tissue, where, layers))) as slide:
        mask = find_tissue(slide)
    truth = at_mask_pixels(where, mask)
    assert (mask.fold & truth).sum() >= 0.8 * truth.sum()
    assert not (mask.fold & ~ndimage.binary_dilation(truth, iterations=4)).any()


def test_tiles_with_much_fold_are_left_out_unless_the_user_wants_them(
    slide_file, tissue, with_fold
):
    path = slide_file(image=with_fold(tissue, band()))
    with open_slide(path) as slide:
        strict = tile_slide(slide)
        lax = tile_slide(slide, TilingConfig(leave_out_folds=False))
        share = at_mask_pixels(band(), find_tissue(slide)).reshape(8, 16, 8, 16).mean(axis=(1, 3))
    folded = strict.status == TileStatus.FOLD
    assert folded.sum() >= 4
    assert (share[folded] > 0.15).all()
    assert (share[strict.status == TileStatus.KEPT] < 0.35).all()
    np.testing.assert_array_equal(lax.status == TileStatus.KEPT, folded | (strict.status == 0))


def test_nuclei_packed_in_a_band_are_no_fold(slide_file, tissue):
    purple = np.array([112, 66, 146]) + np.random.default_rng(0).normal(0, 8, size=(*tissue.shape,))
    for width_px in (160, 600):
        where = band(width_px)[..., None]
        image = np.where(where, np.clip(purple, 0, 255), tissue).astype(np.uint8)
        with open_slide(slide_file(image=image)) as slide:
            assert not find_tissue(slide).fold.any()


def test_dark_rim_beside_glass_is_no_fold(slide_file, tissue, with_fold):
    where = np.zeros((SIDE, SIDE), bool)
    where[LEFT:RIGHT, LEFT : LEFT + 160] = True
    with open_slide(slide_file(image=with_fold(tissue, where))) as slide:
        assert not find_tissue(slide).fold.any()


def test_specks_of_doubled_tissue_are_no_fold(slide_file, tissue, with_fold):
    where = np.zeros((SIDE, SIDE), bool)
    where[400:1700:400, 400:1700:400] = True
    where = ndimage.binary_dilation(where, iterations=60)
    with open_slide(slide_file(image=with_fold(tissue, where))) as slide:
        assert not find_tissue(slide).fold.any()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "mpp"),
    [("lung-scc-HE1.tif", 0.25), ("lung-scc-HE3.tif", 0.25), ("CMU-1-Small-Region.svs", None)],
)
def test_no_dense_part_of_a_real_slide_is_called_a_fold(real_data, name, mpp):
    with open_slide(real_data / "slides" / name, mpp=mpp) as slide:
        assert not find_tissue(slide).fold.any()


@pytest.mark.real_data
def test_no_dense_part_of_a_mosaic_is_called_a_fold(real_data):
    for path in sorted((real_data / "lung_mosaic" / "slides").glob("*.tif"))[::4]:
        with open_slide(path) as slide:
            assert not find_tissue(slide).fold.any(), path.name


@pytest.mark.real_data
def test_fold_of_real_tissue_is_found(real_data, slide_file, with_fold):
    with open_slide(real_data / "slides" / "lung-scc-HE3.tif", mpp=0.25) as slide:
        image = slide.read_scaled(6800, 8200, 2048, 2048, 2)
    where = band(angle=0.7, length_px=900)
    with open_slide(slide_file(image=with_fold(image, where))) as slide:
        mask = find_tissue(slide)
    truth = at_mask_pixels(where, mask)
    assert (mask.fold & truth).sum() >= 0.5 * truth.sum()
    assert not (mask.fold & ~ndimage.binary_dilation(truth, iterations=5)).any()
