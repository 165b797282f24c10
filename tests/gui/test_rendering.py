"""What is painted on the canvas, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.results import SlideResult

TILE_PX = 256


@pytest.fixture
def one_dark_tile(slide_file):
    """A white slide of 3x3 tiles whose tile (1, 2) is black."""
    image = np.full((3 * TILE_PX, 3 * TILE_PX, 3), 255, np.uint8)
    image[TILE_PX : 2 * TILE_PX, 2 * TILE_PX :] = 0
    return slide_file("dark.tif", image=image, mpp=0.5)


def result_of(path) -> SlideResult:
    return SlideResult(
        slide_id="dark",
        slide_path=str(path),
        slide_shape=(3 * TILE_PX, 3 * TILE_PX),
        mpp=0.5,
        mpp_source="TIFF resolution",
        tile_size_px=TILE_PX,
        grid_shape=(3, 3),
        rowcol=np.array([[1, 2]]),
        codeword=np.array([1]),
        attention=np.ones(1, np.float32),
        residual_norm=np.ones(1, np.float32),
        n_codewords=2,
        codeword_attention=np.ones(2, np.float32),
        slide_vector=np.zeros(2, np.float32),
        predictions=(),
    )


@pytest.mark.parametrize("kind", ["clusters", "attention"])
def test_overlay_covers_its_tile_and_nothing_else(
    qtbot, make_napari_viewer_proxy, one_dark_tile, kind
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    dock = DreSlclDock(viewer)

    def canvas() -> np.ndarray:
        qtbot.wait(200)
        return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)

    dock.overlay.open_slide(one_dark_tile)
    dock.overlay.show_result(result_of(one_dark_tile))
    dock.overlay.layer("attention").colorbar.visible = False
    dock.overlay.layer("attention").name_overlay.visible = False
    for name in ("clusters", "attention"):
        dock.overlay.set_visible(name, False)
    without = canvas()
    dock.overlay.set_visible(kind, True)
    is_changed = np.abs(canvas() - without).max(axis=2) > 20

    white = np.argwhere((without > 200).all(axis=2))
    top, left = white.min(axis=0)
    bottom = white.max(axis=0)[0] + 1
    assert bottom - top > 100  # canvas pixels for three tiles
    rows, cols = np.nonzero(is_changed)
    third = (bottom - top) / 3
    edges = [rows.min(), rows.max() + 1, cols.min(), cols.max() + 1]
    expected = [top + third, top + 2 * third, left + 2 * third, left + 3 * third]
    np.testing.assert_allclose(edges, expected, atol=1.5)
    assert is_changed.sum() > 0.97 * third**2
    dock.close_down()
