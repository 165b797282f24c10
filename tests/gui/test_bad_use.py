"""What users do that nobody asked them to: nothing crashes, and a sentence says what is wrong."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.jobs.messages import PredictJob
from napari_dre_slcl.results import save_result

WAIT_MS = 60_000


@pytest.fixture
def shown(dock, slide_file, tile_result):
    """The dock with a slide and its result."""
    path = slide_file("a.tif")
    dock.overlay.open_slide(path)
    dock.overlay.show_result(tile_result(path))
    return dock


@pytest.fixture
def no_model_job(slide_file, tmp_path):
    """A prediction that fails as soon as the engine has started."""
    slide = slide_file("asked.tif")
    return PredictJob(model=tmp_path / "no model", slides=(slide,), out=tmp_path / "out")


def test_every_layer_may_be_renamed_or_deleted_at_any_time(qtbot, viewer, shown) -> None:
    explore = shown.explore_panel
    explore.tile_selection.click((64, 64))
    for layer in viewer.layers:
        layer.name = "mine"
    for kind in ("attention", "clusters", "slide"):
        viewer.layers.remove(shown.overlay.layer(kind))
        shown.result_panel.side_by_side.click()
        explore.maps.show_map("distance")
        explore.hover.look_at((64, 64))
        explore.tile_selection.click((200, 64))
        explore.maps.look.opacity.setValue(0.4)
        shown.session.codewords.set_color(0, (1, 0, 0))
        qtbot.wait(60)
    viewer.layers.clear()
    assert shown.session.result is None
    assert shown.session.selection.size == 0
    assert "No slide is open" in shown.result_panel.message.text()
    assert not explore.maps.choice.isEnabled()


def test_a_result_of_another_slide_is_never_drawn_over_this_one(
    qtbot, viewer, shown, slide_file, tile_result, tmp_path
) -> None:
    lost = save_result(tile_result("/gone/lost.tif"), tmp_path / "lost.dreslcl.npz")
    before = list(viewer.layers)
    with qtbot.waitSignal(shown.overlay.failed):
        shown.overlay.load_result(lost)
    assert list(viewer.layers) == before
    said = shown.result_panel.message.text()
    assert "lost.dreslcl.npz" in said
    assert "/gone/lost.tif" in said
    there = slide_file("there.tif")
    other = save_result(tile_result(there), tmp_path / "there.dreslcl.npz")
    with qtbot.waitSignal(shown.overlay.result_shown):
        shown.overlay.load_result(other)
    assert shown.overlay.slide.path == str(there)
    assert shown.overlay.layer("clusters") is not None


def test_a_slide_that_was_moved_away_is_told(shown, tmp_path) -> None:
    path = shown.overlay.slide.path
    shutil.move(path, tmp_path / "elsewhere.tif")
    shown.slide_panel.pixel_size.field.setValue(0.3)
    shown.slide_panel.pixel_size.use_button.click()
    assert shown.overlay.slide.mpp == 0.5
    shown.explore_panel.maps.show_map("distance")
    shown.result_panel.predict()
    assert shown.result_panel.message.text()


def test_predict_pressed_twice_is_told_and_ends_once(qtbot, dock, no_model_job) -> None:
    panel = dock.result_panel
    dock.start_job(no_model_job)
    dock.start_job(no_model_job)
    assert "already running" in panel.message.text()
    assert panel.is_running
    qtbot.waitUntil(lambda: not panel.is_running, timeout=WAIT_MS)
    assert "no model" in panel.message.text()
    dock.start_job(no_model_job)
    panel.cancel_button.click()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=WAIT_MS)


def test_dock_closed_while_it_loads_and_predicts(
    qtbot, viewer, no_model_job, slide_file, tile_result, tmp_path
) -> None:
    of_napari = list(viewer.mouse_drag_callbacks)
    dock = DreSlclDock(viewer)
    docked = viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    path = slide_file("a.tif")
    dock.overlay.open_slide(path)
    dock.overlay.show_result(tile_result(path))
    dock.explore_panel.maps.show_map("distance")
    dock.overlay.load_result(save_result(tile_result(path), tmp_path / "a.dreslcl.npz"))
    dock.start_job(no_model_job)
    viewer.window.remove_dock_widget(docked)
    QApplication.processEvents()
    qtbot.wait(60)
    assert not viewer.mouse_move_callbacks
    assert viewer.mouse_drag_callbacks == of_napari
    assert "clusters" in " ".join(layer.name for layer in viewer.layers)
    viewer.layers.clear()


def test_two_viewers_know_nothing_of_each_other(
    qtbot, make_napari_viewer_proxy, slide_file, tile_result
) -> None:
    path = slide_file("a.tif")
    viewers = [make_napari_viewer_proxy() for _ in range(2)]
    docks = [DreSlclDock(viewer) for viewer in viewers]
    for dock in docks:
        dock.overlay.open_slide(path)
        dock.overlay.show_result(tile_result(path))
    first, second = docks
    first.session.select_tiles([3])
    first.explore_panel.maps.show_map("distance")
    qtbot.waitUntil(lambda: first.explore_panel.maps.value() == "distance")
    first.session.codewords.set_color(0, (1, 0, 0))
    assert second.session.selection.size == 0
    assert second.explore_panel.maps.value() == "attention"
    assert not np.allclose(second.session.codewords.colors[0, :3], (1, 0, 0))
    first.close_down()
    second.explore_panel.tile_selection.click((64, 64))
    assert second.session.selection.tolist() == [0]
    second.close_down()
