"""Pictures of tiles: which is meant by a click or a key, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt

from napari_dre_slcl.gui.theme import theme_colors
from napari_dre_slcl.gui.thumbnail_grid import Thumbnail, ThumbnailGrid
from napari_dre_slcl.gui.tile_thumbnails import TileKey, TileThumbnails


@pytest.fixture
def thumbnails(qtbot: Any) -> Iterator[TileThumbnails]:
    opened = TileThumbnails()
    yield opened
    opened.close()


@pytest.fixture
def grid(thumbnails: TileThumbnails, slide_path: Path, qtbot: Any) -> ThumbnailGrid:
    made = ThumbnailGrid(thumbnails, theme_colors("dark"), columns=3)
    qtbot.addWidget(made)
    made.resize(330, 300)
    keys = [TileKey(str(slide_path), (256 * n, 256), 256) for n in range(4)]
    made.setValue([Thumbnail(key, ("slide", "patient")) for key in keys])
    return made


def test_a_click_means_the_picture_under_it(grid: ThumbnailGrid, qtbot: Any) -> None:
    with qtbot.waitSignal(grid.activated) as activated:
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(280, 40))
    assert activated.args == [2]
    with qtbot.assertNotEmitted(grid.activated):
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(280, grid.height() - 5))


def test_arrow_keys_and_enter_choose(grid: ThumbnailGrid, qtbot: Any) -> None:
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Down):
        qtbot.keyClick(grid, key)
    with qtbot.waitSignal(grid.activated) as activated:
        qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert activated.args == [3]
    qtbot.keyClick(grid, Qt.Key.Key_Down)  # there is nothing below
    with qtbot.waitSignal(grid.activated) as activated:
        qtbot.keyClick(grid, Qt.Key.Key_Space)
    assert activated.args == [3]


def test_a_tile_that_cannot_be_read_says_why(
    thumbnails: TileThumbnails, tmp_path: Path, qtbot: Any
) -> None:
    gone = TileKey(str(tmp_path / "gone.tif"), (0, 0), 256)
    features = TileKey(str(tmp_path / "f.h5"), (0, 0), 256)
    for key in (gone, features):
        assert thumbnails.image(key) is None
        qtbot.waitUntil(lambda key=key: bool(thumbnails.why_not(key)), timeout=20_000)
    assert "gone.tif" in thumbnails.why_not(gone)
    assert "no slide" in thumbnails.why_not(features)
    assert not thumbnails.is_busy
    assert thumbnails.image(gone) is None  # and it is not tried again
    assert not thumbnails.is_busy


def test_pictures_are_the_pixels_of_their_tiles(
    thumbnails: TileThumbnails, slide_path: Path, qtbot: Any
) -> None:
    from napari_dre_slcl.slide import open_slide

    keys = [TileKey(str(slide_path), (256 * n, 512), 256) for n in range(2)]
    qtbot.waitUntil(lambda: all(thumbnails.image(key) for key in keys), timeout=20_000)
    with open_slide(slide_path) as slide:
        for key in keys:
            expected = slide.read_scaled(*key.yx, 96, 96, 256 / 96)
            image = thumbnails.image(key)
            assert image is not None
            pixel = image.pixelColor(50, 20).getRgb()[:3]
            assert pixel == tuple(expected[20, 50].tolist())
