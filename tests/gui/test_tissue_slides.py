"""Tissue of several slides, and of slides, masks and pixel sizes that come and go meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.tissue_box import TissueBox
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import MaskClass, find_tissue, load_tissue_mask, tile_slide
from napari_dre_slcl.tiles.painting import PAINTED, classes_of

WAIT_MS = 60_000
CENTRE = (32, 48)  # tissue in the masks of both slides; mask pixels are 16 level-0 pixels


@pytest.fixture
def box(dock: DreSlclDock) -> TissueBox:
    return dock.slide_panel.tissue


@pytest.fixture
def first(slide_file: Callable[..., Path], tissue_image: Callable[..., np.ndarray]) -> Path:
    """A slide whose tissue fades out below, so that thresholds differ."""
    image = tissue_image().astype(float)
    fading = np.linspace(1, 0.2, 512)[:, None, None]
    image[256:768, 256:1280] = 243 - (243 - image[256:768, 256:1280]) * fading
    return slide_file("first.tif", image=image.astype(np.uint8))


@pytest.fixture
def second(slide_file: Callable[..., Path]) -> Path:
    return slide_file("second.tif")


def settle(qtbot: Any, dock: DreSlclDock) -> None:
    qtbot.waitUntil(lambda: not dock.background.is_busy, timeout=WAIT_MS)


def find(qtbot: Any, dock: DreSlclDock, path: Path) -> None:
    dock.overlay.open_slide(path)
    dock.slide_panel.tissue.find_button.click()
    settle(qtbot, dock)


def look_at(dock: DreSlclDock, path: Path) -> None:
    dock.overlay.open_slide(path)  # only activates the layer of a slide that is open


def hold(dock: DreSlclDock) -> threading.Event:
    """Let what is asked from now on wait for the event, as for a slide that takes long to read."""
    go_on = threading.Event()
    dock.background.run(
        "waiting", go_on.wait, WAIT_MS / 1000, on_done=lambda _: None, on_error=pytest.fail
    )
    return go_on


def remove_tissue(qtbot: Any, dock: DreSlclDock, at: tuple[int, int] = CENTRE) -> None:
    dock.slide_panel.tissue.tools["remove"].click()
    layer = dock.overlay.layer("mask")
    with layer.block_history():
        layer.paint(at, layer.selected_label)
    settle(qtbot, dock)


def right_mask(path: Path, threshold: int | None = None) -> np.ndarray:
    with open_slide(path) as slide:
        return find_tissue(slide, TilingConfig(tissue_threshold=threshold)).labels


def test_painting_counts_again_once_its_slide_is_opened_again(
    qtbot, viewer, dock, box, first
) -> None:
    find(qtbot, dock, first)
    remove_tissue(qtbot, dock)
    painted = dock.overlay.layer("mask").data.copy()
    viewer.layers.remove(dock.overlay.layer("slide"))
    assert dock.tissue.choice(str(first)) is None
    dock.overlay.open_slide(first)
    settle(qtbot, dock)
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, painted)
    assert dock.tissue.choice(str(first)).mask.labels[CENTRE] == MaskClass.GLASS
    assert "painted mask" in dock.result_panel.tissue_note.text()
    box.find_button.click()
    settle(qtbot, dock)
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, painted)


def test_slide_removed_while_its_mask_is_active_is_no_longer_told(
    qtbot, viewer, dock, box, first
) -> None:
    find(qtbot, dock, first)
    viewer.layers.selection.active = dock.overlay.layer("mask")
    assert dock.slide_panel.facts()["File"] == "first.tif"
    viewer.layers.remove(dock.overlay.layer("slide"))
    assert dock.overlay.slide is None
    assert dock.slide_panel.facts() == {}


def test_painting_counts_again_once_the_dock_is_opened_again(qtbot, viewer, dock, first) -> None:
    find(qtbot, dock, first)
    remove_tissue(qtbot, dock)
    painted = dock.overlay.layer("mask").data.copy()
    viewer.window.remove_dock_widget(dock)
    again = DreSlclDock(viewer)
    viewer.window.add_dock_widget(again, name="DRE-SLCL")
    settle(qtbot, again)
    assert again.tissue.choice(str(first)).mask.labels[CENTRE] == MaskClass.GLASS
    again.slide_panel.tissue.find_button.click()
    settle(qtbot, again)
    np.testing.assert_array_equal(again.overlay.layer("mask").data, painted)
    again.close_down()


def test_a_pixel_size_that_comes_while_the_slide_is_read_counts(qtbot, dock, box, first) -> None:
    dock.overlay.open_slide(first)
    box.find_button.click()
    dock.overlay.set_mpp(0.25)
    settle(qtbot, dock)
    slide, mask = dock.overlay.layer("slide"), dock.overlay.layer("mask")
    np.testing.assert_allclose(slide.scale, 0.25)
    np.testing.assert_allclose(mask.scale, 8)
    np.testing.assert_allclose(dock.overlay.layer("tissue").scale, 512 * 0.25)
    assert mask.data.shape == (32, 48)
    with open_slide(first, 0.25) as opened:
        assert len(dock.tissue.state.grid) == len(tile_slide(opened))


def test_without_a_pixel_size_nothing_is_drawn_or_changed(qtbot, dock, box, slide_file) -> None:
    path = slide_file("plain.tif", mpp=None)
    dock.overlay.open_slide(path, 0.5)
    box.find_button.click()
    dock.overlay.set_mpp(None)
    settle(qtbot, dock)
    assert dock.tissue.state is None
    assert dock.overlay.layer("mask") is None
    assert not dock.tissue.is_busy
    dock.overlay.set_mpp(0.5)
    box.find_button.click()
    settle(qtbot, dock)
    mask = dock.overlay.layer("mask")
    found = mask.data.copy()
    box.threshold.setValue(30)  # its answer comes once there is no pixel size any more
    dock.overlay.set_mpp(None)
    settle(qtbot, dock)
    assert not box.threshold.isEnabled()
    assert box.counts.text() == ""
    dock.tissue.set_threshold(60)
    settle(qtbot, dock)
    for kind in ("slide", "mask", "tissue"):
        assert {str(unit) for unit in dock.overlay.layer(kind).units} == {"pixel"}
    np.testing.assert_allclose(mask.scale, 16)
    np.testing.assert_array_equal(mask.data, found)
    dock.overlay.set_mpp(0.5)
    settle(qtbot, dock)
    assert box.threshold.isEnabled()
    assert box.threshold.value() == 60
    with open_slide(path, 0.5) as slide:
        wanted = find_tissue(slide, TilingConfig(tissue_threshold=60)).labels
    np.testing.assert_array_equal(mask.data, wanted)


def test_a_slide_that_is_read_takes_no_answer_from_another(qtbot, dock, box, first, second) -> None:
    find(qtbot, dock, first)
    dock.overlay.open_slide(second)
    box.find_button.click()
    look_at(dock, first)
    go_on = hold(dock)
    box.threshold.setValue(35)
    # The second asks for its own tiles before this question has its answer.
    qtbot.waitUntil(lambda: dock.overlay.layer("mask", str(second)) is not None, timeout=WAIT_MS)
    go_on.set()
    settle(qtbot, dock)
    assert box.threshold.value() == 35
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, right_mask(first, 35))
    assert not np.array_equal(right_mask(first, 35), right_mask(first))
    with open_slide(first) as slide:
        wanted = tile_slide(slide, TilingConfig(tissue_threshold=35))
    np.testing.assert_array_equal(dock.tissue.state.grid.status, wanted.status)


def test_two_slides_may_be_read_at_a_time(qtbot, dock, box, first, second) -> None:
    for path in (first, second):
        dock.overlay.open_slide(path)
        box.find_button.click()
    look_at(dock, first)
    assert box.counts.text() == "Reading the slide…"
    assert not box.find_button.isEnabled()
    settle(qtbot, dock)
    for path in (first, second):
        mask = dock.overlay.layer("mask", str(path))
        np.testing.assert_array_equal(mask.data, right_mask(path))
        assert dock.overlay.layer("tissue", str(path)) is not None
    assert box.counts.text().startswith(f"{len(dock.tissue.state.grid)} tiles")


def test_a_slide_that_cannot_be_read_leaves_the_other_one_reading(
    qtbot, dock, box, first, slide_file
) -> None:
    dark = slide_file("dark.tif", image=np.full((512, 512, 3), 30, np.uint8))
    dock.overlay.open_slide(dark)
    box.find_button.click()
    go_on = hold(dock)
    dock.overlay.open_slide(first)
    box.find_button.click()
    qtbot.waitUntil(lambda: "dark nearly everywhere" in box.message.text(), timeout=WAIT_MS)
    assert box.counts.text() == "Reading the slide…"
    go_on.set()
    settle(qtbot, dock)
    assert dock.tissue.state.grid is not None
    look_at(dock, dark)
    assert box.find_button.isEnabled()
    assert dock.tissue.state is None


def test_tiles_that_cannot_be_counted_are_no_longer_waited_for(qtbot, dock, box, first) -> None:
    dock.overlay.open_slide(first)
    dock.overlay.set_mpp(1.0)
    box.find_button.click()
    settle(qtbot, dock)
    assert "1 µm per pixel, coarser than the 0.5 asked for" in box.message.text()
    assert box.counts.text() == ""
    dock.overlay.set_mpp(0.5)
    settle(qtbot, dock)
    assert box.counts.text().startswith(f"{len(dock.tissue.state.grid)} tiles")
    assert dock.overlay.layer("tissue").visible


def test_deleted_layers_come_back_only_when_the_user_asks(
    qtbot, viewer, dock, box, first, second
) -> None:
    find(qtbot, dock, first)
    for kind in ("mask", "tissue"):
        viewer.layers.remove(dock.overlay.layer(kind, str(first)))
    dock.overlay.open_slide(second)
    look_at(dock, first)
    settle(qtbot, dock)
    dock.tissue.set_tiling(TilingConfig(tile_px=128))  # as a model that is chosen does
    settle(qtbot, dock)
    assert dock.overlay.layer("mask") is None
    assert dock.overlay.layer("tissue") is None
    assert box.counts.text().startswith(f"{len(dock.tissue.state.grid)} tiles")
    box.threshold.setValue(20)
    settle(qtbot, dock)
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, right_mask(first, 20))
    assert dock.overlay.layer("tissue").visible


def test_brush_width_can_be_typed(qtbot, dock, box, first) -> None:
    find(qtbot, dock, first)
    box.brush.setFocus()
    box.brush.lineEdit().setSelection(0, len("200"))
    QTest.keyClicks(box.brush, "10")
    dock.tissue.changed.emit()  # an answer about the tiles
    QTest.keyClicks(box.brush, "00")
    assert box.brush.text() == "1000 µm"
    QTest.keyClick(box.brush, Qt.Key.Key_Return)
    assert dock.overlay.layer("mask").brush_size == 1000 / 8
    assert box.brush.value() == 1000


def test_sliders_reach_what_a_model_was_trained_with(qtbot, dock, box, first) -> None:
    find(qtbot, dock, first)
    usual = [(one.minimum(), one.maximum()) for one in (box.threshold, box.share)]
    dock.tissue.set_tiling(TilingConfig(tissue_threshold=120, min_tissue=0.01))
    settle(qtbot, dock)
    assert (box.threshold.value(), box.threshold.mark) == (120, 120)
    assert box.threshold.minimum() <= 120 <= box.threshold.maximum()
    assert (box.share.value(), box.share.mark, box.share_text.text()) == (1, 1, "1 %")
    assert dock.tissue.choice(str(first)) is None
    dock.tissue.set_tiling(TilingConfig())
    settle(qtbot, dock)
    assert [(one.minimum(), one.maximum()) for one in (box.threshold, box.share)] == usual


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_mask_whose_data_type_was_converted_is_painted_and_saved(
    qtbot, dock, box, first, tmp_path, dtype
) -> None:
    find(qtbot, dock, first)
    layer = dock.overlay.layer("mask")
    layer.data = layer.data.astype(dtype)  # as napari's "Convert data type" does
    remove_tissue(qtbot, dock)
    assert layer.data[CENTRE] == PAINTED + MaskClass.GLASS
    path = tmp_path / "first.tissue.png"
    box.save_mask(path)
    np.testing.assert_array_equal(load_tissue_mask(path).labels, classes_of(layer.data))


def test_painting_goes_on_in_a_copy_whose_original_was_deleted(
    qtbot, viewer, dock, box, first
) -> None:
    find(qtbot, dock, first)
    remove_tissue(qtbot, dock)
    original = dock.overlay.layer("mask")
    copy = Layer.create(*deepcopy(original.as_layer_data_tuple()))  # as napari duplicates a layer
    viewer.add_layer(copy)
    assert dock.tissue.state.is_painted
    viewer.layers.remove(original)
    settle(qtbot, dock)
    assert dock.overlay.layer("mask") == copy
    remove_tissue(qtbot, dock, (20, 40))
    labels = dock.tissue.choice(str(first)).mask.labels
    assert labels[CENTRE] == labels[20, 40] == MaskClass.GLASS
    np.testing.assert_array_equal(classes_of(copy.data), labels)
    box.threshold.setValue(30)
    settle(qtbot, dock)
    assert copy.data[20, 40] == PAINTED + MaskClass.GLASS
