"""The Train tab: choose a cohort and settings, start or resume, watch, pause, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_dre_slcl.config import load_preset, preset_names, setting_names, with_overrides
from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.curves import LossCurve
from napari_dre_slcl.gui.forms import SettingsForm
from napari_dre_slcl.gui.job_progress import JobProgress
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.path_field import PathField
from napari_dre_slcl.gui.run_buttons import RunButtons
from napari_dre_slcl.gui.texts import epoch_text, metric_rows, seconds_rows
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Cancelled,
    Failed,
    Log,
    Metric,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)

__all__ = ["BASIC_SETTINGS", "TrainPanel", "free_run_dir"]

BASIC_SETTINGS = (
    "training.epochs",
    "training.fresh_tiles",
    "training.seed",
    "training.device",
)
_LOG_LINES = 500
_LOG_HEIGHT_PX = 110


class TrainPanel(QWidget):
    """Makes a `TrainJob` and shows how it goes."""

    start_requested = Signal(object)
    """A `TrainJob` or `ResumeJob`."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_paused = False
        self._build_inputs()
        self._build_outputs(colors)
        self._lay_out()
        self._connect()
        self._set_running(False)

    def _build_inputs(self) -> None:
        self.cohort_field = PathField(
            "file", "Cohort table", "Tables (*.csv *.tsv *.txt *.xlsx *.parquet);;All (*)"
        )
        self.cohort_field.setToolTip(
            "CSV with the columns slide, slide_id and patient_id, and at will site, report, mpp, "
            "split and any label columns."
        )
        self.run_field = PathField("new folder", "Run folder")
        self.run_field.setToolTip("A new folder for the model, its metrics and the record.")
        self.preset_field = QComboBox()
        self.preset_field.addItems(preset_names())
        self.preset_field.setToolTip("Settings to start from; cpu-small runs without a GPU.")
        config = load_preset(self.preset_field.currentText())
        advanced = [name for name in setting_names() if name not in BASIC_SETTINGS]
        self.basic_form = SettingsForm(BASIC_SETTINGS, config)
        self.advanced_form = SettingsForm(advanced, config)
        self.buttons = RunButtons()

    def _build_outputs(self, colors: ThemeColors) -> None:
        self.message = MessageLine()
        self.progress = JobProgress(self.message)
        self.progress.setRange(0, 1)
        self.progress.setValue(0)
        self.curve = LossCurve(colors)
        self.metrics = BarList(colors)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setFixedHeight(_LOG_HEIGHT_PX)
        self.log.setPlaceholderText("What the engine says appears here.")

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        self.basic_form.insert_row(0, "Cohort table", self.cohort_field)
        self.basic_form.insert_row(1, "Run folder", self.run_field)
        self.basic_form.insert_row(2, "Preset", self.preset_field)
        advanced = QCollapsible("Advanced settings", expandedIcon="▼", collapsedIcon="▶")
        advanced.addWidget(self.advanced_form)
        layout.addWidget(self.basic_form)
        layout.addWidget(advanced)
        layout.addWidget(self.buttons)
        for widget in (self.message, self.progress, self.curve, self.metrics, self.log):
            layout.addWidget(widget)
        layout.addStretch()

    def _connect(self) -> None:
        self.cohort_field.valueChanged.connect(self._suggest_run_dir)
        self.preset_field.currentTextChanged.connect(self._use_preset)
        self.buttons.start_requested.connect(self.start)
        self.buttons.resume_requested.connect(self._resume)
        self.buttons.pause_requested.connect(
            lambda: self.message.tell("Pausing after the step at hand…")
        )
        self.buttons.cancel_requested.connect(self._on_cancel)

    def value(self) -> TrainJob:
        """Return the job that the fields describe.

        Raises
        ------
        JobError, ConfigError
            If a field is empty or a setting does not fit.
        """
        cohort, run_dir = self.cohort_field.value(), self.run_field.value()
        if cohort is None:
            raise JobError("No cohort table is chosen. Pick a CSV file that lists the slides.")
        if run_dir is None:
            raise JobError("No run folder is chosen. Name a new folder for the model.")
        preset = self.preset_field.currentText()
        overrides = self.basic_form.value() | self.advanced_form.value()
        with_overrides(load_preset(preset), overrides)
        return TrainJob(
            cohort=cohort.absolute(),
            run_dir=run_dir.absolute(),
            preset=preset,
            overrides=overrides,
        )

    def setValue(self, job: TrainJob) -> None:
        """Fill the fields from a job."""
        self.preset_field.setCurrentText(job.preset)
        config = with_overrides(load_preset(job.preset), job.overrides)
        base = load_preset(job.preset)
        for form in (self.basic_form, self.advanced_form):
            form.setValue(config)
            form.rebase(base)
        self.cohort_field.setValue(job.cohort)
        self.run_field.setValue(job.run_dir)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.curve.set_colors(colors)
        self.metrics.set_colors(colors)

    def start(self) -> None:
        """Ask for the job to be started, or say what is missing."""
        try:
            job = self.value()
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.start_requested.emit(job)

    def on_started(self) -> None:
        """Get ready to show a new job."""
        self.curve.clear()
        self.log.clear()
        self.metrics.setValue(())
        self.progress.wait()
        self._set_running(True)

    def on_event(self, event: Any) -> None:
        """Show a Progress, Metric or Log."""
        if isinstance(event, Progress):
            self.progress.follow(event)
            if self._is_paused != (event.stage == PAUSED_STAGE):
                self._is_paused = not self._is_paused
                self.buttons.set_paused(self._is_paused)
        elif isinstance(event, Metric):
            self.curve.add(event.step, event.values)
            self.log.appendPlainText(f"epoch {event.step}: {epoch_text(event.values)}")
            self._show_bars("Where the time goes", seconds_rows(event.values))
        elif isinstance(event, Log):
            sign = "⚠ " if event.level == "warning" else ""
            self.log.appendPlainText(f"{sign}{event.message}")

    def on_ended(self, job: TrainJob | ResumeJob, end: Result | Failed | Cancelled) -> None:
        """Show how a job has ended."""
        self._set_running(False)
        self.progress.setRange(0, 1)
        self.progress.setValue(int(isinstance(end, Result)))
        if isinstance(end, Result):
            self.message.tell(f"Done. The model is in {end.paths['model']}.")
            rows = [(name, value, f"{value:.3f}") for name, value in metric_rows(end.metrics)]
            self._show_bars("On held-out patients", rows)
        elif isinstance(end, Failed):
            self.message.complain(end.message)
        elif job.run_dir.exists():
            self.message.tell(f"Cancelled. 'Resume a run…' goes on with {job.run_dir}.")
        else:
            self.message.tell(end.message)
        if job.run_dir.exists():  # the next run needs another folder
            self.buttons.suggest_run(job.run_dir)
            self.run_field.setValue(free_run_dir(job.run_dir.parent))

    def _show_bars(self, title: str, rows: Sequence[tuple[str, float, str]]) -> None:
        bars = [Bar(name, value, text) for name, value, text in rows]
        self.metrics.setValue([Bar(title, is_heading=True), *bars] if bars else ())

    def _resume(self, run_dir: Path) -> None:
        self.run_field.setValue(run_dir)
        self.start_requested.emit(ResumeJob(run_dir=run_dir.absolute()))

    def _on_cancel(self) -> None:
        self.message.tell("Cancelling…")
        self.buttons.cancel_button.setEnabled(False)
        self.buttons.pause_button.setEnabled(False)

    def _set_running(self, is_running: bool) -> None:
        self._is_paused = False
        self.buttons.set_running(is_running)
        self.progress.setVisible(is_running)

    def _use_preset(self, name: str) -> None:
        config = load_preset(name)
        self.basic_form.setValue(config)
        self.advanced_form.setValue(config)

    def _suggest_run_dir(self, cohort: Path | None) -> None:
        if cohort is not None and cohort.is_file():
            self.run_field.setValue(free_run_dir(cohort.parent / "runs"))


def free_run_dir(folder: Path) -> Path:
    """Return the first of ``folder/run-1``, ``run-2``, … that does not exist."""
    number = 1
    while (folder / f"run-{number}").exists():
        number += 1
    return folder / f"run-{number}"
