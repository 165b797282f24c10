"""The overview of a slide without coarse levels is drawn as far as anybody would wait for it."""

from __future__ import annotations

import numpy as np

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.pyramid import slide_pyramid

IMAGE_LENGTH = 257


def test_overview_that_takes_the_whole_of_a_giant_file_is_left_white_and_told_once(spoiler):
    path, _ = spoiler.patched(spoiler.ome_deflate, (IMAGE_LENGTH, 2**24, 4))
    said: list[str] = []
    with open_slide(path, mpp=0.5) as slide:
        fine, *_, coarsest = slide_pyramid(slide, BlockCache(2**26), said.append)
        assert (coarsest[:] == 255).all()
        assert (coarsest[:100] == 255).all()
        assert (fine[300:400, 300:400] < 250).any()
    (sentence,) = said
    assert "of 16,777,216 x 1,300 px has no coarse levels" in sentence
    assert sentence.endswith(".")


def test_overview_of_a_flat_slide_is_drawn_whole(slide_file, tissue_image):
    image = tissue_image(512, 18_432, (100, 100, 500, 18_000))
    said: list[str] = []
    with open_slide(slide_file("flat.tif", image=image, levels=1)) as slide:
        coarsest = slide_pyramid(slide, BlockCache(2**26), said.append)[-1]
        assert coarsest.shape == (32, 1152, 3)
        drawn = coarsest[:]
    truth = image.reshape(32, 16, 1152, 16, 3).mean(axis=(1, 3))
    assert np.abs(drawn - truth).mean() < 2
    assert said == []
