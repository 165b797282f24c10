from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileStatus, find_tissue, read_overview, tile_slide

INKS = {
    "blue": (45, 75, 165),
    "light blue": (90, 130, 200),
    "green": (25, 125, 88),
    "black": (35, 33, 37),
    "red": (200, 35, 55),
    "dark red": (150, 20, 35),
}


def disc(shape, at, radius_px):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius_px**2


@pytest.mark.parametrize("colour", INKS.values(), ids=INKS)
def test_marks_on_tissue_and_on_glass_are_left_out(slide_file, tissue_image, with_line, colour):
    image = with_line(tissue_image(), colour, 110, [(384, 0), (384, 1023)])
    with open_slide(slide_file(image=image)) as slide:
        grid = tile_slide(slide)
    expected = np.zeros((4, 6), np.uint8)
    expected[[0, 3]] = expected[:, [0, 5]] = TileStatus.BACKGROUND
    expected[:, 1] = TileStatus.PEN
    np.testing.assert_array_equal(grid.status, expected)


@pytest.mark.parametrize("colour", ["blue", "green", "black", "red", "dark red"])
def test_uneven_stroke_is_followed_to_its_soft_edges(slide_file, tissue_image, with_ink, colour):
    where = np.zeros((1024, 1536), bool)
    where[:, 600:900] = True
    with open_slide(slide_file(image=with_ink(tissue_image(), INKS[colour], where))) as slide:
        pen = find_tissue(slide).pen
    assert pen[:, 38:56].mean() > 0.98
    assert not pen[:, :32].any()
    assert not pen[:, 62:].any()


@pytest.mark.parametrize(
    ("colour", "width_um"), [("blue", 100), ("green", 100), ("black", 220), ("red", 220)]
)
def test_dot_is_found(slide_file, tissue_image, with_ink, colour, width_um):
    where = disc((1024, 1536), (512, 768), width_um)  # at 0.5 µm its radius in pixels
    with open_slide(slide_file(image=with_ink(tissue_image(), INKS[colour], where))) as slide:
        pen = find_tissue(slide).pen
    assert pen[32, 48]
    assert pen.sum() * 64 < 4 * width_um**2


def test_tissue_inside_a_drawn_circle_is_tissue(slide_file, tissue_image, with_ink):
    shape = (1024, 1536)
    where = disc(shape, (512, 768), 400) & ~disc(shape, (512, 768), 260)
    image = tissue_image(*shape, (0, 0, *shape))
    with open_slide(slide_file(image=with_ink(image, INKS["blue"], where))) as slide:
        mask = find_tissue(slide)
    assert mask.tissue[23:41, 39:57].all()
    assert mask.pen[12, 48]


def test_black_ink_over_dark_tissue_has_no_holes(slide_file, tissue_image, with_ink):
    image = tissue_image(1024, 1536, (0, 0, 1024, 1536)).copy()
    image[480:560, 700:800] = (90, 40, 110)
    where = np.zeros((1024, 1536), bool)
    where[:, 600:900] = True
    with open_slide(slide_file(image=with_ink(image, INKS["black"], where))) as slide:
        assert find_tissue(slide).pen[:, 39:55].all()


def test_user_may_keep_tiles_with_pen(slide_file, tissue_image, with_line):
    image = with_line(tissue_image(), INKS["blue"], 40, [(384, 0), (384, 1023)])
    with open_slide(slide_file(image=image)) as slide:
        grid = tile_slide(slide, TilingConfig(leave_out_pen=False))
    assert grid.reasons["pen"] == 0
    assert len(grid) == 8


def test_blood_and_dark_nuclei_are_no_pen(slide_file, tissue_image):
    image = tissue_image(2048, 2048, (128, 128, 1920, 1920)).copy()
    noise = np.random.default_rng(0).normal(0, 6, size=(700, 700, 3))
    image[200:900, 200:900] = np.clip(np.array([205, 72, 88]) + noise, 0, 255)
    image[1100:1800, 200:900] = np.clip(np.array([92, 48, 128]) + noise, 0, 255)
    with open_slide(slide_file(image=image)) as slide:
        mask = find_tissue(slide)
    assert not mask.pen.any()
    assert mask.tissue[13:56, 13:56].all()


@pytest.mark.real_data
@pytest.mark.parametrize("colour", ["blue", "green", "black", "red", "dark red"])
def test_ink_on_real_tissue_is_found_and_nothing_else(real_data, slide_file, with_ink, colour):
    with open_slide(real_data / "slides" / "lung-scc-HE3.tif", mpp=0.25) as slide:
        image = slide.read_scaled(5600, 7200, 1024, 1536, 4)
        assert not read_overview(slide).pen.any()
    where = np.zeros(image.shape[:2], bool)
    where[:, 500:760] = True
    with open_slide(slide_file(image=with_ink(image, INKS[colour], where), mpp=1.0)) as slide:
        pen = find_tissue(slide).pen
    assert pen[:, 64:94].mean() > 0.97
    assert not pen[:, :58].any()
    assert not pen[:, 100:].any()
