"""The link between viewer and panels: layers in the right place, once, whatever the user does."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vispy.scene import ViewBox

from napari_dre_slcl.layers import METADATA_KEY
from napari_dre_slcl.results import load_result


def kinds(viewer: Any) -> list[str]:
    """Return the kinds of all layers but the outlines of selected tiles, the lowest first."""
    found = [layer.metadata[METADATA_KEY]["kind"] for layer in viewer.layers]
    return [kind for kind in found if kind != "selection"]


@pytest.fixture
def result(trained):
    return load_result(trained.result_path)


def test_result_lies_on_the_tiles_of_the_open_slide(viewer, dock, slide_path, result) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    assert kinds(viewer) == ["slide", "clusters", "attention"]
    slide, clusters, attention, _ = viewer.layers
    pitch = result.tile_size_px * result.mpp
    for overlay in (clusters, attention):
        corner = overlay.extent.world[0] - pitch / 2
        np.testing.assert_allclose(corner, slide.extent.world[0] - result.mpp / 2, atol=1e-6)
        end = overlay.extent.world[1] + pitch / 2
        np.testing.assert_allclose(end - corner, np.array(result.grid_shape) * pitch)
        assert overlay.units == slide.units
    centres = (result.tile_yx + (result.tile_size_px - 1) / 2) * result.mpp
    shown = [clusters.get_value(centre, world=True) for centre in centres]
    np.testing.assert_array_equal(shown, result.codeword + 1)
    shown = [attention.get_value(centre, world=True) for centre in centres]
    np.testing.assert_allclose(shown, result.attention * len(result.attention))


@pytest.mark.parametrize("mpp", [0.25, 1.3])
def test_dropped_result_lies_on_the_tiles_of_the_open_slide(
    viewer, dock, slide_path, trained, result, mpp
) -> None:
    dock.overlay.open_slide(slide_path, mpp)
    viewer.open(str(trained.result_path), plugin="napari-dre-slcl")
    centres = (result.tile_yx + (result.tile_size_px - 1) / 2) * mpp
    shown = [dock.overlay.layer("clusters").get_value(at, world=True) for at in centres]
    np.testing.assert_array_equal(shown, result.codeword + 1)
    assert dock.overlay.layer("attention").units == dock.overlay.layer("slide").units


def test_second_result_updates_the_layers(viewer, dock, slide_path, result) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    viewer.layers[1].name = "renamed by the user"
    viewer.layers.move(0, 3)
    turned = replace(result, codeword=(result.codeword + 1) % result.n_codewords)
    dock.overlay.show_result(turned)
    assert sorted(kinds(viewer)) == ["attention", "clusters", "slide"]
    clusters = dock.overlay.layer("clusters")
    assert clusters.name == "renamed by the user"
    np.testing.assert_array_equal(clusters.data, turned.raster(turned.codeword + 1))


def test_layers_removed_by_hand_come_back_with_the_next_result(
    viewer, dock, slide_path, result
) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    viewer.layers.remove(dock.overlay.layer("clusters"))
    dock.overlay.set_visible("clusters", True)
    dock.overlay.show_result(result)
    assert sorted(kinds(viewer)) == ["attention", "clusters", "slide"]
    viewer.layers.clear()
    assert dock.overlay.slide is None
    dock.overlay.show_result(result)
    assert kinds(viewer) == ["clusters", "attention"]


def test_slide_that_is_meant_follows_the_active_layer(viewer, dock, cohort, slide_path) -> None:
    other = sorted((cohort.parent / "slides").glob("*.tif"))[1]
    for path in (slide_path, other):
        dock.overlay.open_slide(path)
    assert dock.overlay.slide.path == str(other)
    viewer.layers.selection.active = viewer.layers[0]
    assert dock.overlay.slide.path == str(slide_path)
    assert dock.slide_panel.facts()["File"] == slide_path.name
    viewer.add_points(np.zeros((1, 2)))
    assert dock.overlay.slide.path == str(slide_path)
    viewer.layers.remove(viewer.layers[0])
    assert dock.overlay.slide.path == str(other)


def test_result_finds_a_slide_that_was_moved_but_no_other(viewer, dock, slide_path, result) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(replace(result, slide_path=f"/elsewhere/{slide_path.name}"))
    assert dock.overlay.result(str(slide_path)) is not None
    assert dock.overlay.layer("clusters", str(slide_path)) is not None
    height, width = result.slide_shape
    other = replace(result, slide_path=f"/there/{slide_path.name}", slide_shape=(height, width + 1))
    dock.overlay.show_result(other)
    assert dock.overlay.layer("clusters", other.slide_path) is not None
    assert dock.overlay.result(str(slide_path)).slide_shape == (height, width)


def test_same_slide_is_opened_once(viewer, dock, slide_path) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.open_slide(slide_path)
    assert len(viewer.layers) == 1


def test_slide_without_pixel_size_moves_to_micrometres_with_its_overlays(
    viewer, dock, slide_file, result
) -> None:
    path = slide_file("plain.tif", mpp=None)
    dock.overlay.open_slide(path)
    assert "unknown" in dock.slide_panel.facts()["Pixel size"]
    unknown = replace(result, slide_path=str(path), mpp=None)
    dock.overlay.show_result(unknown)
    assert {str(layer.units[0]) for layer in viewer.layers} == {"pixel"}
    dock.slide_panel.pixel_size.field.setValue(0.25)
    dock.slide_panel.pixel_size.use_button.click()
    assert {str(layer.units[0]) for layer in viewer.layers} == {"micrometer"}
    slide, clusters, *_ = viewer.layers
    np.testing.assert_allclose(slide.scale, 0.25)
    np.testing.assert_allclose(clusters.scale, 0.25 * result.tile_size_px)
    np.testing.assert_allclose(clusters.translate, 0.25 * (result.tile_size_px - 1) / 2)
    assert dock.slide_panel.facts()["Pixel size"] == "0.25 µm (user)"


def test_result_with_pixel_size_gives_it_to_a_slide_without(
    viewer, dock, slide_file, result
) -> None:
    path = slide_file("plain.tif", mpp=None)
    dock.overlay.open_slide(path)
    dock.overlay.show_result(replace(result, slide_path=str(path), mpp=0.4))
    np.testing.assert_allclose(
        [layer.units == viewer.layers[0].units for layer in viewer.layers], 1
    )
    np.testing.assert_allclose(viewer.layers[0].scale, 0.4)
    np.testing.assert_allclose(viewer.layers[1].scale, 0.4 * result.tile_size_px)


def test_side_by_side_draws_the_slide_under_both_and_goes_back(
    viewer, dock, slide_path, result
) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    dock.result_panel.side_by_side.setChecked(True)
    assert kinds(viewer) == ["slide", "clusters", "slide copy", "attention"]
    assert viewer.canvas.grid.enabled
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 2)
    dock.overlay.set_mpp(0.3)
    scales = [layer.scale[0] for layer in viewer.layers]
    pitch = 0.3 * result.tile_size_px
    np.testing.assert_allclose(scales, [0.3, pitch, 0.3, pitch, pitch])
    dock.result_panel.side_by_side.setChecked(False)
    assert kinds(viewer) == ["slide", "clusters", "attention"]
    assert not viewer.canvas.grid.enabled


def test_side_by_side_makes_the_view_boxes_of_its_grid_once(
    viewer, dock, slide_path, result
) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    seen = []
    for _ in range(3):
        dock.result_panel.side_by_side.setChecked(True)
        assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 2)
        dock.result_panel.side_by_side.setChecked(False)
        viewer.add_points([[0, 0]])  # which would take a place in the grid
        viewer.layers.selection.active = viewer.layers[0]
        gc.collect()
        seen.append(sum(isinstance(one, ViewBox) for one in gc.get_objects()))
    assert len(set(seen)) == 1


def test_side_by_side_hides_what_else_is_open_until_it_is_over(
    viewer, dock, cohort, slide_path, result
) -> None:
    other = sorted((cohort.parent / "slides").glob("*.tif"))[1]
    dock.overlay.open_slide(other)
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    beside, hidden = viewer.layers[0], viewer.add_points([[0, 0]], visible=False)
    viewer.layers.selection.active = dock.overlay.layer("slide", str(slide_path))
    dock.result_panel.side_by_side.setChecked(True)
    assert not beside.visible
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 2)
    dock.result_panel.side_by_side.setChecked(False)
    assert beside.visible
    assert not hidden.visible


def test_side_by_side_keeps_its_pairs_whatever_else_is_in_the_list(
    viewer, dock, slide_path, result
) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    dock.session.select_tiles([0])
    viewer.layers.move(len(viewer.layers) - 1, 0)  # the outlines, below all others
    dock.result_panel.side_by_side.setChecked(True)
    assert kinds(viewer)[:4] == ["slide", "clusters", "slide copy", "attention"]
    assert [layer.visible for layer in viewer.layers] == [True] * 4 + [False]
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 2)
    dock.result_panel.side_by_side.setChecked(False)
    assert dock.explore_panel.tile_selection.layer.visible


def test_ticks_and_layer_list_agree(dock, slide_path, result) -> None:
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    ticks = dock.result_panel.toggles
    ticks["clusters"].setChecked(False)
    assert not dock.overlay.layer("clusters").visible
    dock.overlay.layer("clusters").visible = True
    assert ticks["clusters"].isChecked()


def test_broken_result_file_is_told(qtbot, dock, tmp_path) -> None:
    path = tmp_path / "broken.dreslcl.npz"
    path.write_bytes(b"no result")
    with qtbot.waitSignal(dock.overlay.failed) as told:
        dock.overlay.load_result(path)
    assert "broken.dreslcl.npz" in told.args[0]
    assert "broken.dreslcl.npz" in dock.result_panel.message.text()


def test_result_without_places_of_tiles_is_told_without_a_map(
    viewer, dock, slide_path, result
) -> None:
    """As it is of a feature file that does not say where its tiles lie."""
    nothing = np.empty(0, np.float32)
    reason = "The feature file does not say where its tiles lie."
    bare = replace(
        result,
        grid_shape=(0, 0),
        tile_size_px=0,
        rowcol=np.empty((0, 2), np.int64),
        codeword=np.empty(0, np.int64),
        attention=nothing,
        residual_norm=nothing,
        provenance=result.provenance | {"tiles": reason},
    )
    panel = dock.result_panel
    dock.overlay.show_result(replace(bare, slide_path="/features/s0.h5"))
    assert kinds(viewer) == []
    assert panel.message.text() == f"{reason} There is no map."
    assert panel.predictions.value()
    assert panel.legend.value() == ()
    assert not any(toggle.isEnabled() for toggle in panel.toggles.values())
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    panel.side_by_side.setChecked(True)
    dock.overlay.show_result(bare)
    assert kinds(viewer) == ["slide"]


def test_result_without_codewords_has_no_clusters(viewer, dock, slide_path, result) -> None:
    """As it is of attention MIL and of every other method but DRE-SLCL."""
    bare = replace(
        result,
        codeword=np.zeros_like(result.codeword),
        n_codewords=0,
        codeword_attention=np.empty(0, np.float32),
    )
    panel = dock.result_panel
    dock.overlay.show_result(replace(bare, slide_path="/slides/other.svs"))
    assert kinds(viewer) == ["attention"]
    viewer.layers.clear()
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    panel.side_by_side.setChecked(True)
    dock.overlay.show_result(bare)
    assert kinds(viewer) == ["slide", "attention"]
    assert panel.legend.value() == ()
    assert panel.legend_title.isHidden()
    assert not panel.toggles["clusters"].isEnabled()
    assert panel.toggles["attention"].isEnabled()
    assert not panel.side_by_side.isEnabled()
    dock.overlay.show_result(result)
    assert kinds(viewer) == ["slide", "clusters", "attention"] or kinds(viewer) == [
        "slide",
        "attention",
        "clusters",
    ]
