"""Maps: one layer, whatever it shows, with numbers that fit; values of other panels too."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_dre_slcl.layers import METADATA_KEY


class Attention(SimpleNamespace):
    """Of an index, what the percentile looks at."""

    def __len__(self) -> int:
        return len(self.sorted_attention)


@pytest.fixture
def maps(dock, slide_file, tile_result):
    """The box, for a slide of 1024x1536 px with a result of 12 tiles."""
    path = slide_file("a.tif")
    dock.overlay.open_slide(path)
    dock.overlay.show_result(tile_result(path))
    return dock.explore_panel.maps


def choose(qtbot, box, key: str):
    box.choice.setCurrentIndex(box.choice.findData(key))
    box.choice.activated.emit(box.choice.currentIndex())
    qtbot.waitUntil(lambda: box.value() == key)


def test_another_map_is_drawn_in_the_same_layer(qtbot, viewer, dock, maps) -> None:
    layer = dock.overlay.layer("attention")
    n_layers = len(viewer.layers)
    assert maps.value() == "attention"
    choose(qtbot, maps, "evidence:cancer:cancer")
    assert dock.overlay.layer("attention") is layer
    assert len(viewer.layers) == n_layers
    result = dock.session.result
    np.testing.assert_allclose(
        layer.data[tuple(result.rowcol.T)], 100 * result.evidence[:, 0], rtol=1e-6
    )
    assert layer.contrast_limits[0] == -layer.contrast_limits[1]
    assert "evidence for cancer (% of the odds)" in layer.name
    assert layer.metadata[METADATA_KEY]["map"] == "evidence:cancer:cancer"
    assert "odds" in maps.explanation.text()
    assert maps.look.color_bar.numbers()[1] == "0"
    assert not dock.overlay.layer("clusters").visible
    viewer.layers.remove(layer)
    choose(qtbot, maps, "distance")
    assert "distance" in dock.overlay.layer("attention").name


def test_a_name_and_an_opacity_that_the_user_gave_stay(qtbot, dock, maps) -> None:
    layer = dock.overlay.layer("attention")
    layer.name, layer.opacity = "mine", 0.3
    choose(qtbot, maps, "distance")
    assert (layer.name, layer.opacity) == ("mine", 0.3)


def test_a_new_result_of_the_slide_keeps_the_map_that_is_chosen(
    qtbot, dock, maps, tile_result
) -> None:
    choose(qtbot, maps, "distance")
    path = dock.overlay.slide.path
    far = np.full(12, 7, np.float32)
    dock.overlay.show_result(tile_result(path, residual_norm=far))
    assert maps.value() == "distance"
    assert np.nanmax(dock.overlay.layer("attention").data) == 7
    dock.overlay.show_result(tile_result(path, n_codewords=0, codeword=np.zeros(12, np.int64)))
    assert maps.value() == "attention"


def test_sliders_and_the_layer_agree(qtbot, dock, maps) -> None:
    layer, look = dock.overlay.layer("attention"), maps.look
    layer.contrast_limits = (0.2, 1.1)
    np.testing.assert_allclose(look.limits.value(), (0.2, 1.1), atol=0.02)
    look.opacity.setValue(0.5)
    assert layer.opacity == 0.5
    look.limits.setValue((0.1, 1.0))
    np.testing.assert_allclose(layer.contrast_limits, (0.1, 1.0), atol=0.02)
    look.reset_button.click()
    assert tuple(layer.contrast_limits) == dock.overlay.tile_map.limits
    choose(qtbot, maps, "evidence:cancer:cancer")
    look.limits.setValue((-0.3, layer.contrast_limits[1]))
    np.testing.assert_allclose(layer.contrast_limits, (-0.3, 0.3), atol=0.02)


def test_values_of_another_panel_are_drawn_and_offered(qtbot, dock, maps) -> None:
    values = np.linspace(-0.2, 0.6, 12)
    maps.show_values("similarity", "Like 'necrosis'", values, "Similarity, no finding.")
    qtbot.waitUntil(lambda: maps.value() == "similarity")
    np.testing.assert_allclose(
        dock.overlay.layer("attention").data[tuple(dock.session.result.rowcol.T)], values, rtol=1e-6
    )
    choose(qtbot, maps, "attention")
    choose(qtbot, maps, "similarity")
    assert maps.explanation.text() == "Similarity, no finding."


def test_values_that_are_too_many_or_none_change_nothing(qtbot, dock, maps) -> None:
    before = dock.overlay.layer("attention").data.copy()
    maps.show_values("similarity", "Other", np.ones(5), "Of another slide.")
    assert "another slide" in maps.message.text()
    np.testing.assert_array_equal(dock.overlay.layer("attention").data, before)


def test_rank_in_the_cohort_is_offered_with_an_index(qtbot, dock, maps) -> None:
    assert maps.choice.findData("attention-cohort") < 0
    index = Attention(sorted_attention=np.linspace(0, 2, 101, dtype=np.float32))
    dock.session.index_changed.disconnect()
    dock.session.index_changed.connect(lambda _: maps.refresh())
    dock.session.set_index(index)
    choose(qtbot, maps, "attention-cohort")
    result = dock.session.result
    shown = dock.overlay.layer("attention").data[tuple(result.rowcol.T)]
    np.testing.assert_allclose(shown, 50 * result.attention * 12, atol=1.1)


def test_without_a_result_the_box_says_what_to_do(dock) -> None:
    maps = dock.explore_panel.maps
    assert not maps.choice.isEnabled()
    assert "Predict" in maps.explanation.text()
    assert maps.look.isHidden()
