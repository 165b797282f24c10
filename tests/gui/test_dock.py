"""The dock: what its tabs show, how it starts and how it ends."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest
from npe2 import PluginManager
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox, QScrollArea

from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.texts import prediction_rows
from napari_dre_slcl.results import TaskPrediction, load_result
from napari_dre_slcl.slide.mpp_table import remember_mpp

WAIT_MS = 120_000
NARROW_PX = 380


def test_torch_stays_out_of_the_napari_process() -> None:
    code = """
import sys
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
app = QApplication([])
from napari_dre_slcl.gui import reader, sample_data, show
from napari_dre_slcl.gui.dock import DreSlclDock
dock = DreSlclDock(ViewerModel())
dock.close_down()
loaded = {name.split('.')[0] for name in sys.modules} & {'torch', 'timm', 'torchvision'}
sys.exit(', '.join(loaded) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_manifest_offers_the_dock_in_the_plugin_menu(viewer) -> None:
    manifest = PluginManager.instance().get_manifest("napari-dre-slcl")
    assert [widget.display_name for widget in manifest.contributions.widgets] == ["DRE-SLCL"]
    _, widget = viewer.window.add_plugin_dock_widget("napari-dre-slcl", "DRE-SLCL")
    assert isinstance(widget, DreSlclDock)
    assert [widget.tabs.tabText(i) for i in range(4)] == ["Slide", "Cohort", "Train", "Explore"]
    widget.close_down()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_tab_fits_a_narrow_dock(qtbot, viewer, dock, slide_path, trained, theme) -> None:
    viewer.theme = theme
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(load_result(trained.result_path))
    for index in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(index)
        area = dock.tabs.widget(index)
        assert isinstance(area, QScrollArea)
        assert area.widget().minimumSizeHint().width() <= NARROW_PX


def test_slide_tab_shows_facts_and_finds_tissue(qtbot, dock, slide_path) -> None:
    panel = dock.slide_panel
    assert "No slide is open" in panel.message.text()
    panel.open_path(slide_path)
    facts = panel.facts()
    assert facts["File"] == slide_path.name
    assert facts["Size"] == "1,024 x 1,024 px, wide x high"
    assert facts["Pixel size"].startswith("0.5 µm")
    assert facts["Format"] == "generic-tiff, read by tiff-jpeg: its tiles are plain JPEG"
    panel.tissue.find_button.click()
    qtbot.waitUntil(lambda: "left out" in panel.tissue.counts.text(), timeout=WAIT_MS)
    tissue = dock.overlay.layer("tissue")
    assert panel.tissue.counts.text().startswith(f"{(np.asarray(tissue.data) == 1).sum()} tiles")


def test_slide_that_cannot_be_opened_is_told_in_the_tab(dock, tmp_path) -> None:
    dock.slide_panel.open_path(tmp_path / "gone.svs")
    assert "gone.svs" in dock.slide_panel.message.text()


def test_train_tab_makes_the_job_that_its_fields_say(dock, cohort) -> None:
    panel = dock.train_panel
    with pytest.raises(JobError, match="cohort"):
        panel.value()
    panel.preset_field.setCurrentText("cpu-small")
    panel.cohort_field.setValue(cohort)
    panel.basic_form.editor("training.epochs").setValue(7)
    job = panel.value()
    assert job.cohort == cohort
    assert job.run_dir.parent == cohort.parent / "runs"
    assert not job.run_dir.exists()
    assert (job.preset, job.overrides) == ("cpu-small", {"training.epochs": 7})
    panel.advanced_form.editor("training.lr_rest").setText("fast")
    with pytest.raises(ConfigError, match="lr_rest"):
        panel.value()
    panel.buttons.start_button.click()
    assert "lr_rest" in panel.message.text()
    assert not dock.session.trainer.is_running


def test_job_fills_the_fields_and_comes_back_the_same(dock, train_job) -> None:
    job = train_job()
    dock.train_panel.setValue(job)
    got = dock.train_panel.value()
    assert got.cohort == job.cohort
    assert got.run_dir == job.run_dir
    assert {name: str(value) for name, value in got.overrides.items()} == {
        name: str(value) for name, value in job.overrides.items() if name in got.overrides
    }
    assert got.overrides["encoder.name"] == "test_vit"


def test_predict_says_what_is_missing(dock, slide_file, trained) -> None:
    panel = dock.result_panel
    panel.predict_button.click()
    assert "No model" in panel.message.text()
    panel.model_field.setValue(trained.run_dir)
    panel.predict_button.click()
    assert "No slide" in panel.message.text()
    dock.slide_panel.open_path(slide_file("plain.tif", mpp=None))
    panel.predict_button.click()
    assert "no pixel size" in panel.message.text()
    dock.overlay.set_mpp(0.5)
    job = panel.value()
    assert (job.mpp, job.out) == (0.5, trained.run_dir / "results")


def test_prediction_uses_the_pixel_size_that_is_shown(dock, slide_file, trained) -> None:
    path = slide_file("shown.tif", mpp=0.5)
    dock.slide_panel.open_path(path)
    dock.result_panel.model_field.setValue(trained.run_dir)
    remember_mpp(path, 0.25)  # by someone else, meanwhile
    job = dock.result_panel.value()
    assert (job.mpp, job.mpp_source) == (0.5, "TIFF resolution")


def test_result_tab_shows_what_the_result_says(dock, slide_path, trained) -> None:
    result = load_result(trained.result_path)
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(result)
    shown = {bar.name: bar.value for bar in dock.result_panel.predictions.value()}
    cancer = next(one for one in result.predictions if one.task == "cancer")
    assert shown["cancer"] == pytest.approx(cancer.probability("cancer"))
    legend = dock.result_panel.legend.value()
    assert [bar.name for bar in legend] == [f"Codeword {i + 1}" for i in range(4)]
    clusters = dock.overlay.layer("clusters")
    for number, bar in enumerate(legend, start=1):
        painted = np.array(bar.color.getRgbF())
        np.testing.assert_allclose(painted, clusters.get_color(number), atol=0.01)
        assert bar.text == f"{(clusters.data == number).sum() / len(result.codeword):.0%}"
    assert "model" in dock.result_panel.provenance.text()


@pytest.mark.parametrize(
    ("prediction", "rows"),
    [
        (TaskPrediction("cancer", ("normal", "cancer"), (0.1, 0.9), "cancer"), [("cancer", 0.9)]),
        (TaskPrediction("TP53", ("0", "1"), (0.4, 0.6), "1"), [("TP53", 0.6)]),
        (TaskPrediction("TP53", ("wild type", "1"), (0.4, 0.6), "1"), [("TP53", 0.6)]),
        (
            TaskPrediction("subtype", ("LUAD", "LUSC"), (0.2, 0.8), "LUSC"),
            [("LUAD", 0.2), ("LUSC", 0.8)],
        ),
        (
            TaskPrediction("grade", ("1", "2", "3"), (0.2, 0.3, 0.5)),
            [("1", 0.2), ("2", 0.3), ("3", 0.5)],
        ),
    ],
)
def test_yes_or_no_task_has_one_bar_and_others_one_per_class(prediction, rows) -> None:
    assert [(row.name, row.value) for row in prediction_rows(prediction)] == rows


def test_curve_keeps_losses_and_leaves_other_numbers_out(dock) -> None:
    curve = dock.train_panel.curve
    curve.add(1, {"loss": 2.0, "loss/cancer": 1.0, "val/auc/cancer": 0.7})
    curve.add(2, {"loss": 1.5, "loss/cancer": 0.8})
    assert curve.value() == {"loss": ([1, 2], [2.0, 1.5]), "loss/cancer": ([1, 2], [1.0, 0.8])}


def test_dock_taken_out_of_the_window_dies_with_all_it_had(qtbot, viewer, train_job) -> None:
    dock = DreSlclDock(viewer)
    docked = viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    dock.start_job(train_job(epochs=2000))
    process = psutil.Process(dock.session.trainer.process_id)
    dock.session.trainer.should_keep_job = False
    gone = weakref.ref(dock)
    viewer.window.remove_dock_widget(docked)
    assert not process.is_running()
    assert not [t for t in threading.enumerate() if t.name.startswith("dre-slcl")]
    del dock, docked
    QApplication.processEvents()
    qtbot.wait(50)
    gc.collect()
    assert gone() is None


def test_closed_viewer_ends_engine_and_threads(qtbot, make_napari_viewer, train_job) -> None:
    viewer = make_napari_viewer()
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    dock.background.run("any", Path.cwd, on_done=lambda path: None, on_error=lambda text: None)
    dock.start_job(train_job(epochs=2000))
    process = psutil.Process(dock.session.trainer.process_id)
    dock.session.trainer.should_keep_job = False
    viewer.close()
    QApplication.processEvents()
    qtbot.wait(50)
    assert not process.is_running()
    assert not [t for t in threading.enumerate() if t.name.startswith("dre-slcl")]


@pytest.mark.parametrize(("button", "should_keep"), [("Yes", True), ("No", False)])
def test_closing_during_a_training_asks_what_to_do_with_it(
    qtbot, viewer, train_job, button: str, should_keep: bool
) -> None:
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    job = train_job(epochs=6 if should_keep else 2000)
    dock.start_job(job)
    process = psutil.Process(dock.session.trainer.process_id)
    qtbot.waitUntil((job.run_dir / "events.jsonl").exists, timeout=WAIT_MS)
    asked = []

    def answer() -> None:
        box = QApplication.activeModalWidget()
        asked.append(box.text())
        box.button(getattr(QMessageBox.StandardButton, button)).click()

    QTimer.singleShot(200, answer)
    viewer.window.remove_dock_widget(dock)
    assert str(job.run_dir) in asked[0]
    assert process.is_running() is should_keep
    process.wait(60)
    status = json.loads((job.run_dir / "status.json").read_text())
    assert status["state"] == ("finished" if should_keep else "cancelled")
