"""The main job in the real window: open, train, watch, cancel, train again, predict, close."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.config import load_preset
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.jobs.messages import TrainJob
from napari_dre_slcl.layers import METADATA_KEY
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import tile_slide

WAIT_MS = 180_000
FOREVER = 5000


def train_and_cancel(qtbot: Any, dock: DreSlclDock, job: TrainJob) -> None:
    panel = dock.train_panel
    panel.setValue(job)
    panel.buttons.start_button.click()
    assert not panel.buttons.start_button.isEnabled()
    qtbot.waitUntil(lambda: len(panel.curve.value().get("loss", ([], []))[0]) >= 2, timeout=WAIT_MS)
    # A refill of the bank between epochs has words and a bar of its own.
    qtbot.waitUntil(
        lambda: (
            panel.message.text().startswith("Training: epoch")
            and 0 < panel.progress.value() < panel.progress.maximum()
        ),
        timeout=WAIT_MS,
    )
    assert "Tasks" in panel.log.toPlainText()
    with qtbot.waitSignal(dock.session.trainer.ended, timeout=WAIT_MS):
        panel.buttons.cancel_button.click()
    assert panel.message.text().startswith("Cancelled. 'Resume a run…' goes on")
    assert json.loads((job.run_dir / "status.json").read_text())["state"] == "cancelled"


def train_to_the_end(qtbot: Any, dock: DreSlclDock, job: TrainJob) -> None:
    panel = dock.train_panel
    panel.setValue(job)
    with qtbot.waitSignal(dock.session.trainer.ended, timeout=WAIT_MS):
        panel.buttons.start_button.click()
    assert panel.message.text().startswith("Done.")
    assert "cancer AUC" in {bar.name for bar in panel.metrics.value()}
    assert panel.run_field.value() != job.run_dir
    assert dock.result_panel.model_field.value() == job.run_dir / "model"


def predict_and_check(qtbot: Any, viewer: Any, dock: DreSlclDock, slide_path: Path) -> None:
    with qtbot.waitSignal(dock.overlay.result_shown, timeout=WAIT_MS):
        dock.result_panel.predict_button.click()
    results = dock.result_panel.model_field.value().parent / "results"
    [path] = results.glob(f"{slide_path.stem}.*")
    result = load_result(path)
    kinds = [layer.metadata[METADATA_KEY]["kind"] for layer in viewer.layers]
    assert kinds == ["slide", "clusters", "attention", "selection"]
    with open_slide(slide_path) as slide:
        grid = tile_slide(slide, load_preset("cpu-small").tiling)
    np.testing.assert_array_equal(result.rowcol, grid.rowcol)
    clusters, attention = (viewer.layers[kinds.index(kind)] for kind in kinds[1:3])
    rows, cols = grid.rowcol.T
    np.testing.assert_array_equal(clusters.data[rows, cols], result.codeword + 1)
    assert np.count_nonzero(clusters.data) == len(grid)
    np.testing.assert_allclose(np.nanmean(attention.data), 1, rtol=1e-3)
    bars = {bar.name: bar.value for bar in dock.result_panel.predictions.value()}
    assert {"cancer", "LUAD", "LUSC", "TP53"} <= set(bars)
    np.testing.assert_allclose(bars["LUAD"] + bars["LUSC"], 1, rtol=1e-5)


def test_from_a_slide_file_to_a_prediction_on_the_screen(
    qtbot, make_napari_viewer_proxy, slide_path, train_job
) -> None:
    viewer = make_napari_viewer_proxy()
    viewer.open(str(slide_path), plugin="napari-dre-slcl")
    _, dock = viewer.window.add_plugin_dock_widget("napari-dre-slcl", "DRE-SLCL")
    assert dock.slide_panel.facts()["File"] == slide_path.name

    train_and_cancel(qtbot, dock, train_job("long", epochs=FOREVER))
    process = psutil.Process(dock.session.trainer.process_id)
    train_to_the_end(qtbot, dock, train_job("short"))
    predict_and_check(qtbot, viewer, dock, slide_path)
    assert dock.session.trainer.process_id == process.pid

    gone, n_layers = weakref.ref(dock), len(viewer.layers)
    viewer.window.remove_dock_widget(dock)
    del dock, _
    QApplication.processEvents()
    qtbot.wait(50)
    gc.collect()
    assert gone() is None
    assert not process.is_running()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dre-slcl")]
    assert len(viewer.layers) == n_layers
