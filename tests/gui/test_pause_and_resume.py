"""Hold a training, go on with it, cancel it, and resume it from its folder, in the real window."""

from __future__ import annotations

import json
from typing import Any

import pytest
from qtpy.QtWidgets import QFileDialog

WAIT_MS = 180_000
FOREVER = 5000


def state_of(job: Any) -> str:
    return str(json.loads((job.run_dir / "status.json").read_text())["state"])


def start(qtbot, panel, job) -> None:
    panel.setValue(job)
    panel.buttons.start_button.click()
    qtbot.waitUntil(lambda: "loss" in panel.curve.value(), timeout=WAIT_MS)


def test_a_paused_training_holds_still_and_goes_on(qtbot, dock, train_job) -> None:
    panel, job = dock.train_panel, train_job("held", epochs=FOREVER)
    start(qtbot, panel, job)
    panel.buttons.pause_button.click()
    assert not panel.buttons.pause_button.isEnabled()
    qtbot.waitUntil(lambda: panel.buttons.pause_button.text() == "Continue", timeout=WAIT_MS)
    assert state_of(job) == "paused"
    assert panel.message.text().startswith("Paused")
    epochs = len(panel.curve.value()["loss"][0])
    qtbot.wait(700)
    assert len(panel.curve.value()["loss"][0]) == epochs
    panel.buttons.pause_button.click()
    qtbot.waitUntil(lambda: panel.buttons.pause_button.text() == "Pause", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: len(panel.curve.value()["loss"][0]) > epochs, timeout=WAIT_MS)
    assert state_of(job) == "running"
    with qtbot.waitSignal(dock.runner.ended, timeout=WAIT_MS):
        panel.buttons.cancel_button.click()
    assert not panel.buttons.pause_button.isEnabled()


def test_a_cancelled_training_is_resumed_from_its_folder(
    qtbot, dock, train_job, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, job = dock.train_panel, train_job("again", epochs=40)
    start(qtbot, panel, job)
    with qtbot.waitSignal(dock.runner.ended, timeout=WAIT_MS):
        panel.buttons.cancel_button.click()
    assert state_of(job) == "cancelled"
    assert "resume" in panel.message.text().lower()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(job.run_dir))
    with qtbot.waitSignal(dock.runner.ended, timeout=WAIT_MS):
        panel.buttons.resume_button.click()
    assert panel.message.text().startswith("Done.")
    assert state_of(job) == "finished"
    assert dock.result_panel.model_field.value() == job.run_dir / "model"
    assert "Where the time goes" not in {bar.name for bar in panel.metrics.value()}


def test_a_folder_that_is_no_run_is_refused_with_a_sentence(
    qtbot, dock, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with qtbot.waitSignal(dock.runner.ended, timeout=WAIT_MS):
        dock.train_panel.buttons.resume_button.click()
    assert str(tmp_path) in dock.train_panel.message.text()
    assert list(tmp_path.iterdir()) == []
