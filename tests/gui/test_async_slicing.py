"""A slide with its result is drawn as one moves, whether or not napari slices in the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings

from napari_dre_slcl.gui.dock import DreSlclDock

WAIT_MS = 30_000
EDGE_PX = 1024


@pytest.fixture(params=[False, True], ids=["at once", "in the background"])
def slicing(request) -> Any:
    """Napari's setting for asynchronous slicing."""
    experimental = get_settings().experimental
    before = experimental.async_
    experimental.async_ = request.param
    yield request.param
    experimental.async_ = before


@pytest.fixture
def half_dark(slide_file):
    """A slide that is dark in its right half."""
    image = np.full((EDGE_PX, EDGE_PX, 3), 240, np.uint8)
    image[:, EDGE_PX // 2 :] = 20
    return slide_file("half.tif", image=image, mpp=0.5)


def test_slide_and_map_are_drawn_where_one_goes(
    qtbot, make_napari_viewer_proxy, slicing, half_dark, tile_result
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL")

    def middle() -> float:
        shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        height, width = shot.shape[:2]
        return float(
            shot[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5].mean()
        )

    with qtbot.waitSignal(dock.slide_panel.thumbnail.drawn, timeout=WAIT_MS):
        dock.overlay.open_slide(half_dark)
    viewer.scene.camera.zoom *= 6
    dock.session.view.look_at(EDGE_PX / 2, EDGE_PX / 4)
    qtbot.waitUntil(lambda: middle() > 200, timeout=WAIT_MS)
    dock.session.view.look_at(EDGE_PX / 2, 3 * EDGE_PX / 4)
    qtbot.waitUntil(lambda: middle() < 60, timeout=WAIT_MS)

    dock.overlay.show_result(tile_result(half_dark))
    qtbot.waitUntil(lambda: dock.overlay.layer("attention") is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: middle() > 60, timeout=WAIT_MS)  # the map lies over the dark half
    dock.overlay.set_visible("attention", False)
    dock.overlay.set_visible("clusters", False)
    qtbot.waitUntil(lambda: middle() < 60, timeout=WAIT_MS)
    dock.close_down()
