"""Hold a training, go on with it, cancel it, and resume it from its folder, in the real window."""

from __future__ import annotations

import json
from typing import Any

import pytest
from qtpy.QtWidgets import QFileDialog

WAIT_MS = 180_000
EPOCHS = 80


def state_of(job: Any) -> str:
    return str(json.loads((job.run_dir / "status.json").read_text())["state"])


def test_a_training_is_held_cancelled_and_resumed_from_its_folder(
    qtbot, dock, train_job, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, job = dock.train_panel, train_job("again", epochs=EPOCHS)
    panel.setValue(job)
    panel.buttons.start_button.click()
    qtbot.waitUntil(lambda: "loss" in panel.curve.value(), timeout=WAIT_MS)
    panel.buttons.pause_button.click()
    assert not panel.buttons.pause_button.isEnabled()
    qtbot.waitUntil(lambda: panel.buttons.pause_button.text() == "Continue", timeout=WAIT_MS)
    assert state_of(job) == "paused"
    assert panel.message.text().startswith("Paused")
    epochs = len(panel.curve.value()["loss"][0])
    qtbot.wait(700)
    assert len(panel.curve.value()["loss"][0]) == epochs < EPOCHS
    panel.buttons.pause_button.click()
    qtbot.waitUntil(lambda: panel.buttons.pause_button.text() == "Pause", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: len(panel.curve.value()["loss"][0]) > epochs, timeout=WAIT_MS)
    assert state_of(job) == "running"
    with qtbot.waitSignal(dock.session.trainer.ended, timeout=WAIT_MS):
        panel.buttons.cancel_button.click()
    assert not panel.buttons.pause_button.isEnabled()
    assert state_of(job) == "cancelled"
    assert "resume" in panel.message.text().lower()

    (tmp_path / "other").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "other"))
    with qtbot.waitSignal(dock.session.trainer.ended, timeout=WAIT_MS):
        panel.buttons.resume_button.click()
    assert "is no run folder" in panel.message.text()
    assert list((tmp_path / "other").iterdir()) == []

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(job.run_dir))
    with qtbot.waitSignal(dock.session.trainer.ended, timeout=WAIT_MS):
        panel.buttons.resume_button.click()
    assert panel.message.text().startswith("Done.")
    assert state_of(job) == "finished"
    assert dock.result_panel.model_field.value() == job.run_dir / "model"
    assert "Where the time goes" not in {bar.name for bar in panel.metrics.value()}
