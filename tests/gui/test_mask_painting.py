"""Painting on the tissue mask with napari's own brush: it counts, it lasts, it can be undone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.mask_painting import MaskPainting
from napari_dre_slcl.gui.tissue_box import TissueBox
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import MaskClass, load_tissue_mask, tile_slide
from napari_dre_slcl.tiles.painting import PAINTED, classes_of

WAIT_MS = 120_000
CENTRE = (32, 40)  # of the made slide's mask: tissue; mask pixels are 16 level-0 pixels
GLASS = (5, 5)


@pytest.fixture
def made_slide(slide_file: Callable[..., Path], tissue_image: Callable[..., np.ndarray]) -> Path:
    """A slide with tissue in its middle, whose margin fills a part of its tiles only."""
    return slide_file("made.tif", image=tissue_image(1024, 1280, (256, 256, 868, 1124)))


@pytest.fixture
def box(qtbot: Any, dock: DreSlclDock, made_slide: Path) -> TissueBox:
    """Return the box with the tissue of the made slide found."""
    dock.overlay.open_slide(made_slide)
    dock.slide_panel.tissue.find_button.click()
    settle(qtbot, dock)
    return dock.slide_panel.tissue


def settle(qtbot: Any, dock: DreSlclDock) -> None:
    qtbot.waitUntil(
        lambda: not dock.background.is_busy and dock.tissue.state is not None, timeout=WAIT_MS
    )


def mask_class(dock: DreSlclDock, at: tuple[int, int]) -> int:
    return int(classes_of(dock.overlay.layer("mask").data)[at])


def stroke(qtbot: Any, dock: DreSlclDock, *points: tuple[int, int]) -> None:
    """Paint with what is in hand, one stroke."""
    layer = dock.overlay.layer("mask")
    label = 0 if layer.mode == "erase" else layer.selected_label
    with layer.block_history():
        for point in points:
            layer.paint(point, label)
    settle(qtbot, dock)


def n_tiles(dock: DreSlclDock) -> int:
    return len(dock.tissue.state.grid)


def test_removed_tissue_leaves_tiles_out_at_once(qtbot, dock, box) -> None:
    before = n_tiles(dock)
    box.tools["remove"].click()
    box.brush.setValue(8 * 24)
    stroke(qtbot, dock, CENTRE)
    assert mask_class(dock, CENTRE) == MaskClass.GLASS
    assert n_tiles(dock) < before
    assert box.counts.text().startswith(f"{n_tiles(dock)} tiles")
    mask = dock.tissue.mask(dock.overlay.slide.path)
    with open_slide(dock.overlay.slide.path) as slide:
        assert len(tile_slide(slide, mask=mask)) == n_tiles(dock)


def test_added_tissue_is_tissue_in_the_mask(qtbot, dock, box) -> None:
    box.tools["add"].click()
    stroke(qtbot, dock, GLASS)
    assert mask_class(dock, GLASS) == MaskClass.TISSUE
    assert dock.tissue.mask(dock.overlay.slide.path).labels[GLASS] == MaskClass.TISSUE
    assert dock.tissue.state.is_painted


def test_painting_survives_the_threshold_also_where_it_changed_nothing_yet(
    qtbot, dock, box
) -> None:
    box.tools["add"].click()
    stroke(qtbot, dock, CENTRE, GLASS)
    box.threshold.setValue(box.threshold.maximum())
    settle(qtbot, dock)
    assert mask_class(dock, CENTRE) == mask_class(dock, GLASS) == MaskClass.TISSUE
    box.auto_button.click()
    settle(qtbot, dock)
    assert mask_class(dock, GLASS) == MaskClass.TISSUE
    box.discard_button.click()
    settle(qtbot, dock)
    assert not dock.tissue.state.is_painted
    assert mask_class(dock, GLASS) == MaskClass.GLASS


@pytest.mark.parametrize("mode", ["erase", "paint"])
def test_naparis_own_eraser_and_labels_count_as_painting(qtbot, dock, box, mode) -> None:
    layer = dock.overlay.layer("mask")
    layer.brush_size = 10
    layer.selected_label = MaskClass.PEN
    layer.mode = mode
    stroke(qtbot, dock, CENTRE)
    wanted = MaskClass.GLASS if mode == "erase" else MaskClass.PEN
    assert layer.data[CENTRE] == PAINTED + wanted
    box.threshold.setValue(5)
    settle(qtbot, dock)
    assert mask_class(dock, CENTRE) == wanted


@pytest.mark.parametrize("mode", ["erase", "paint"])
def test_undo_and_redo_are_naparis_and_are_counted(qtbot, dock, box, mode) -> None:
    before, n_before = dock.overlay.layer("mask").data.copy(), n_tiles(dock)
    box.tools["remove"].click()
    box.brush.setValue(8 * 24)
    layer = dock.overlay.layer("mask")
    layer.mode = mode
    stroke(qtbot, dock, CENTRE)
    painted, n_after = layer.data.copy(), n_tiles(dock)
    assert n_after < n_before
    box.undo_button.click()
    settle(qtbot, dock)
    np.testing.assert_array_equal(layer.data, before)
    assert n_tiles(dock) == n_before
    assert not dock.tissue.state.is_painted
    layer.redo()
    settle(qtbot, dock)
    np.testing.assert_array_equal(layer.data, painted)
    assert n_tiles(dock) == n_after


def test_undo_after_another_threshold_brings_back_what_is_found_now(qtbot, dock, box) -> None:
    box.tools["add"].click()
    stroke(qtbot, dock, CENTRE)
    box.threshold.setValue(box.threshold.maximum())
    settle(qtbot, dock)
    found = dock.overlay.layer("mask").data.copy()
    assert found[CENTRE] == PAINTED + MaskClass.TISSUE
    box.undo_button.click()
    settle(qtbot, dock)
    assert not dock.tissue.state.is_painted
    box.threshold.setValue(box.threshold.maximum() - 1)
    box.threshold.setValue(box.threshold.maximum())
    settle(qtbot, dock)
    labels = dock.tissue.mask(dock.overlay.slide.path).labels
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, labels)


def test_discarded_painting_comes_back_with_undo(qtbot, dock, box) -> None:
    box.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    painted = dock.overlay.layer("mask").data.copy()
    box.discard_button.click()
    settle(qtbot, dock)
    assert not box.discard_button.isEnabled()
    box.undo_button.click()
    settle(qtbot, dock)
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, painted)


def test_a_hidden_mask_is_shown_when_its_painting_is_discarded(qtbot, dock, box) -> None:
    layer = dock.overlay.layer("mask")
    found = layer.data.copy()
    box.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    layer.visible = False
    box.discard_button.click()
    settle(qtbot, dock)
    assert layer.visible
    np.testing.assert_array_equal(layer.data, found)


@pytest.mark.parametrize("contour", [0, 2])
def test_naparis_polygon_and_fill_count_too(qtbot, contour) -> None:
    found = np.zeros((64, 80), np.uint8)
    layer = Labels(found.copy())
    painting = MaskPainting(layer, found, 8.0)
    layer.contour = contour
    with qtbot.waitSignal(painting.painted):
        layer.paint_polygon([(2, 2), (2, 12), (12, 12), (12, 2)], MaskClass.TISSUE)
    assert painting.values[GLASS] == PAINTED + MaskClass.TISSUE
    with qtbot.waitSignal(painting.painted):
        layer.fill(CENTRE, MaskClass.FOLD)
    assert painting.values[CENTRE] == PAINTED + MaskClass.FOLD
    assert painting.values[GLASS] == PAINTED + MaskClass.TISSUE
    painting.close()


def test_buttons_and_naparis_tools_agree(qtbot, viewer, dock, box) -> None:
    layer = dock.overlay.layer("mask")
    box.tools["add"].click()
    assert viewer.layers.selection.active == layer
    assert (layer.mode, layer.selected_label) == ("paint", PAINTED + MaskClass.TISSUE)
    box.tools["remove"].click()
    assert [button.isChecked() for button in box.tools.values()] == [False, True]
    layer.mode = "pan_zoom"
    assert not box.tools["remove"].isChecked()
    box.tools["remove"].click()
    viewer.layers.selection.active = dock.overlay.layer("slide")
    assert not box.tools["remove"].isChecked()
    box.tools["add"].click()
    box.tools["add"].click()
    assert layer.mode == "pan_zoom"
    assert viewer.layers.selection.active == dock.overlay.layer("slide")


def test_brush_is_told_in_micrometres(dock, box) -> None:
    layer = dock.overlay.layer("mask")
    assert box.brush.value() == layer.brush_size * 8 == 200
    box.brush.setValue(400)
    assert layer.brush_size == 50
    layer.brush_size = 10
    assert box.brush.value() == 80


def test_a_drag_of_the_mouse_paints(qtbot, viewer, dock, box) -> None:
    with qtbot.waitExposed(dock.window()):
        dock.window().show()  # a hidden window does not give its canvas a size
    viewer.reset_view()
    box.tools["remove"].click()
    canvas = _canvas(dock)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    for step in range(1, 6):
        QTest.mouseMove(canvas, middle + QPoint(4 * step, 0))
        QTest.qWait(20)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(20, 0))
    settle(qtbot, dock)
    data = dock.overlay.layer("mask").data
    assert data[CENTRE] == PAINTED + MaskClass.GLASS
    np.testing.assert_allclose(np.argwhere(data >= PAINTED).mean(axis=0)[0], CENTRE[0], atol=1)
    assert dock.tissue.state.is_painted


def _canvas(dock: DreSlclDock) -> QWidget:
    (canvas,) = (
        widget
        for widget in dock.window().findChildren(QWidget)
        if type(widget).__name__.startswith("CanvasBackend")
    )
    return canvas


def test_a_deleted_mask_layer_comes_back_with_its_painting(qtbot, viewer, dock, box) -> None:
    box.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    viewer.layers.remove(dock.overlay.layer("mask"))
    box.threshold.setValue(20)
    settle(qtbot, dock)
    assert mask_class(dock, CENTRE) == MaskClass.GLASS
    box.tools["add"].click()
    stroke(qtbot, dock, CENTRE)
    assert mask_class(dock, CENTRE) == MaskClass.TISSUE


def test_painting_keeps_its_place_at_another_pixel_size(qtbot, dock, box) -> None:
    box.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    dock.overlay.set_mpp(0.25)
    qtbot.waitUntil(lambda: dock.overlay.layer("mask").data.shape == (32, 40), timeout=WAIT_MS)
    settle(qtbot, dock)
    assert mask_class(dock, (16, 20)) == MaskClass.GLASS
    assert dock.tissue.state.is_painted
    box.undo_button.click()  # strokes on the mask of another size cannot be undone any more
    assert mask_class(dock, (16, 20)) == MaskClass.GLASS
    box.discard_button.click()
    settle(qtbot, dock)
    assert mask_class(dock, (16, 20)) == MaskClass.TISSUE


def test_a_saved_mask_is_opened_again_as_painting(qtbot, dock, box, tmp_path) -> None:
    box.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    path = tmp_path / "made.tissue.png"
    box.save_mask(path)
    assert "Saved the mask as 'made.tissue.png'" in box.message.text()
    saved = load_tissue_mask(path)
    np.testing.assert_array_equal(saved.labels, classes_of(dock.overlay.layer("mask").data))
    box.discard_button.click()
    settle(qtbot, dock)
    box.open_mask(path)
    settle(qtbot, dock)
    assert mask_class(dock, CENTRE) == MaskClass.GLASS
    np.testing.assert_array_equal(dock.tissue.mask(dock.overlay.slide.path).labels, saved.labels)


def test_masks_that_do_not_fit_are_told(qtbot, dock, box, slide_path, tmp_path) -> None:
    mine = tmp_path / "made.tissue.png"
    box.save_mask(mine)
    before = dock.overlay.layer("mask").data.copy()
    (tmp_path / "text.tissue.png").write_text("no picture")
    box.open_mask(tmp_path / "text.tissue.png")
    assert "is no tissue mask" in box.message.text()
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, before)
    dock.overlay.open_slide(slide_path)
    box.find_button.click()
    settle(qtbot, dock)
    box.open_mask(mine)
    assert "'made.tissue.png' is the mask of a slide of 1,280 x 1,024 px" in box.message.text()
    box.save_mask(tmp_path)
    assert "cannot be written" in box.message.text()


def test_predicting_again_after_painting_encodes_only_the_changed_tiles(
    qtbot, dock, box, trained
) -> None:
    panel = dock.result_panel
    panel.model_field.setValue(trained.run_dir)
    assert panel.value().mask is None
    first = predict(qtbot, dock)
    assert first.provenance["tissue mask"] == "automatic"
    assert "known from the earlier" not in panel.message.text()
    assert not dock.overlay.layer("mask").visible  # it would hide the clusters
    assert panel.tissue_note.text() == ""
    box.tools["remove"].click()
    assert dock.overlay.layer("mask").visible
    box.brush.setValue(8 * 20)
    stroke(qtbot, dock, CENTRE)
    assert panel.tissue_note.text() == "With the tissue of the Slide tab: painted mask."
    fewer = predict(qtbot, dock)
    assert fewer.provenance["tissue mask"].startswith("made.tissue.png")
    assert fewer.provenance["encoded"] == f"0 of {n_tiles(dock)} tiles"
    assert len(fewer.rowcol) == n_tiles(dock) < len(first.rowcol)
    box.discard_button.click()
    box.share.setValue(5)
    assert dock.overlay.layer("tissue").visible
    settle(qtbot, dock)
    assert panel.tissue_note.text().endswith("Slide tab: least tissue 5%.")
    more = predict(qtbot, dock)
    n_new = len(more.rowcol) - len(first.rowcol)
    assert n_new > 0
    # Those that the brush had removed were dropped with the last result.
    n_encoded = len(more.rowcol) - len(fewer.rowcol)
    assert panel.message.text().startswith(f"Encoded {n_encoded} of {len(more.rowcol)} tiles")
    assert more.provenance["least tissue"] == "5%"


def predict(qtbot: Any, dock: DreSlclDock) -> Any:
    with qtbot.waitSignal(dock.overlay.result_shown, timeout=WAIT_MS):
        dock.result_panel.predict_button.click()
    results = dock.result_panel.model_field.value() / "results"
    return load_result(results / "made.dreslcl.npz")


def test_nothing_outlives_the_dock(qtbot, make_napari_viewer_proxy, made_slide) -> None:
    viewer = make_napari_viewer_proxy()
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    dock.overlay.open_slide(made_slide)
    dock.slide_panel.tissue.find_button.click()
    settle(qtbot, dock)
    dock.slide_panel.tissue.tools["remove"].click()
    stroke(qtbot, dock, CENTRE)
    gone = [weakref.ref(one) for one in (dock, dock.tissue, dock.slide_panel.tissue)]
    layer = dock.overlay.layer("mask")
    viewer.window.remove_dock_widget(dock)
    del dock
    QApplication.processEvents()
    qtbot.wait(50)
    gc.collect()
    assert [one() for one in gone] == [None, None, None]
    layer.paint(CENTRE, PAINTED + MaskClass.TISSUE)  # the layer is the user's now
    assert layer.data[CENTRE] == PAINTED + MaskClass.TISSUE
