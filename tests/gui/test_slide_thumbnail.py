"""The overview of the Slide tab: it shows the slide, frames the view, and moves the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_dre_slcl.gui.slide_thumbnail import small_picture

WAIT_MS = 20_000
SHAPE = (1024, 2048)


@pytest.fixture
def half_dark(slide_file):
    """A slide twice as wide as high, dark in its right half."""
    image = np.full((*SHAPE, 3), 240, np.uint8)
    image[:, SHAPE[1] // 2 :] = (40, 20, 60)
    return slide_file("half.tif", image=image, mpp=0.5)


@pytest.fixture
def thumbnail(qtbot, dock, half_dark):
    """The overview with its pixels, 380 px wide."""
    shown = dock.slide_panel.thumbnail
    with qtbot.waitSignal(shown.drawn, timeout=WAIT_MS):
        dock.overlay.open_slide(half_dark)
    shown.resize(380, shown.heightForWidth(380))
    return shown


def test_overview_is_the_mean_of_the_pixels_and_keeps_the_shape() -> None:
    level = np.zeros((40, 60, 3), np.uint8)
    level[::2] = 200
    small = small_picture(level, longest_px=30)
    assert small.shape == (20, 30, 3)
    assert np.abs(small.astype(int) - 100).max() <= 1


def test_overview_shows_the_slide_without_stretching_it(thumbnail) -> None:
    picture = thumbnail.picture
    assert picture.width() / picture.height() == pytest.approx(2)
    drawn = thumbnail.grab().toImage()
    bright = drawn.pixelColor(int(picture.left() + 40), int(picture.center().y()))
    dark = drawn.pixelColor(int(picture.right() - 40), int(picture.center().y()))
    assert bright.lightness() > 200 > 100 > dark.lightness()


def test_click_brings_that_place_to_the_middle_of_the_canvas(qtbot, dock, thumbnail) -> None:
    dock.session.viewer.scene.camera.zoom *= 8
    picture = thumbnail.picture
    place = QPoint(
        int(picture.left() + 0.75 * picture.width()), int(picture.top() + 0.25 * picture.height())
    )
    qtbot.mouseClick(thumbnail, Qt.MouseButton.LeftButton, pos=place)
    top, left, bottom, right = dock.session.view.region()
    level0_per_px = SHAPE[1] / picture.width()
    assert (top + bottom) / 2 == pytest.approx(0.25 * SHAPE[0], abs=2 * level0_per_px)
    assert (left + right) / 2 == pytest.approx(0.75 * SHAPE[1], abs=2 * level0_per_px)
    frame = thumbnail.frame
    assert frame.center().x() == pytest.approx(place.x(), abs=2)
    assert frame.width() < picture.width() / 2


def test_frame_follows_the_camera_and_arrow_keys_move_it(qtbot, dock, thumbnail) -> None:
    camera = dock.session.viewer.scene.camera
    with qtbot.waitSignal(dock.session.view.changed, timeout=WAIT_MS):
        camera.zoom *= 8
    before = thumbnail.frame
    qtbot.keyClick(thumbnail, Qt.Key.Key_Right)
    after = thumbnail.frame
    assert after.left() - before.left() == pytest.approx(before.width() / 4, rel=0.1)
    assert after.top() == pytest.approx(before.top(), abs=0.5)


def test_overview_goes_with_its_slide(dock, thumbnail) -> None:
    assert not thumbnail.isHidden()
    dock.session.viewer.layers.clear()
    assert thumbnail.isHidden()
    assert thumbnail.frame is None
