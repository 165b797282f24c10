"""Layer data of slides and results, with known answers for where they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_dre_slcl.layers import (
    METADATA_KEY,
    attention_layer,
    cluster_layer,
    codeword_colors,
    mask_layer,
    slide_layer,
    tissue_layer,
)
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles import MaskClass, tile_slide
from napari_dre_slcl.tiles.painting import PAINTED

TILE_PX = 512


@pytest.fixture
def result() -> SlideResult:
    """Three tiles of a 2x3 grid."""
    return SlideResult(
        slide_id="a",
        slide_path="a.tif",
        slide_shape=(1100, 1600),
        mpp=0.25,
        mpp_source="user",
        tile_size_px=TILE_PX,
        grid_shape=(2, 3),
        rowcol=np.array([[0, 1], [1, 0], [1, 2]]),
        codeword=np.array([3, 0, 3]),
        attention=np.array([0.5, 0.25, 0.25], np.float32),
        residual_norm=np.ones(3, np.float32),
        n_codewords=4,
        codeword_attention=np.full(4, 0.25, np.float32),
        slide_vector=np.zeros(2, np.float32),
        predictions=(),
    )


def test_slide_is_one_lazy_multiscale_image_in_micrometres(slide: Slide) -> None:
    layer = Layer.create(*slide_layer(slide))
    assert isinstance(layer, Image)
    assert layer.multiscale
    assert layer.rgb
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.axis_labels == ("y", "x")
    np.testing.assert_allclose(layer.scale, slide.info.mpp)
    assert layer.name == "slide"
    np.testing.assert_array_equal(layer.data[0][10:12, 5:9], slide.read_region(10, 5, 2, 4))


def test_slide_without_pixel_size_lies_in_pixels(slide_file) -> None:
    with Slide(slide_file("no-mpp.tif", mpp=None)) as slide:
        layer = Layer.create(*slide_layer(slide))
        np.testing.assert_array_equal(layer.scale, 1)
        assert {str(unit) for unit in layer.units} == {"pixel"}


@pytest.mark.parametrize("mpp", [None, 0.25, 0.499])
@pytest.mark.parametrize("make_layer", [cluster_layer, attention_layer])
def test_raster_spans_the_grid_from_the_corner_of_the_slide(result, make_layer, mpp) -> None:
    layer = Layer.create(*make_layer(replace(result, mpp=mpp)))
    size = mpp or 1.0
    # A layer's extent runs from the centre of its first to that of its last pixel.
    cells = np.array([[-0.5, 0.5]]).T * TILE_PX * size
    corner, end = layer.extent.world + cells
    np.testing.assert_allclose(corner, -0.5 * size)
    np.testing.assert_allclose(end, np.array([2, 3]) * TILE_PX * size - 0.5 * size)


@pytest.mark.parametrize("mpp", [None, 0.499])
def test_centre_of_every_tile_shows_its_codeword(result, mpp) -> None:
    layer = Layer.create(*cluster_layer(replace(result, mpp=mpp)))
    size = mpp or 1.0
    for corner_yx, codeword in zip(result.tile_yx, result.codeword, strict=True):
        for part in (0.02, 0.5, 0.98):  # nearly from edge to edge
            world = (corner_yx - 0.5 + part * TILE_PX) * size
            assert layer.get_value(world, world=True) == codeword + 1


def test_cells_without_tile_are_label_0_and_nan_attention(result) -> None:
    clusters, attention = cluster_layer(result)[0], attention_layer(result)[0]
    is_tile = np.array([[0, 1, 0], [1, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(clusters != 0, is_tile)
    np.testing.assert_array_equal(~np.isnan(attention), is_tile)


def test_attention_is_told_in_multiples_of_the_average(result) -> None:
    data, options, _ = attention_layer(result)
    assert np.nanmean(data) == pytest.approx(1)
    assert data[0, 1] == pytest.approx(1.5)
    assert "average" in options["name"]
    assert options["contrast_limits"][0] == 0


def test_nothing_is_painted_where_no_tile_is(result) -> None:
    layer = Layer.create(*attention_layer(result))
    assert isinstance(layer, Image)
    painted = layer.colormap.map(np.array([np.nan, 0.0, 1.0], np.float32))
    assert painted[0, 3] == 0
    assert painted[1, 3] < 0.1
    assert painted[2, 3] == 1


def test_clusters_are_painted_in_the_colours_of_the_legend(result) -> None:
    layer = Layer.create(*cluster_layer(result))
    assert isinstance(layer, Labels)
    for codeword, color in enumerate(codeword_colors(result.n_codewords)):
        np.testing.assert_allclose(layer.get_color(codeword + 1), color)
    assert list(layer.features["codeword"])[4] == "Codeword 4"
    assert list(layer.features["share"])[4] == pytest.approx(2 / 3)


@pytest.mark.parametrize("n_codewords", [2, 16, 17, 64])
def test_colours_differ_and_stay_as_codewords_are_added(n_codewords) -> None:
    colors = codeword_colors(n_codewords)
    assert colors.shape == (n_codewords, 4)
    assert len(np.unique(colors, axis=0)) == n_codewords
    assert (colors >= 0).all()
    assert (colors <= 1).all()
    np.testing.assert_array_equal(colors[:2], codeword_colors(2))


def test_tissue_layer_marks_the_tiles_of_the_grid(slide: Slide) -> None:
    grid = tile_slide(slide)
    data, options, _ = tissue_layer("a", grid)
    assert data.sum() == len(grid)
    assert options["metadata"][METADATA_KEY]["tile_size_px"] == grid.size_px
    np.testing.assert_array_equal(np.argwhere(data), grid.rowcol)


@pytest.mark.parametrize("mpp", [0.25, 0.499, None])
def test_mask_pixels_cover_their_part_of_the_slide(mpp: float | None) -> None:
    downsample = 8 / 0.499
    values = np.arange(8, dtype=np.uint8).reshape(2, 4)
    data, options, kind = mask_layer("s", values, downsample, mpp)
    assert kind == "labels"
    assert data is values
    size = mpp or 1.0
    # The left edge of the first mask pixel is that of level-0 pixel 0, half a pixel left of 0.
    np.testing.assert_allclose(options["translate"][0] - options["scale"][0] / 2, -size / 2)
    np.testing.assert_allclose(options["scale"], downsample * size)
    assert set(options["colormap"]) == {None, *range(8)}
    assert options["features"]["mask"][PAINTED + MaskClass.TISSUE] == "painted: tissue"
    assert options["features"]["mask"][MaskClass.FOLD] == "fold"
    shown = {tuple(color) for label, color in options["colormap"].items() if label}
    assert len(shown) == 7


def test_no_codewords_have_no_colours() -> None:
    assert codeword_colors(0).shape == (0, 4)
