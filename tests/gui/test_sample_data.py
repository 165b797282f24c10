"""Samples and menus, through napari's own registries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.layers import Layer
from npe2 import PluginManager

from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.export.ome_zarr import write_ome_zarr
from napari_dre_slcl.gui import sample_data
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.open_dock import open_dock
from napari_dre_slcl.gui.reader import get_reader
from napari_dre_slcl.gui.wait_for import wait_for
from napari_dre_slcl.insight.codeword_names import read_names, write_names
from napari_dre_slcl.layers import result_layers
from napari_dre_slcl.results import load_result

PLUGIN = "napari-dre-slcl"


@pytest.fixture
def with_plugin(make_napari_viewer: Callable[..., Any], monkeypatch: Any, tmp_path: Path) -> Any:
    """Return a viewer that knows this plugin from its manifest; samples go to a new folder."""
    manager = PluginManager.instance()
    manager.discover(include_npe1=False)
    monkeypatch.setattr(sample_data, "_folder", lambda: tmp_path / "sample")
    viewer = make_napari_viewer()
    yield viewer
    for widget in list(viewer.window.dock_widgets.values()):
        if isinstance(widget, DreSlclDock):
            widget.close_down()


def run(command: str) -> None:
    get_app_model().commands.execute_command(f"{PLUGIN}.{command}").result()


def kinds(viewer: Any) -> list[str]:
    found = [layer.metadata["dre_slcl"]["kind"] for layer in viewer.layers]
    return [kind for kind in found if kind != "selection"]


def test_sample_with_model_shows_a_full_result(
    with_plugin: Any, qtbot: Any, network_attempts: list[object]
) -> None:
    with_plugin.open_sample(PLUGIN, "slide_with_model")
    assert kinds(with_plugin) == ["slide"]
    dock = open_dock(with_plugin)
    qtbot.waitUntil(lambda: dock.session.result is not None, timeout=20_000)
    assert kinds(with_plugin) == ["slide", "clusters", "attention"]
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Explore"
    result = dock.session.result
    assert result.evidence_of
    assert result.predictions[0].low
    assert dock.session.model is not None
    assert len(read_names(dock.session.model)) == result.n_codewords
    assert result.provenance["model"] == str(dock.session.model)
    assert not network_attempts


def test_names_given_to_the_sample_stay_until_the_model_is_another(tmp_path: Path) -> None:
    slide = tmp_path / "sample" / "slide.tif"
    slide.parent.mkdir()
    model = Path(sample_data.sample_result(slide).provenance["model"])
    write_names(model, {0: "glands"})
    assert read_names(Path(sample_data.sample_result(slide).provenance["model"]))[0] == "glands"
    (model / "model.json").write_text("{}")
    assert read_names(Path(sample_data.sample_result(slide).provenance["model"]))[0] != "glands"


def test_sample_fits_its_model_and_is_small() -> None:
    import hashlib

    files = [path for path in (sample_data.SAMPLE_MODEL / "model").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2**20
    result = load_result(sample_data.SAMPLE_MODEL / "sample.dreslcl.npz")
    weights = (sample_data.SAMPLE_MODEL / "model" / "model.safetensors").read_bytes()
    assert result.provenance["model_sha256"] == hashlib.sha256(weights).hexdigest()
    assert result.features is not None


def test_sample_result_is_what_the_shipped_model_says(tmp_path: Path) -> None:
    from napari_dre_slcl.engine.predict import predict
    from napari_dre_slcl.slide import open_slide

    path = sample_data.sample_slide_path(tmp_path)
    shipped = sample_data.sample_result(path)
    with open_slide(path) as slide:
        found = predict(shipped.provenance["model"], slide, "cpu")
    for one, other in zip(shipped.predictions, found.predictions, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.02)
    assert (shipped.rowcol == found.rowcol).all()


def test_exported_maps_open_where_the_window_draws_them(with_plugin: Any, tmp_path: Path) -> None:
    result = replace(load_result(sample_data.SAMPLE_MODEL / "sample.dreslcl.npz"), mpp=0.5)
    path = write_ome_zarr(result, look_of(result), tmp_path / "maps.ome.zarr")
    found = with_plugin.open(str(path), plugin=PLUGIN)
    drawn = [with_plugin.add_layer(Layer.create(*data)) for data in result_layers(result)]
    for one, other in zip(found, drawn, strict=False):  # codewords, attention
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_allclose(one.extent.world, other.extent.world)
        assert one.units == other.units
    assert [layer.visible for layer in found] == [True, True] + [False] * (len(found) - 2)
    (path / "zarr.json").write_text("{}")
    assert get_reader(str(path)) is None


def test_menu_shows_clusters_or_attention(with_plugin: Any, qtbot: Any) -> None:
    with_plugin.open_sample(PLUGIN, "slide_with_model")
    dock = open_dock(with_plugin)
    qtbot.waitUntil(lambda: dock.session.result is not None, timeout=20_000)

    def seen() -> list[bool]:
        return [dock.overlay.layer(kind).visible for kind in ("clusters", "attention")]

    run("show_clusters")
    assert seen() == [True, False]
    run("show_attention")
    qtbot.waitUntil(lambda: seen() == [False, True], timeout=5_000)
    assert dock.overlay.layer("attention").metadata["dre_slcl"].get("map") in (None, "attention")


def test_menu_without_a_result_says_what_to_do(with_plugin: Any) -> None:
    for command in ("predict_slide", "show_clusters", "show_attention"):
        run(command)
        (dock,) = {
            id(one): one
            for one in with_plugin.window.dock_widgets.values()
            if isinstance(one, DreSlclDock)
        }.values()
        said = dock.result_panel.message.text()
        assert "model" in said
        assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Explore"
        dock.tabs.setCurrentIndex(0)


def test_every_menu_entry_is_in_its_menu(with_plugin: Any) -> None:
    menus = get_app_model().menus
    found = {
        name: {item.command.id for item in menus.get_menu(name) if hasattr(item, "command")}
        for name in ("napari/layers/classify", "napari/layers/visualize")
    }
    assert f"{PLUGIN}.predict_slide" in found["napari/layers/classify"]
    shown = {f"{PLUGIN}.show_clusters", f"{PLUGIN}.show_attention"}
    assert shown <= found["napari/layers/visualize"]


def test_preferences_are_on_naparis_page(with_plugin: Any, tmp_path: Path) -> None:
    from napari.settings import get_plugin_settings

    from napari_dre_slcl.gui.preferences import preferred_device, results_folder
    from napari_dre_slcl.gui.result_panel import results_dir

    settings = get_plugin_settings(PLUGIN)
    assert preferred_device() == "auto"
    assert results_folder() is None
    settings.work.device = "cpu"
    settings.work.results_folder = str(tmp_path)
    try:
        assert preferred_device() == "cpu"
        assert results_dir(Path("runs/a/model")) == tmp_path / "a"
    finally:
        settings.work.device = "auto"
        settings.work.results_folder = ""


def test_waiting_keeps_the_event_loop_alive(qtbot: Any) -> None:
    import threading

    from qtpy.QtCore import QTimer

    answered = threading.Event()
    QTimer.singleShot(0, answered.set)  # only a living event loop gets there
    assert wait_for(answered.wait, 10)
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 / 0)
