"""What read_tiles gives is what OpenSlide gives, over hundreds of tiles of real slides."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
from PIL import Image

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import tile_slide

SLIDES = (
    ("slides/lung-scc-HE1.tif", 0.25),
    ("slides/CMU-1-Small-Region.svs", None),
    ("lung_mosaic/slides/MOS-B007-01.tif", None),
)
N_TILES = 250
MARGIN_PX = 40


def tissue_corners(slide, n_tiles, step=1):
    """Return corners within random tissue tiles, and some on every edge and partly outside."""
    rng = np.random.default_rng(0)
    grid = tile_slide(slide)
    picked = grid.yx[rng.integers(len(grid), size=n_tiles)]
    inside = picked + rng.integers(-128, 128, picked.shape)
    height, width = slide.info.shape
    edges = [[-100, 37], [41, -300], [height - 50, 99], [77, width - 3], [height - 1, width - 1]]
    return np.concatenate([inside[: n_tiles - len(edges)], edges]) // step * step


def plain_openslide(path, yx, size_px):
    """Read boxes over white with openslide-python alone."""
    with openslide.OpenSlide(path) as slide:
        for y, x in yx.tolist():
            image = slide.read_region((x, y), 0, (size_px, size_px))
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            yield Image.alpha_composite(white, image).convert("RGB")


def shift_px(image, reference):
    """Return how far an image lies from its reference, (y, x) in pixels, by its gradients."""
    reference = reference.mean(axis=2)
    difference = image.mean(axis=2) - reference
    slopes = np.stack([slope.ravel() for slope in np.gradient(reference)], axis=1)
    return -np.linalg.lstsq(slopes, difference.ravel(), rcond=None)[0]


@pytest.fixture(params=SLIDES, ids=lambda case: case[0].rsplit("/", 1)[-1])
def real_slide(request, real_data):
    name, mpp = request.param
    with open_slide(real_data / name, mpp) as slide:
        assert slide.info.backend == "tiff-jpeg"
        yield slide


@pytest.mark.real_data
def test_stored_pixels_equal_openslide_bit_for_bit(real_slide):
    yx = tissue_corners(real_slide, N_TILES)
    tiles = real_slide.read_tiles(yx)
    for tile, truth in zip(tiles, plain_openslide(real_slide.info.path, yx, 256), strict=True):
        assert np.array_equal(tile, np.asarray(truth))


@pytest.mark.real_data
def test_half_scale_is_the_mean_of_four_pixels(real_slide):
    yx = tissue_corners(real_slide, 100, step=2)
    tiles = real_slide.read_tiles(yx, 256, 2.0).astype(int)
    truths = [image.reduce(2) for image in plain_openslide(real_slide.info.path, yx, 512)]
    differences = np.abs(tiles - np.stack([np.asarray(truth) for truth in truths]))
    assert differences.mean() <= 1
    assert differences.mean(axis=(1, 2, 3)).max() <= 1.5


@pytest.mark.real_data
@pytest.mark.parametrize("downsample", [0.5 / 0.499, 0.6 / 0.25, 3.2])
def test_fractional_scale_is_lanczos_and_lies_where_it_should(real_slide, downsample):
    yx = tissue_corners(real_slide, 35)[:-5]
    tiles = real_slide.read_tiles(yx, 256, downsample)
    edge = 256 * downsample
    box = (MARGIN_PX, MARGIN_PX, MARGIN_PX + edge, MARGIN_PX + edge)
    fine = plain_openslide(real_slide.info.path, yx - MARGIN_PX, int(edge) + 1 + 2 * MARGIN_PX)
    for tile, image in zip(tiles, fine, strict=True):
        truth = np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS, box=box)).astype(int)
        assert np.abs(tile - truth).mean() <= 2
        assert np.abs(shift_px(tile, truth)).max() <= 0.1
