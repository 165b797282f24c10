"""The list of runs, and a run that is taken up again by the next window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.jobs.known_runs import known_runs, remember_run
from napari_dre_slcl.jobs.messages import Metric, Progress, event_line

WAIT_MS = 90_000


@pytest.fixture(autouse=True)
def _own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs of other tests off the list."""
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))


def make_run(folder: Path, state: str, **facts: Any) -> Path:
    folder.mkdir()
    status = {"state": state, "message": "", "is_resumable": state != "finished"} | facts
    (folder / "status.json").write_text(json.dumps(status))
    events = (
        Progress(stage="Training", done=5, total=10),
        Metric(step=1, values={"loss": 0.5}),
    )
    (folder / "events.jsonl").write_text("".join(event_line(event) + "\n" for event in events))
    remember_run(folder)
    return folder


def states_of(dock: DreSlclDock) -> dict[str, str]:
    tree = dock.train_panel.runs.tree
    items = [tree.topLevelItem(place) for place in range(tree.topLevelItemCount())]
    return {item.text(0): item.text(1) for item in items}


def look_at(dock: DreSlclDock) -> None:
    """Do what showing the tab does; the windows of tests are never shown."""
    dock.tabs.setCurrentIndex(2)
    dock.session.runs.keep_listing(True)


def test_runs_are_listed_with_their_state_and_what_can_be_done(qtbot, dock, tmp_path) -> None:
    make_run(tmp_path / "lost", "running", pid=2**22 + 1)
    make_run(tmp_path / "broken", "failed", message="The disk is full.")
    done = make_run(tmp_path / "done", "finished")
    (done / "model").mkdir()
    (done / "model" / "model.json").write_text("{}")
    remember_run(tmp_path / "gone")
    look_at(dock)
    runs = dock.train_panel.runs
    qtbot.waitUntil(lambda: len(states_of(dock)) == 4, timeout=WAIT_MS)
    assert states_of(dock) == {
        "gone": "folder is gone",
        "done": "done",
        "broken": "ended with an error",
        "lost": "ended unexpectedly",
    }
    runs.choose(tmp_path / "broken")
    assert "The disk is full." in runs.details.text()
    assert runs.resume_button.isEnabled()
    assert not runs.model_button.isEnabled()
    runs.choose(done)
    assert not runs.resume_button.isEnabled()
    runs.model_button.click()
    assert dock.result_panel.model_field.value() == done / "model"
    assert dock.tabs.currentIndex() == 3


def test_removing_a_run_from_the_list_leaves_its_files(qtbot, dock, tmp_path) -> None:
    run_dir = make_run(tmp_path / "done", "finished")
    look_at(dock)
    runs = dock.train_panel.runs
    qtbot.waitUntil(lambda: runs.tree.topLevelItemCount() == 1, timeout=WAIT_MS)
    runs.choose(run_dir)
    runs.forget_button.click()
    assert runs.tree.topLevelItemCount() == 0
    assert known_runs() == []
    assert (run_dir / "events.jsonl").exists()
    assert str(run_dir) in runs.message.text()


def test_a_run_that_has_ended_can_be_looked_at(qtbot, dock, tmp_path) -> None:
    run_dir = make_run(tmp_path / "broken", "failed", message="The disk is full.")
    panel = dock.train_panel
    panel.show_run(run_dir)
    qtbot.waitUntil(lambda: "The disk is full." in panel.message.text(), timeout=WAIT_MS)
    assert panel.curve.value() == {"loss": ([1], [0.5])}
    assert panel.buttons.start_button.isEnabled()
    assert not panel.buttons.cancel_button.isEnabled()


def test_the_next_window_takes_up_a_run_that_was_left_going(qtbot, viewer, train_job, qapp) -> None:
    job = train_job(epochs=1000)
    before = JobRunner()  # of a window that is closed while it trains
    before.start(job)
    process = psutil.Process(before.process_id)
    try:
        qtbot.waitUntil((job.run_dir / "losses.csv").exists, timeout=WAIT_MS)
        before.should_keep_job = True
        before.close()
        assert process.is_running()

        dock = DreSlclDock(viewer)
        viewer.window.add_dock_widget(dock, name="DRE-SLCL")
        look_at(dock)
        panel = dock.train_panel
        qtbot.waitUntil(lambda: "loss" in panel.curve.value(), timeout=WAIT_MS)
        assert states_of(dock)[job.run_dir.name].startswith("running")
        assert panel.buttons.start_button.isEnabled()  # another can be trained beside it
        panel.buttons.pause_button.click()
        qtbot.waitUntil(lambda: panel.buttons.pause_button.text() == "Continue", timeout=WAIT_MS)
        epochs = len(panel.curve.value()["loss"][0])
        panel.buttons.pause_button.click()
        qtbot.waitUntil(lambda: len(panel.curve.value()["loss"][0]) > epochs, timeout=WAIT_MS)
        panel.buttons.cancel_button.click()
        qtbot.waitUntil(lambda: panel.message.text().startswith("Cancelled"), timeout=WAIT_MS)
        assert not panel.buttons.cancel_button.isEnabled()
        process.wait(60)
        dock.close_down()
    finally:
        if process.is_running():
            process.kill()


def test_a_run_whose_process_dies_is_told_and_can_be_resumed(qtbot, viewer, train_job) -> None:
    job = train_job(epochs=1000)
    other = JobRunner()
    other.start(job)
    process = psutil.Process(other.process_id)
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL")
    look_at(dock)
    try:
        qtbot.waitUntil((job.run_dir / "losses.csv").exists, timeout=WAIT_MS)
        panel = dock.train_panel
        panel.show_run(job.run_dir)
        qtbot.waitUntil(lambda: "loss" in panel.curve.value(), timeout=WAIT_MS)
        process.kill()
        qtbot.waitUntil(lambda: "ended unexpectedly" in panel.message.text(), timeout=WAIT_MS)
        panel.runs.choose(job.run_dir)
        qtbot.waitUntil(panel.runs.resume_button.isEnabled, timeout=WAIT_MS)
        assert states_of(dock)[job.run_dir.name] == "ended unexpectedly"
    finally:
        other.close()
        dock.close_down()
