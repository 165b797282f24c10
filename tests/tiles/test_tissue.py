from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image, ImageFilter

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import find_tissue, tile_slide


def kept(path, **config):
    with open_slide(path) as slide:
        grid = tile_slide(slide, TilingConfig(**config))
    return {tuple(cell) for cell in grid.rowcol.tolist()}, grid


def left_out(grid):
    return {reason: count for reason, count in grid.reasons.items() if count}


def test_mask_covers_the_tissue_and_nothing_else(slide):
    mask = find_tissue(slide)
    assert mask.downsample == 16
    assert mask.tissue.shape == (64, 96)
    truth = np.zeros((64, 96), bool)
    truth[16:48, 16:80] = True
    assert (mask.tissue != truth).mean() < 0.01
    assert not mask.pen.any()


@pytest.mark.parametrize(
    "glass", [(255, 255, 255), (205, 205, 205), (228, 232, 240), (243, 240, 230)]
)
def test_white_grey_and_tinted_glass_are_background(slide_file, tissue_image, glass):
    image = tissue_image().astype(float) * np.array(glass) / 243
    noise = np.random.default_rng(0).normal(0, 2, size=image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    cells, grid = kept(slide_file(image=image))
    assert cells == {(row, col) for row in (1, 2) for col in (1, 2, 3, 4)}
    assert left_out(grid) == {"background": 16}


def test_dust_and_grey_shadows_are_background(slide_file, tissue_image):
    image = tissue_image().copy()
    image[20:60, 20:60] = (90, 60, 140)
    image[800:1024, 800:1400] = (170, 170, 171)
    cells, _ = kept(slide_file(image=image), tile_px=64)
    assert len(cells) == 8 * 16


def test_small_holes_are_tissue_and_large_ones_are_not(slide_file, tissue_image):
    image = tissue_image().copy()
    image[300:380, 300:380] = 243
    image[512:768, 512:768] = 243
    with open_slide(slide_file(image=image)) as slide:
        mask = find_tissue(slide)
    assert mask.tissue[19:23, 19:23].all()
    assert not mask.tissue[35:45, 35:45].any()


def test_small_bluish_bodies_are_no_pen(slide_file, tissue_image):
    image = tissue_image().copy()
    rng = np.random.default_rng(0)
    for y, x in zip(rng.integers(256, 756, 200), rng.integers(256, 1268, 200), strict=True):
        image[y : y + 12, x : x + 12] = (60, 140, 150)
    cells, grid = kept(slide_file(image=image))
    assert len(cells) == 8
    assert grid.reasons["pen"] == 0


def test_blurred_tiles_are_left_out_and_smooth_ones_are_not(slide_file, tissue_image):
    image = tissue_image().copy()
    soft = Image.fromarray(image[256:768, 256:512]).filter(ImageFilter.GaussianBlur(5))
    image[256:768, 256:512] = np.asarray(soft)
    noise = np.random.default_rng(0).normal(0, 6, size=(512, 256, 1))
    image[256:768, 1024:1280] = np.clip(np.array([225, 160, 195]) + noise, 0, 255)
    cells, grid = kept(slide_file(image=image))
    assert cells == {(row, col) for row in (1, 2) for col in (2, 3, 4)}
    assert grid.reasons["blur"] == 2


def test_least_share_of_tissue_is_obeyed(slide_file, tissue_image):
    path = slide_file(image=tissue_image(box=(256, 256, 768, 1024 + 96)))
    assert len(kept(path, min_tissue=0.3)[0]) == 8
    assert len(kept(path, min_tissue=0.5)[0]) == 6


@pytest.mark.parametrize("glass", [(243, 243, 242), (180, 180, 180), (225, 232, 245)])
def test_glass_alone_is_refused_with_counts(slide_file, glass):
    noise = np.random.default_rng(0).normal(0, 2, size=(1024, 1024, 3))
    image = np.clip(np.array(glass) + noise, 0, 255).astype(np.uint8)
    with (
        open_slide(slide_file(image=image)) as slide,
        pytest.raises(SlideError, match=r"of 16 tiles 16 background; .*min_tissue"),
    ):
        tile_slide(slide)


@pytest.mark.real_data
def test_real_lung_mosaics_keep_their_tissue_cells(real_data):
    folder = real_data / "lung_mosaic"
    truth = defaultdict(set)
    with (folder / "tumour_tiles.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            truth[row["slide_id"]].add((int(row["row"]), int(row["col"])))
    assert len(truth) == 30
    for slide_id, cells in truth.items():
        found, _ = kept(folder / "slides" / f"{slide_id}.tif")
        assert len(found & cells) >= 0.98 * len(cells), slide_id
        assert len(found - cells) <= 1, slide_id


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "mpp", "n_tiles"),
    [
        ("lung-scc-HE1.tif", 0.25, 437),
        ("lung-scc-HE3.tif", 0.25, 221),
        ("CMU-1-Small-Region.svs", None, 34),
    ],
)
def test_real_slides_keep_their_tissue(real_data, name, mpp, n_tiles):
    # Counts checked by eye on the outlines drawn over the slides.
    with open_slide(real_data / "slides" / name, mpp=mpp) as slide:
        grid = tile_slide(slide)
    assert abs(len(grid) - n_tiles) <= 0.02 * n_tiles
    assert set(left_out(grid)) == {"background", "outside"}
