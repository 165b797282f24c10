"""What is told of the tile under the mouse."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.gui.tile_hover import tile_rows
from napari_dre_slcl.gui.tile_under import tile_at


@pytest.fixture
def shown(dock, slide_file, tile_result):
    """The dock with a slide and its result."""
    path = slide_file("a.tif")
    dock.overlay.open_slide(path)
    dock.overlay.show_result(tile_result(path))
    return dock


def world(tile_yx, part=0.5):
    """Return the place of a part of a tile of 256 px of 0.5 µm; pixel 0 lies around 0."""
    return (np.asarray(tile_yx) * 256 + part * 256 - 0.5) * 0.5


@pytest.mark.parametrize("gone", [(), ("attention",), ("attention", "clusters")])
def test_the_tile_at_a_place_is_found_by_whatever_layer_is_left(viewer, shown, gone) -> None:
    for kind in gone:
        viewer.layers.remove(shown.overlay.layer(kind))
    overlay, result = shown.overlay, shown.session.result
    for part in (0.02, 0.5, 0.98):
        found = [tile_at(overlay, world(cell, part)) for cell in result.rowcol]
        assert found == list(range(12))
    assert tile_at(overlay, world((3, 0))) is None  # a cell of the grid without a tile
    assert tile_at(overlay, world((-1, 0))) is None
    assert tile_at(overlay, world((0, 40))) is None


def test_values_are_told_in_panel_and_status_bar(qtbot, viewer, shown) -> None:
    hover, line = shown.explore_panel.hover, shown.result_panel.answer.tile_line
    height = line.sizeHint().height()
    hover.look_at(world((1, 2)))  # tile 6
    assert dict(hover.rows()) == {
        "Attention": "1.08 x average",
        "Codeword": "Codeword 1",
        "Evidence for cancer": "+0%",
        "Distance from the codeword": "1.05",
        "Centre": "x 320 µm, y 192 µm",
    }
    assert "Evidence for cancer: +0%" in line.text()
    assert line.sizeHint().height() == height
    told = "Attention 1.08 x average · Codeword 1 · Centre x 320 µm, y 192 µm"
    assert viewer.status == told
    viewer.status = "what napari says of the active layer"
    assert viewer.status == told
    shown.session.codewords.set_name(0, "stroma")
    hover.look_at(world((1, 1)))
    hover.look_at(world((1, 2)))
    assert "stroma" in viewer.status
    hover.look_at(world((3, 3)))
    assert hover.tile is None
    assert "Move the mouse" in line.text()
    viewer.status = "free again"
    assert viewer.status == "free again"


def test_the_map_that_is_drawn_comes_first(qtbot, viewer, shown) -> None:
    shown.explore_panel.hover.look_at(world((0, 3)))
    shown.explore_panel.maps.show_values("similarity", "Like 'x'", np.arange(12) / 10, "…")
    qtbot.waitUntil(lambda: shown.explore_panel.maps.value() == "similarity")
    rows = tile_rows(shown.session.result, 3, shown.overlay.tile_map, "stroma")
    assert rows[0] == ("Like 'x'", "0.30")
    assert rows[1] == ("Codeword", "stroma")
    assert viewer.status.startswith("Like 'x' 0.30")


def test_moves_of_the_mouse_are_followed_until_the_dock_goes(viewer, shown) -> None:
    hover = shown.explore_panel.hover
    before = len(viewer.mouse_move_callbacks)
    hover.look_at(world((0, 0)))
    hover.close()
    hover.close()
    assert len(viewer.mouse_move_callbacks) == before - 1
    viewer.status = "free"
    assert viewer.status == "free"
