from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import find_tissue, tile_slide


def test_fluorescence_is_refused(slide_file):
    dark = np.zeros((1024, 1024, 3), np.uint8)
    dark[300:700, 300:700, 2] = np.random.default_rng(0).integers(0, 255, size=(400, 400))
    with (
        open_slide(slide_file(image=dark)) as slide,
        pytest.raises(SlideError, match="no brightfield slide"),
    ):
        tile_slide(slide)


@pytest.mark.parametrize("size", [(1024, 1536), (4096, 4096)])
def test_ycbcr_that_calls_itself_rgb_is_refused(slide_file, tissue_image, size):
    false = np.asarray(Image.fromarray(tissue_image(*size)).convert("YCbCr"))
    with (
        open_slide(slide_file(image=false)) as slide,
        pytest.raises(SlideError, match=r"false colours.*red 24\d, green 12\d, blue 12\d"),
    ):
        tile_slide(slide)


def test_glass_as_yellow_as_a_lamp_is_refused(slide_file, tissue_image):
    tinted = (tissue_image() * np.array([1.0, 0.9, 0.6])).astype(np.uint8)
    with open_slide(slide_file(image=tinted)) as slide, pytest.raises(SlideError, match="false"):
        tile_slide(slide)


def test_flat_pink_colloid_is_no_false_colour(slide_file):
    noise = np.random.default_rng(0).normal(0, 2, size=(1024, 1024, 3))
    colloid = np.clip(np.array([238, 140, 182]) + noise, 0, 255).astype(np.uint8)
    with open_slide(slide_file(image=colloid)) as slide:
        assert find_tissue(slide).tissue.all()


@pytest.mark.real_data
def test_real_fluorescence_slide_is_refused(real_data):
    with (
        open_slide(real_data / "slides" / "test3-DAPI-2-387.ndpi") as slide,
        pytest.raises(SlideError, match="no brightfield slide"),
    ):
        tile_slide(slide)


@pytest.mark.real_data
def test_real_dicom_slide_with_a_false_header_is_refused(real_data):
    with (
        open_slide(real_data / "slides" / "dicom_cmu-1-small-region") as slide,
        pytest.raises(SlideError, match="false colours"),
    ):
        tile_slide(slide)
