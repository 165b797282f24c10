"""Pictures: the slide's pixels with the map at the right place, in a PNG that others read."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.chosen_map import chosen_map, map_keys
from napari_dre_slcl.export.legend import scale_bar_um
from napari_dre_slcl.export.look import CodewordLook, look_of
from napari_dre_slcl.export.picture import blended, write_picture
from napari_dre_slcl.export.png_stream import PngWriter
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import open_slide


@pytest.mark.parametrize("step", [1, 3, 7])
def test_png_written_in_bands_reads_back(step: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    stream = io.BytesIO()
    png = PngWriter(stream, 7, 5, pixel_um=2.0)
    for top in range(0, 7, step):
        png.write(pixels[top : top + step])
    png.close()
    read = Image.open(stream)
    read.load()
    np.testing.assert_array_equal(np.asarray(read), pixels)
    assert read.info["dpi"][0] == pytest.approx(12_700, rel=1e-3)  # 25.4 mm / 2 µm


def test_codewords_colour_their_tiles_and_nothing_else(
    result: SlideResult, slide_path: Path, tmp_path: Path
) -> None:
    # One pixel per tile: an opaque look leaves the codewords' own colours.
    colors = np.eye(3, 4, dtype=np.float32)
    colors[:, 3] = 1 / 0.45
    look = CodewordLook(("a", "b", "c"), colors)
    with open_slide(slide_path) as slide:
        path = write_picture(slide, result, look, None, 64.0, tmp_path / "a.png")
        plain = slide.read_scaled(0, 0, 8, 12, 128.0)
    shown = np.asarray(Image.open(path))[:8, :12]
    np.testing.assert_array_equal(shown[0], plain[0])  # the row without tiles
    rows, cols = result.rowcol.T
    expected = (np.eye(3) * 255)[result.codeword]
    np.testing.assert_allclose(shown[rows, cols], expected, atol=1)


def test_pixels_beyond_the_grid_stay_as_they_are() -> None:
    pixels = np.full((4, 4, 3), 200, np.uint8)
    red = np.array([[[1, 0, 0, 1]]], np.float32)
    drawn = blended(pixels, red, 0, 0.5)
    assert (drawn[:2, :2] == [255, 0, 0]).all()
    assert (drawn[2:] == 200).all()
    assert (drawn[:, 2:] == 200).all()


def test_every_map_can_be_drawn(result: SlideResult, slide_path: Path, tmp_path: Path) -> None:
    assert map_keys(result)[:2] == ("codewords", "attention")
    assert "evidence:subtype:LUSC" in map_keys(result)
    with open_slide(slide_path) as slide:
        for key in map_keys(result):
            one = chosen_map(result, key)
            path = write_picture(slide, result, look_of(result), one, 4.0, tmp_path / "a.png")
            assert Image.open(path).size[0] == 720  # as wide as the legend needs
    with pytest.raises(ExportError, match="no map 'joy'"):
        chosen_map(result, "joy")


def test_a_picture_without_scale_or_end_is_refused(
    result: SlideResult, make_result: Callable[..., SlideResult], slide_path: Path, tmp_path: Path
) -> None:
    huge = replace(result, slide_shape=(400_000, 400_000))
    with open_slide(slide_path) as slide:
        for wrong, words in ((replace(result, mpp=None), "no pixel size"), (huge, "µm or more")):
            with pytest.raises(ExportError, match=words):
                write_picture(slide, wrong, look_of(result), None, 1.0, tmp_path / "a.png")
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(("width_um", "bar"), [(1000, 200), (2304, 200), (40_000, 5000), (90, 10)])
def test_scale_bar_is_round_and_about_a_fifth(width_um: float, bar: float) -> None:
    assert scale_bar_um(width_um) == pytest.approx(bar)
