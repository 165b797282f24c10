"""The Tissue box: mask and tiles follow the threshold, lie exactly, and say what was left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.tissue_box import TissueBox
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import MaskClass, TileStatus, find_tissue, tile_slide

WAIT_MS = 60_000
# Of the tissue of the made slide: top, left, bottom, right in level-0 pixels.
BOX = (300, 200, 900, 1400)


@pytest.fixture
def made_slide(slide_file: Callable[..., Path], tissue_image: Callable[..., np.ndarray]) -> Path:
    """A slide of 0.499 µm; tissue in the box fades out below, so that thresholds differ."""
    image = tissue_image(1200, 1600, BOX).astype(float)
    fading = np.linspace(1, 0.05, 600)[:, None, None]
    image[300:900, 200:1400] = 243 - (243 - image[300:900, 200:1400]) * fading
    return slide_file("made.tif", image=image.astype(np.uint8), mpp=0.499)


@pytest.fixture
def box(dock: DreSlclDock) -> TissueBox:
    return dock.slide_panel.tissue


def is_settled(dock: DreSlclDock) -> bool:
    state = dock.tissue.state
    return (
        not dock.tissue.is_busy
        and state is not None
        and state.grid is not None
        and state.n_unseen == 0
        and not dock.background.is_busy
    )


def find(qtbot: Any, dock: DreSlclDock, path: Path) -> None:
    dock.overlay.open_slide(path)
    dock.slide_panel.tissue.find_button.click()
    settle(qtbot, dock)


def settle(qtbot: Any, dock: DreSlclDock) -> None:
    qtbot.waitUntil(lambda: is_settled(dock), timeout=WAIT_MS)


def world(path: Path, y: float, x: float) -> tuple[float, float]:
    """World point of the middle of a level-0 pixel."""
    with open_slide(path) as slide:
        return y * slide.info.mpp, x * slide.info.mpp


def edges(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """World points of a layer's outer edges; napari's extent ends at the centres of pixels."""
    first, last = layer.extent.world
    return first - layer.scale / 2, last + layer.scale / 2


def test_mask_lies_on_the_tissue_and_is_named(qtbot, dock, made_slide) -> None:
    find(qtbot, dock, made_slide)
    mask = dock.overlay.layer("mask")
    top, left, _, right = BOX
    near = 2 * 8 / 0.499  # two mask pixels
    inside = [(top + near, left + near), (top + near, right - near), (500, 800)]
    outside = [(top - near, 800), (500, left - near), (500, right + near), (1190, 10)]
    assert {mask.get_value(world(made_slide, *at), world=True) for at in inside} == {1}
    assert {mask.get_value(world(made_slide, *at), world=True) for at in outside} == {0}
    slide = dock.overlay.layer("slide")
    (top_left, bottom_right), (slide_top_left, slide_bottom_right) = edges(mask), edges(slide)
    np.testing.assert_allclose(top_left, slide_top_left, atol=1e-6)
    # A part of a mask pixel at the end is rounded.
    np.testing.assert_allclose(bottom_right, slide_bottom_right, atol=8 / 2 + 1e-6)
    with open_slide(made_slide) as opened:
        np.testing.assert_array_equal(mask.data, find_tissue(opened).labels)


def test_tiles_and_counts_are_those_of_tiling(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    with open_slide(made_slide) as slide:
        grid = tile_slide(slide)
    raster = dock.overlay.layer("tissue").data
    np.testing.assert_array_equal(raster == 1, grid.status == TileStatus.KEPT)
    words = box.counts.text()
    assert words.startswith(f"{len(grid)} tiles; left out: ")
    assert f"{grid.reasons['background']} background" in words
    assert "256 px of 0.5 µm" in words


def test_threshold_moves_mask_and_tiles_and_auto_brings_them_back(
    qtbot, dock, box, made_slide
) -> None:
    find(qtbot, dock, made_slide)
    mask, before = dock.overlay.layer("mask"), dock.overlay.layer("mask").data.copy()
    automatic, counts = box.threshold.value(), box.counts.text()
    assert box.threshold.mark == automatic
    assert not box.auto_button.isEnabled()
    box.threshold.setValue(40)
    np.testing.assert_array_equal(mask.data, before)  # the window does not wait for the answer
    settle(qtbot, dock)
    assert 0 < np.count_nonzero(mask.data) < np.count_nonzero(before)
    assert box.counts.text() != counts
    assert box.threshold_text.text() == "40"
    box.auto_button.click()
    settle(qtbot, dock)
    np.testing.assert_array_equal(mask.data, before)
    assert (box.threshold.value(), box.counts.text()) == (automatic, counts)
    box.threshold.setValue(40)
    settle(qtbot, dock)
    QTest.mouseDClick(box.threshold, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    settle(qtbot, dock)
    assert dock.tissue.state.threshold is None
    np.testing.assert_array_equal(mask.data, before)


def test_only_the_last_of_many_moves_is_shown(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    for threshold in range(13, 60):
        box.threshold.setValue(threshold)
    settle(qtbot, dock)
    with open_slide(made_slide) as slide:
        wanted = find_tissue(slide, TilingConfig(tissue_threshold=59))
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, wanted.labels)


def test_least_tissue_decides_over_the_tiles_of_the_margin(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    kept = []
    for share in (5, 50, 100):
        box.share.setValue(share)
        settle(qtbot, dock)
        kept.append(len(dock.tissue.state.grid))
    assert kept[0] > kept[1] > kept[2]
    assert box.share_text.text() == "100 %"
    box.share_button.click()
    settle(qtbot, dock)
    assert len(dock.tissue.state.grid) == kept[1]
    assert dock.tissue.state.min_tissue is None


def test_no_tile_says_why_and_what_to_do(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    box.threshold.setValue(box.threshold.maximum())
    box.share.setValue(100)
    settle(qtbot, dock)
    assert len(dock.tissue.state.grid) == 0
    words = box.counts.text()
    assert words.startswith("No tile is left: of 35 tiles 24 background")
    assert "Lower the threshold" in words


def test_a_slide_that_is_no_brightfield_slide_is_told(qtbot, dock, box, slide_file) -> None:
    dark = slide_file("dark.tif", image=np.full((1024, 1024, 3), 30, np.uint8))
    dock.overlay.open_slide(dark)
    box.find_button.click()
    qtbot.waitUntil(lambda: "dark nearly everywhere" in box.message.text(), timeout=WAIT_MS)
    assert dock.tissue.state is None
    assert box.find_button.isEnabled()
    assert dock.overlay.layer("mask") is None


def test_box_asks_for_a_pixel_size_first(dock, box, slide_file) -> None:
    dock.overlay.open_slide(slide_file("plain.tif", mpp=None))
    assert not box.find_button.isEnabled()
    dock.overlay.set_mpp(0.5)
    assert box.find_button.isEnabled()


def test_another_pixel_size_makes_mask_and_tiles_anew(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    before = dock.overlay.layer("mask").data.shape
    dock.overlay.set_mpp(0.25)
    qtbot.waitUntil(lambda: dock.overlay.layer("mask").data.shape != before, timeout=WAIT_MS)
    settle(qtbot, dock)
    mask, tiles = dock.overlay.layer("mask"), dock.overlay.layer("tissue")
    np.testing.assert_allclose(mask.scale, 8, rtol=1e-6)
    np.testing.assert_allclose(tiles.scale, 512 * 0.25)
    assert mask.get_value((500 * 0.25, 800 * 0.25), world=True) == MaskClass.TISSUE
    with open_slide(made_slide, 0.25) as slide:
        assert len(dock.tissue.state.grid) == len(tile_slide(slide))
    mask.visible = tiles.visible = False
    dock.overlay.set_mpp(0.499)
    qtbot.waitUntil(lambda: dock.overlay.layer("mask").data.shape == before, timeout=WAIT_MS)
    settle(qtbot, dock)
    assert not mask.visible
    assert not tiles.visible


def test_each_slide_keeps_its_own_threshold(qtbot, dock, box, made_slide, slide_path) -> None:
    find(qtbot, dock, made_slide)
    box.threshold.setValue(33)
    settle(qtbot, dock)
    counts = box.counts.text()
    dock.overlay.open_slide(slide_path)
    assert dock.tissue.state is None
    assert box.counts.text() == ""
    assert not box.threshold.isVisibleTo(box)
    find(qtbot, dock, slide_path)
    assert dock.tissue.state.threshold is None
    dock.overlay.open_slide(made_slide)
    assert box.threshold.value() == 33
    assert box.counts.text() == counts


def test_finding_again_keeps_threshold_and_least_tissue(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    box.threshold.setValue(33)
    box.share.setValue(20)
    settle(qtbot, dock)
    counts, mask = box.counts.text(), dock.overlay.layer("mask").data.copy()
    box.find_button.click()
    settle(qtbot, dock)
    assert (box.threshold.value(), box.share.value()) == (33, 20)
    assert box.counts.text() == counts
    np.testing.assert_array_equal(dock.overlay.layer("mask").data, mask)


def test_a_closed_slide_is_forgotten(qtbot, viewer, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    viewer.layers.remove(dock.overlay.layer("slide"))
    assert dock.tissue.mask(str(made_slide)) is None
    assert not box.isVisibleTo(dock.slide_panel)


def test_layers_are_shown_and_hidden_from_the_box(qtbot, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    for kind, toggle in box.toggles.items():
        layer = dock.overlay.layer(kind)
        toggle.setChecked(False)
        assert not layer.visible
        layer.visible = True
        assert toggle.isChecked()


def test_the_slide_stays_the_active_layer(qtbot, viewer, dock, box, made_slide) -> None:
    find(qtbot, dock, made_slide)
    assert viewer.layers.selection.active == dock.overlay.layer("slide")
    box.threshold.setValue(30)
    settle(qtbot, dock)
    assert viewer.layers.selection.active == dock.overlay.layer("slide")


def test_tiles_are_those_of_the_model_that_is_chosen(
    qtbot, dock, box, made_slide, trained, tmp_path
) -> None:
    find(qtbot, dock, made_slide)
    automatic = box.counts.text()
    model = tmp_path / "coarse"
    shutil.copytree(trained.run_dir / "model", model)
    header = json.loads((model / "model.json").read_text())
    tiling = TilingConfig(tile_px=128, mpp=0.8, min_tissue=0.25, tissue_threshold=30)
    header["config"]["tiling"] = tiling.model_dump()
    (model / "model.json").write_text(json.dumps(header))
    dock.result_panel.model_field.setValue(model)
    settle(qtbot, dock)
    with open_slide(made_slide) as slide:
        wanted = tile_slide(slide, tiling)
    np.testing.assert_array_equal(dock.tissue.state.grid.status, wanted.status)
    assert "128 px of 0.8 µm" in box.counts.text()
    assert (box.threshold.value(), box.threshold.mark) == (30, 30)
    assert (box.share.value(), box.share.mark) == (25, 25)
    assert dock.tissue.choice(str(made_slide)) is None
    dock.result_panel.model_field.setValue(tmp_path / "no model")
    settle(qtbot, dock)
    assert box.counts.text() == automatic


def test_tissue_and_result_take_turns(qtbot, viewer, dock, box, made_slide, trained) -> None:
    find(qtbot, dock, made_slide)
    panel = dock.result_panel
    result = load_result(trained.result_path)
    dock.overlay.show_result(replace(result, slide_path=dock.overlay.slide.path))
    layers = {
        kind: dock.overlay.layer(kind) for kind in ("clusters", "attention", "mask", "tissue")
    }

    def shown() -> set[str]:
        return {kind for kind, layer in layers.items() if layer.visible}

    assert shown() == {"clusters", "attention"}
    panel.side_by_side.setChecked(True)
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 2)
    box.threshold.setValue(20)
    assert shown() == {"mask", "tissue"}
    assert not viewer.canvas.grid.enabled
    assert not panel.side_by_side.isChecked()
    slide = viewer.layers.index(dock.overlay.layer("slide"))
    assert slide < min(viewer.layers.index(layers[kind]) for kind in ("mask", "tissue"))
    settle(qtbot, dock)
    panel.side_by_side.setChecked(True)
    assert shown() == {"clusters", "attention"}
    panel.side_by_side.setChecked(False)
    box.toggles["mask"].setChecked(True)
    assert shown() == {"clusters", "attention", "mask"}
    assert slide < viewer.layers.index(layers["mask"])
