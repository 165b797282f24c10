from __future__ import annotations

import tracemalloc

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide


def by_openslide(slide, y, x, height, width, level=0):
    with openslide.OpenSlide(slide.info.path) as handle:
        return np.asarray(handle.read_region((x, y), level, (width, height)).convert("RGB"))


def test_level_0_equals_openslide_bit_for_bit(slide):
    assert np.array_equal(
        slide.read_region(301, 407, 120, 250), by_openslide(slide, 301, 407, 120, 250)
    )
    tiles = slide.read_tiles([[300, 500], [11, 13]], size_px=128)
    assert np.array_equal(tiles[0], by_openslide(slide, 300, 500, 128, 128))
    assert np.array_equal(tiles[1], by_openslide(slide, 11, 13, 128, 128))


def test_read_outside_slide_is_white(slide):
    region = slide.read_region(-20, -30, 40, 60)
    assert (region[:20] == 255).all()
    assert (region[:, :30] == 255).all()
    assert np.array_equal(region[20:, 30:], slide.read_region(0, 0, 20, 30))
    assert (slide.read_region(5000, 5000, 10, 10) == 255).all()


def test_tiles_do_not_depend_on_order_or_threads(slide):
    yx = np.random.default_rng(0).integers(0, 800, size=(40, 2))
    single = slide.read_tiles(yx, 64, 1.7, n_threads=1)
    assert np.array_equal(single, slide.read_tiles(yx, 64, 1.7, n_threads=4))
    assert np.array_equal(single[::-1], slide.read_tiles(yx[::-1], 64, 1.7))


def test_out_is_filled_and_returned(slide):
    out = np.zeros((1, 32, 32, 3), np.uint8)
    assert slide.read_tiles([[400, 400]], 32, out=out) is out
    assert out.any()
    with pytest.raises(SlideError, match="out has shape"):
        slide.read_tiles([[0, 0], [1, 1]], 32, out=out)


def test_no_tiles_is_an_empty_array(slide):
    assert slide.read_tiles(np.empty((0, 2), int), 16).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("yx", [[1, 2], [[1, 2, 3]], [[0.5, 1.0]]])
def test_corners_of_another_shape_are_refused(slide, yx):
    with pytest.raises(SlideError, match="tile corners"):
        slide.read_tiles(yx)


@pytest.mark.parametrize("downsample", [1.97, 4.0, 5.3, 8.0])
def test_tiles_at_any_downsample_lie_where_they_should(slide_file, tissue_image, downsample):
    # Odd sizes: the file's second level is 4x smaller rounded up, so the plain ratio is not 4.
    image = tissue_image(2051, 1023, (1100, 200, 2051, 1023))
    size_px = int(800 / downsample)
    with open_slide(slide_file(image=image, levels=2)) as slide:
        assert slide.info.level_downsamples == (1.0, 4.0)
        tile = slide.read_tiles([[1201, 203]], size_px, downsample)[0].astype(float)
        fine = slide.read_region(1201 - 8, 203 - 8, 816, 816).astype(float)
    differences = {
        (dy, dx): np.abs(area_means(fine[8 + dy :, 8 + dx :], size_px, downsample) - tile).mean()
        for dy in (-2, -1, 0, 1, 2)
        for dx in (-2, -1, 0, 1, 2)
    }
    assert min(differences, key=differences.get) == (0, 0)


def area_means(pixels, size_px, downsample):
    edges = np.arange(size_px + 1) * downsample
    for axis in (0, 1):
        pixels = np.moveaxis(pixels, axis, 0)
        total = np.concatenate([np.zeros((1, *pixels.shape[1:])), np.cumsum(pixels, axis=0)])
        below = edges.astype(int)
        part = (edges - below)[:, None, None]
        at_edges = total[below] * (1 - part) + total[below + 1] * part
        pixels = np.moveaxis(np.diff(at_edges, axis=0) / downsample, 0, axis)
    return pixels


def test_reads_too_large_for_memory_are_joined_without_seams(slide_file, tissue_image):
    # 4608 px is more than one inner read; the file has no coarser level to take instead.
    image = tissue_image(4608, 4608, (4000, 4000, 4300, 4300))
    with open_slide(slide_file(image=image, levels=1)) as slide:
        whole = slide.read_scaled(0, 0, 576, 576, 8.0)
        parts = [slide.read_scaled(0, x * 8, 576, 96, 8.0) for x in range(0, 576, 96)]
        assert np.array_equal(whole, np.concatenate(parts, axis=1))
        truth = np.asarray(Image.fromarray(slide.read_region(0, 0, 4608, 4608)).reduce(8))
        assert np.abs(whole.astype(int) - truth)[500:537, 500:537].mean() < 1
        odd = slide.read_scaled(0, 0, 600, 600, 7.68)
        corner = slide.read_scaled(510 * 7.68, 510 * 7.68, 60, 60, 7.68)
        assert corner.std() > 10
        difference = np.abs(odd[510:570, 510:570].astype(int) - corner)
        assert difference.max() <= 2
        assert difference.mean() < 0.1


def test_unknown_level_is_refused(slide):
    with pytest.raises(SlideError, match="no level 7; give one of 0 to 1"):
        slide.read_region(0, 0, 8, 8, level=7)


@pytest.mark.parametrize("size", [(0, 8), (8, -1)])
def test_empty_box_is_refused(slide, size):
    with pytest.raises(SlideError, match="cannot be read"):
        slide.read_region(0, 0, *size)


@pytest.mark.parametrize("downsample", [0, -2, 1e-7, 1e9, float("nan"), float("inf")])
def test_downsample_must_make_sense(slide, downsample):
    with pytest.raises(SlideError, match="makes no sense; give one from"):
        slide.read_tiles([[0, 0]], 8, downsample)


@pytest.mark.parametrize("options", [{"size_px": -1}, {"size_px": 8.0}, {"n_threads": -1}])
def test_numbers_of_tiles_must_make_sense(slide, options):
    with pytest.raises(SlideError, match="give"):
        slide.read_tiles([[0, 0]], **options)


def test_corner_must_be_a_place(slide):
    with pytest.raises(SlideError, match="no corner at y=nan"):
        slide.read_scaled(float("nan"), 0, 8, 8, 2.5)


@pytest.mark.parametrize("downsample", [70.5, 128.3, 300.0])
def test_strong_shrinking_is_the_mean(tmp_path, tissue_image, downsample):
    image = tissue_image(2048, 2048, (300, 500, 1700, 1900))
    n_px = int(1800 / downsample)
    # Not JPEG, whose tiles would be decoded smaller first.
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(256, 256), compression="deflate")
    with open_slide(tmp_path / "a.tif") as slide:
        shown = slide.read_scaled(101, 57, n_px, n_px, downsample).astype(float)
        fine = slide.read_region(101, 57, 1900, 1900).astype(float)
    assert np.abs(area_means(fine, n_px, downsample) - shown).mean() < 1.5


@pytest.mark.parametrize("downsample", [2000.5, 20_000.0, 20_000.5])
def test_memory_of_strong_shrinking_is_bounded(slide, downsample):
    tracemalloc.start()
    slide.read_scaled(0, 0, 4, 4, downsample)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * 2**20
