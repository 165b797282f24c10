"""A click selects a tile; the outlines follow the selection, whoever made it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def shown(dock, slide_file, tile_result):
    """The dock with a slide and its result."""
    path = slide_file("a.tif")
    dock.overlay.open_slide(path)
    dock.overlay.show_result(tile_result(path))
    return dock


def world(row: int, column: int) -> tuple[float, float]:
    return (row + 0.5) * 128, (column + 0.5) * 128


def outlines(dock) -> list[list[float]]:
    layer = dock.explore_panel.tile_selection.layer
    return [] if layer is None else layer.data.tolist()


def press(viewer, place, moves=(), shift=False) -> None:
    """Do what napari does with the callbacks of a press, moves and a release of the mouse."""
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        pos=(100, 100),
        position=place,
        modifiers=["Shift"] if shift else [],
    )
    running = [callback(viewer, event) for callback in viewer.mouse_drag_callbacks]
    steps = [("mouse_move", pos) for pos in moves] + [("mouse_release", event.pos)]
    for one in running:
        next(one, None)
    for kind, pos in steps:
        event.type, event.pos = kind, pos
        for one in running:
            next(one, None)


def test_clicks_select_and_shift_adds_and_takes_out(viewer, shown) -> None:
    active = viewer.layers.selection.active
    press(viewer, world(1, 2))
    assert shown.session.selection.tolist() == [6]
    assert outlines(shown) == [[1, 2]]
    assert viewer.layers.selection.active == active
    press(viewer, world(0, 0), shift=True, moves=[(101, 102)])
    assert shown.session.selection.tolist() == [0, 6]
    press(viewer, world(1, 2), shift=True)
    assert shown.session.selection.tolist() == [0]
    press(viewer, world(2, 1), moves=[(130, 100)])  # a drag moves the view
    assert shown.session.selection.tolist() == [0]
    press(viewer, world(3, 3))  # no tile there
    assert shown.session.selection.size == 0
    assert outlines(shown) == []


def test_a_tool_in_hand_selects_nothing(viewer, shown) -> None:
    shapes = viewer.add_shapes(units=shown.overlay.layer("slide").units)
    shapes.mode = "add_polygon"
    press(viewer, world(1, 2))
    assert shown.session.selection.size == 0


def test_outlines_lie_on_the_tiles_and_follow_the_pixel_size(viewer, shown) -> None:
    shown.session.select_tiles([0, 5])
    layer = shown.explore_panel.tile_selection.layer
    grid = shown.overlay.layer("clusters")
    np.testing.assert_allclose(layer.data_to_world(layer.data[1]), grid.data_to_world((1, 1)))
    shown.overlay.set_mpp(0.25)
    np.testing.assert_allclose(layer.scale, shown.overlay.layer("clusters").scale)
    shown.session.select_tiles([5])
    np.testing.assert_allclose(layer.data_to_world(layer.data[0]), grid.data_to_world((1, 1)))
    viewer.layers.remove(layer)
    shown.session.select_tiles([1])
    assert outlines(shown) == [[0, 1]]


def test_another_slide_has_no_selection(viewer, shown, slide_file, tile_result) -> None:
    shown.session.select_tiles([1, 2])
    other = slide_file("b.tif")
    shown.overlay.open_slide(other)
    assert outlines(shown) == []
    shown.overlay.show_result(tile_result(other))
    shown.session.select_tiles([3])
    assert outlines(shown) == [[0, 3]]
    names = [layer.name for layer in viewer.layers]
    assert names.count("Selected tiles") == 1
