from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import MaskClass, TileStatus, find_tissue, tile_slide

GLASS = 243


def test_grid_keeps_exactly_the_tissue(slide):
    grid = tile_slide(slide)
    assert (grid.tile_px, grid.size_px, grid.shape) == (256, 256, (4, 6))
    assert grid.rowcol.tolist() == [[r, c] for r in (1, 2) for c in (1, 2, 3, 4)]
    assert grid.downsample == 1
    assert grid.tile_mpp == grid.target_mpp == grid.mpp == 0.5


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


def test_slide_is_enlarged_only_as_far_as_stated(slide_file):
    path = slide_file()
    with open_slide(path, mpp=0.52) as slide:
        assert tile_slide(slide).size_px == 246
    with open_slide(path, mpp=0.53) as slide:
        with pytest.raises(
            SlideError,
            match=r"coarser than the 0\.5 asked for.* 1\.05 times at most; set tiling\.mpp",
        ):
            tile_slide(slide)
        grid = tile_slide(slide, TilingConfig(max_upsampling=1.1))
    assert grid.size_px == 242
    assert grid.downsample < 1


def test_cells_beyond_the_edge_are_outside(slide_file, tissue_image):
    image = tissue_image(1000, 1300, (0, 0, 1000, 1300))
    with open_slide(slide_file(image=image)) as slide:
        grid = tile_slide(slide)
    expected = np.zeros((4, 6), np.uint8)
    expected[3] = expected[:, 5] = TileStatus.OUTSIDE
    np.testing.assert_array_equal(grid.status, expected)


def test_cells_whose_pixels_are_damaged_say_so(slide_file, tissue_image, damage_tiles):
    image = tissue_image(2048, 2048, (0, 0, 2048, 2048))
    path = damage_tiles(slide_file(image=image, levels=1), [0, 19, 20])
    with open_slide(path) as slide:
        grid = tile_slide(slide)
    damaged = set(np.flatnonzero(grid.status == TileStatus.DAMAGED).tolist())
    assert damaged >= {0, 19, 20}
    assert len(grid) == 64 - len(damaged) >= 40


def test_damage_that_only_the_focus_check_meets_leaves_the_tile_out(
    slide_file, tissue_image, damage_tiles
):
    image = tissue_image(2048, 2048, (0, 0, 2048, 2048))
    path = damage_tiles(slide_file(image=image, levels=2), [9])
    with open_slide(path) as slide:
        grid = tile_slide(slide)
        given = tile_slide(slide, mask=find_tissue(slide))
        unseen = tile_slide(slide, TilingConfig(leave_out_blur=False))
    assert np.flatnonzero(grid.status).tolist() == [9]
    assert grid.status[1, 1] == TileStatus.DAMAGED
    np.testing.assert_array_equal(given.status, grid.status)
    assert len(unseen) == 64


def test_blur_is_left_out_unless_the_user_wants_it(slide_file, tissue_image):
    image = tissue_image().copy()
    soft = Image.fromarray(image[256:768, 256:512]).filter(ImageFilter.GaussianBlur(5))
    image[256:768, 256:512] = np.asarray(soft)
    with open_slide(slide_file(image=image)) as slide:
        strict, lax = tile_slide(slide), tile_slide(slide, TilingConfig(leave_out_blur=False))
    assert (strict.status[1:3, 1] == TileStatus.BLUR).all()
    assert (len(strict), len(lax)) == (6, 8)
    assert lax.reasons["blur"] == 0


def test_painted_mask_decides(slide):
    mask = find_tissue(slide)
    labels = mask.labels.copy()
    labels[:16] = MaskClass.TISSUE
    labels[16:32, 16:32] = MaskClass.GLASS
    labels[16:32, 32:48] = MaskClass.PEN
    labels[16:32, 48:64] = MaskClass.FOLD
    grid = tile_slide(slide, TilingConfig(leave_out_blur=False), replace(mask, labels=labels))
    assert (grid.status[0] == TileStatus.KEPT).all()
    assert grid.status[1, 1:4].tolist() == [
        TileStatus.BACKGROUND,
        TileStatus.PEN,
        TileStatus.FOLD,
    ]


def test_mask_of_another_slide_is_refused(slide, slide_file, tissue_image):
    mask = find_tissue(slide)
    with (
        open_slide(slide_file("b.tif", image=tissue_image(1024, 1520))) as other,
        pytest.raises(SlideError, match=r"1024x1536 px, but 'b\.tif' is 1024x1520"),
    ):
        tile_slide(other, mask=mask)


def test_slide_smaller_than_a_tile_is_refused(slide_file):
    small = np.full((200, 300, 3), GLASS, np.uint8)
    with (
        open_slide(slide_file(image=small, levels=1)) as slide,
        pytest.raises(SlideError, match="smaller than one tile"),
    ):
        tile_slide(slide)
    with open_slide(slide_file(levels=1)) as slide:
        assert len(tile_slide(slide, TilingConfig(tile_px=64))) == 8 * 16


def _blurred(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(6)))


def _inked(image):
    inked = image.copy()
    inked[256:768, 256:1280] = image[256:768, 256:1280] * np.array([0.15, 0.3, 0.75])
    return inked


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda image: np.full_like(image, GLASS), "24 background; check the slide and its pixel"),
        (
            _inked,
            r"\d+ background, \d+ pen; if the marks are no pen, set tiling.leave_out_pen to false",
        ),
        (_blurred, r"16 background, 8 blur; scan the slide again, or set tiling\.leave_out_blur"),
    ],
)
def test_slide_without_a_tile_says_why_and_what_to_do(slide_file, tissue_image, spoil, told):
    with (
        open_slide(slide_file(image=spoil(tissue_image()))) as slide,
        pytest.raises(SlideError, match=rf"no tissue tile: of 24 tiles {told}"),
    ):
        tile_slide(slide)


def test_large_tiles_are_checked_for_focus_in_bounded_reads(slide_file, tissue_image, monkeypatch):
    image = tissue_image(2048, 3072, (0, 0, 2048, 3072))
    with open_slide(slide_file(image=image)) as slide:
        read, sizes = slide.read_tiles, []

        def note(yx, *args, **kwargs):
            sizes.append(kwargs["out"].nbytes)
            return read(yx, *args, **kwargs)

        monkeypatch.setattr(slide, "read_tiles", note)
        assert len(tile_slide(slide, TilingConfig(tile_px=64))) == 32 * 48
        assert len(tile_slide(slide, TilingConfig(tile_px=1024))) == 6
    assert len(sizes) > 2
    assert max(sizes) <= 2**22
