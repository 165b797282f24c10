"""Formats that scanners write, from the files beside the checkout."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
from skimage.registration import phase_cross_correlation

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.pyramid import slide_pyramid

pytestmark = pytest.mark.real_data

FACTS = {
    "CMU-1-Small-Region.svs": ("aperio", (2967, 2220), 0.499, 20.0),
    "dicom_cmu-1-small-region": ("dicom", (2967, 2220), 0.499, None),
    "test3-DAPI-2-387.ndpi": ("hamamatsu", (4864, 3968), 0.2282, 40.0),
    "lung-scc-HE1.tif": ("generic-tiff", (31017, 29912), None, None),
    "lung-scc-HE3.tif": ("generic-tiff", (16091, 17883), None, None),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_real_slides(real_data, name):
    vendor, shape, mpp, power = FACTS[name]
    with open_slide(real_data / "slides" / name) as slide:
        info = slide.info
        assert (info.vendor, info.shape, info.objective_power) == (vendor, shape, power)
        assert info.mpp is None if mpp is None else info.mpp == pytest.approx(mpp, abs=1e-4)
        coarse = slide_pyramid(slide)[-1]
        assert max(coarse.shape) <= 2048
        assert np.asarray(coarse).shape == coarse.shape


def test_label_images_are_named_but_not_among_the_levels(real_data):
    with open_slide(real_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        assert slide.info.associated_images == ("label", "macro", "thumbnail")
        assert slide.info.level_shapes == ((2967, 2220),)


@pytest.mark.parametrize(
    ("name", "yx"),
    [
        ("lung-scc-HE1.tif", [[28000, 5000], [20000, 15000], [4000, 20000]]),
        ("lung-scc-HE3.tif", [[4000, 4000], [8000, 10001]]),
        ("CMU-1-Small-Region.svs", [[1000, 900], [0, 0]]),
    ],
)
def test_tiles_of_real_slides_equal_openslide(real_data, name, yx):
    path = real_data / "slides" / name
    with open_slide(path) as slide, openslide.OpenSlide(path) as handle:
        tiles = slide.read_tiles(yx, 256)
        for (y, x), tile in zip(yx, tiles, strict=True):
            truth = handle.read_region((x, y), 0, (256, 256)).convert("RGB")
            assert np.array_equal(tile, np.asarray(truth))


def test_levels_of_a_cropped_pyramid_do_not_drift(real_data):
    # 31017 rows became 7755, a plain ratio of 3.9996: two level-0 pixels at the last row.
    with open_slide(real_data / "slides" / "lung-scc-HE1.tif") as slide:
        assert slide.info.level_downsamples == (1.0, 4.0, 16.0, 64.0)
        y, x = 28400, 4700
        fine = slide.read_region(y, x, 1024, 1024).reshape(256, 4, 256, 4, 3).mean(axis=(1, 3, 4))
        coarse = slide.read_region(y, x, 256, 256, level=1).mean(axis=2)
        assert fine.std() > 10
        shift = phase_cross_correlation(fine, coarse, upsample_factor=50)[0]
        assert np.abs(shift).max() <= 0.2
