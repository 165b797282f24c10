from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import find_tissue

SIDE = 1800
# At 2 µm per pixel the drawn slide is 3.6 mm wide.
MPP = 2.0
TISSUE = (slice(800, 1300), slice(700, 1400))
EDGES = {
    "dark": (90, 90, 92),
    "bright": (255, 255, 255),
    "bluish": (196, 210, 232),
    "yellow": (226, 216, 190),
    "rosy": (224, 206, 226),
}


@pytest.fixture
def glass(tissue_image):
    """A glass with one piece of tissue of 1 by 1.4 mm in the middle."""
    image = np.full((SIDE, SIDE, 3), 243, np.uint8)
    image[TISSUE] = tissue_image(500, 700, (0, 0, 500, 700))
    return image


def tissue_of(path):
    with open_slide(path) as slide:
        mask = find_tissue(slide)
    assert mask.downsample == 4
    assert not mask.pen.any()
    assert not mask.fold.any()
    return mask.tissue


def truth():
    tissue = np.zeros((450, 450), bool)
    tissue[200:325, 175:350] = True
    return tissue


@pytest.mark.parametrize("colour", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize(
    "points",
    [
        [(120, 0), (160, 1799)],
        [(100, 1799), (110, 100), (1799, 90)],
        [(90, 90), (1700, 110), (1690, 1700), (80, 1680), (90, 90)],
    ],
    ids=["side", "corner", "all around"],
)
def test_edge_of_a_coverslip_is_glass(slide_file, glass, with_line, colour, points):
    image = with_line(glass, colour, 40, points)
    assert (tissue_of(slide_file(image=image, mpp=MPP)) != truth()).mean() < 0.002


@pytest.mark.parametrize("colour", [(205, 205, 206), (205, 200, 186), (196, 204, 216)])
def test_wide_shadow_is_glass(slide_file, glass, colour):
    glass[:, :500] = colour
    glass[:, 500:560] = np.linspace(colour, (243, 243, 243), 60)
    assert (tissue_of(slide_file(image=glass, mpp=MPP)) != truth()).mean() < 0.002


def test_thin_core_of_stained_tissue_is_tissue(slide_file, glass, tissue_image, with_line):
    where = with_line(np.zeros_like(glass), (1, 1, 1), 60, [(100, 1750), (180, 60)]).astype(bool)
    image = np.where(where, tissue_image(SIDE, SIDE, (0, 0, SIDE, SIDE)), glass)
    tissue = tissue_of(slide_file(image=image, mpp=MPP))
    expected = truth() | (where[::4, ::4].all(axis=2))
    assert (tissue & expected).sum() > 0.95 * expected.sum()


def test_pale_stain_is_tissue(slide_file, glass):
    noise = np.random.default_rng(0).normal(0, 3, size=(500, 700, 3))
    glass[TISSUE] = np.clip(np.array([236, 216, 230]) + noise, 0, 255)
    tissue = tissue_of(slide_file(image=glass, mpp=MPP))
    assert (tissue & truth()).sum() > 0.97 * truth().sum()


@pytest.mark.real_data
@pytest.mark.parametrize("colour", EDGES.values(), ids=EDGES)
def test_edge_of_a_coverslip_over_a_real_slide_changes_no_tile(
    real_data, slide_file, with_line, colour
):
    with open_slide(real_data / "slides" / "lung-scc-HE3.tif", mpp=0.25) as slide:
        image = slide.read_scaled(0, 0, 2011, 2235, 8)
    spoilt = with_line(image, colour, 40, [(60, 2010), (90, 60), (2234, 40)])
    plain, other = (tissue_of(slide_file(image=one, mpp=MPP)) for one in (image, spoilt))
    assert (plain != other).mean() < 0.001
