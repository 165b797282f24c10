"""The Train tab's form and view: methods, pinned slide, estimate, curves, time to go."""

from __future__ import annotations

import pytest
from qtpy.QtGui import QColor

from napari_dre_slcl.config import METHOD_LINES, METHODS, main_settings, method_settings
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.gui.curves import TrainingCurves
from napari_dre_slcl.gui.run_view import RunView
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.time_to_go import TimeToGo
from napari_dre_slcl.jobs.messages import PAUSED_STAGE, EstimateJob, Log, Metric, Progress

WAIT_MS = 30_000
GREY = QColor("grey")
COLORS = ThemeColors(GREY, GREY, GREY, GREY, (GREY, QColor("red")))
EPOCH = {
    "loss": 1.0,
    "loss/cancer": 0.5,
    "val/auc/cancer": 0.8,
    "val/recall@10": 0.4,
    "chance/recall@10": 0.1,
    "drift": 0.9,
    "seconds/encoder": 3.0,
    "gpu/peak_mib": 2048.0,
    "gpu/total_mib": 8192.0,
}


@pytest.fixture
def panel(dock):
    """Return the Train tab in sight."""
    dock.tabs.setCurrentIndex(2)
    return dock.train_panel


@pytest.mark.parametrize("method", METHODS)
def test_only_settings_of_the_chosen_method_are_shown(panel, method) -> None:
    panel.form.folded.expand(animate=False)
    panel.method_field.setCurrentText(method)
    assert panel.form.method_line.text() == METHOD_LINES[method]
    for form, wanted in (
        (panel.basic_form, set(main_settings(method))),
        (panel.advanced_form, set(method_settings(method)) - set(main_settings(method))),
    ):
        shown = {name for name in form.names() if not form.editor(name).isHidden()}
        assert shown == wanted


def test_the_method_is_part_of_the_job_and_hidden_settings_are_not(panel, cohort) -> None:
    panel.cohort_field.setValue(cohort)
    panel.basic_form.editor("training.epochs").setValue(99)
    panel.method_field.setCurrentText("attention-mil")
    panel.basic_form.editor("mil.epochs").setValue(3)
    job = panel.value()
    assert job.overrides == {"mil.epochs": 3, "method": "attention-mil"}
    panel.method_field.setCurrentText("dre-slcl")
    assert panel.value().overrides == {"training.epochs": 99}
    panel.setValue(job)
    assert panel.method_field.currentText() == "attention-mil"
    assert panel.value() == job


def test_a_pinned_slide_is_chosen_from_those_of_the_table(qtbot, panel, cohort) -> None:
    panel.cohort_field.setValue(cohort)
    qtbot.waitUntil(lambda: panel.pinned_field.count() == 9, timeout=WAIT_MS)
    assert panel.value().pinned is None
    name = panel.pinned_field.itemText(3)
    panel.pinned_field.setCurrentText(name)
    assert panel.value().pinned == name
    panel.pinned_field.setCurrentText("no such slide")
    with pytest.raises(JobError, match="no such slide"):
        panel.value()
    panel.buttons.start_button.click()
    assert "no such slide" in panel.message.text()


def test_the_estimate_asks_for_what_the_fields_say(qtbot, dock, panel, train_job) -> None:
    job = train_job()
    panel.setValue(job)
    panel.start_requested.disconnect(dock.start_job)  # nothing is to start
    with qtbot.waitSignal(panel.start_requested, timeout=WAIT_MS) as asked:
        panel.buttons.estimate_button.click()
    (estimate,) = asked.args
    assert isinstance(estimate, EstimateJob)
    assert (estimate.cohort, estimate.run_dir) == (job.cohort, job.run_dir)


def test_each_plot_takes_its_own_numbers_and_shows_when_it_has_some(qtbot) -> None:
    curves = TrainingCurves(COLORS)
    qtbot.addWidget(curves)
    curves.show()
    assert not any(plot.isVisible() for plot in curves.plots)
    curves.add(1, {"loss": 2.0, "drift": 0.5})
    qtbot.waitUntil(curves.drift.isVisible, timeout=WAIT_MS)
    assert not curves.auc.isVisible()
    curves.add(2, EPOCH)
    qtbot.waitUntil(curves.auc.isVisible, timeout=WAIT_MS)
    assert curves.loss.value() == {"loss": ([1, 2], [2.0, 1.0]), "loss/cancer": ([2], [0.5])}
    assert curves.auc.value() == {"val/auc/cancer": ([2], [0.8])}
    assert set(curves.recall.value()) == {"val/recall@10", "chance/recall@10"}
    curves.clear()
    assert not any(plot.isVisible() for plot in curves.plots)


def test_epochs_that_a_resumed_run_trains_again_replace_the_old_ones(qtbot) -> None:
    curves = TrainingCurves(COLORS)
    qtbot.addWidget(curves)
    for step in (1, 2, 3, 2):
        curves.add(step, {"loss": float(step)})
    assert curves.loss.value()["loss"] == ([1, 2], [1.0, 2.0])


def test_ten_thousand_epochs_are_all_drawn(qtbot) -> None:
    view = RunView(COLORS)
    qtbot.addWidget(view)
    view.resize(380, 900)
    view.show()
    history = [Metric(step=step, values=EPOCH) for step in range(1, 10_001)]
    view.on_history(history)
    loss = view.curves.loss
    qtbot.waitUntil(lambda: "1" in loss.findChild(type(view.gpu)).text(), timeout=WAIT_MS)
    assert len(loss.value()["loss"][0]) == 10_000
    assert view.gpu.text() == "GPU memory: 2.0 GiB of 8.0 GiB"


def test_a_view_shows_warnings_time_and_the_end(qtbot) -> None:
    view = RunView(COLORS)
    qtbot.addWidget(view)
    view.show()
    view.begin()
    view.on_event(Log(level="warning", message="Few slides."))
    view.on_event(Progress(stage="Training", done=1, total=4, message="epoch 1/2"))
    assert view.message.text() == "Training: epoch 1/2"
    assert "⚠ Few slides." in view.log.toPlainText()
    view.on_event(Metric(step=1, values=EPOCH))
    assert "chance" not in view.log.toPlainText()
    assert [bar.name for bar in view.metrics.value()][1:] == ["encoder"]
    view.show_end("Cancelled.")
    assert not view.progress.isVisible()


def test_time_to_go_counts_what_is_done_between_epochs_and_forgets_at_a_pause() -> None:
    now = [0.0]
    guess = TimeToGo(lambda: now[0])
    assert guess.text() == ""
    for epoch in range(3):
        guess.note(Progress(stage="Training", done=10 * epoch, total=100))
        now[0] += 6
        guess.note(Progress(stage="Validating", done=1, total=1))
        now[0] += 4
    guess.note(Progress(stage="Training", done=30, total=100))
    assert guess.seconds() == pytest.approx(70)
    guess.note(Progress(stage=PAUSED_STAGE, done=30, total=100))
    now[0] += 1000
    guess.note(Progress(stage="Training", done=30, total=100))
    assert guess.seconds() is None
    now[0] += 20
    guess.note(Progress(stage="Training", done=50, total=100))
    assert guess.text() == "about 50 s to go"
