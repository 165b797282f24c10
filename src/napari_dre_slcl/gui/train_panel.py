"""The Train tab: choose a cohort and settings, start or resume, watch, pause, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dre_slcl.engine.estimate_text import estimate_text
from napari_dre_slcl.engine_extra import missing_engine, missing_sentence
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.run_buttons import RunButtons
from napari_dre_slcl.gui.run_list import RunList
from napari_dre_slcl.gui.run_view import RunView
from napari_dre_slcl.gui.section import Section
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.train_form import TrainForm, free_run_dir
from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Cancelled,
    EstimateJob,
    Failed,
    Job,
    Progress,
    Result,
    ResumeJob,
    Snapshot,
    TrainJob,
)
from napari_dre_slcl.jobs.run_status import Wish, ask_run
from napari_dre_slcl.jobs.run_summary import RunSummary

__all__ = ["TrainPanel", "free_run_dir"]


class TrainPanel(QWidget):
    """Makes jobs for the trainer and shows how one run goes: this window's, or any other.

    A run of this window is shown by what its engine says. Any other is followed by its folder, and
    paused and cancelled through it, so that a window can die and the next one take over.
    """

    start_requested = Signal(object)
    """A `TrainJob`, `ResumeJob` or `EstimateJob`."""
    model_ready = Signal(object)
    """Folder (Path) of the model of a run that was followed to its end."""
    model_chosen = Signal(object)
    """Folder (Path) of a model that the user wants to look at now."""

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._is_paused = False
        self._is_first_list = True
        self._build(colors)
        self._lay_out()
        self._connect()
        self._set_running(False)
        session.runs.refresh()
        if (absent := missing_engine()) is not None:
            self.message.tell(missing_sentence(absent))

    def _build(self, colors: ThemeColors) -> None:
        self.form = TrainForm(self._session.background)
        self.cohort_field, self.run_field = self.form.cohort_field, self.form.run_field
        self.preset_field, self.method_field = self.form.preset_field, self.form.method_field
        self.basic_form, self.advanced_form = self.form.basic_form, self.form.advanced_form
        self.pinned_field = self.form.pinned_field
        self.buttons = RunButtons()
        self.view = RunView(colors)
        self.message, self.progress = self.view.message, self.view.progress
        self.curves, self.curve = self.view.curves, self.view.curves.loss
        self.metrics, self.log = self.view.metrics, self.view.log
        self.runs = RunList(self._session.runs)

    def _lay_out(self) -> None:
        runs = Section("Runs")
        runs.addWidget(self.runs)
        runs.expand(animate=False)
        layout = QVBoxLayout(self)
        for widget in (self.form, self.buttons, self.view, runs):
            layout.addWidget(widget)
        layout.addStretch()

    def _connect(self) -> None:
        buttons, watch, trainer = self.buttons, self._session.runs, self._session.trainer
        buttons.start_requested.connect(self.start)
        buttons.estimate_requested.connect(self._estimate)
        buttons.resume_requested.connect(self._resume)
        buttons.pause_requested.connect(partial(self._ask, "pause"))
        buttons.continue_requested.connect(partial(self._ask, "continue"))
        buttons.cancel_requested.connect(partial(self._ask, "cancel"))
        self.runs.show_requested.connect(self.show_run)
        self.runs.resume_requested.connect(self._resume)
        self.runs.model_chosen.connect(self.model_chosen)
        trainer.started.connect(self._on_started)
        trainer.progressed.connect(self._on_own_event)
        trainer.ended.connect(self._on_own_end)
        watch.listed.connect(self._on_listed)
        watch.history.connect(self._on_history)
        watch.progressed.connect(self._on_followed_event)
        watch.ended.connect(self._on_followed_end)

    def value(self) -> TrainJob:
        """Return the job that the fields describe; raises `JobError` or `ConfigError`."""
        return self.form.value()

    def setValue(self, job: TrainJob) -> None:
        """Fill the fields from a job."""
        self.form.setValue(job)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.view.set_colors(colors)

    def start(self) -> None:
        """Ask for the job to be started, or say what is missing."""
        self._request(self.form.value)

    def show_run(self, run_dir: Path) -> None:
        """Show how a run goes, or went, whichever process works on it."""
        self.view.begin(f"Reading the run '{run_dir.name}'…")
        self._set_running(False)
        self.runs.choose(run_dir)
        self._session.runs.follow(run_dir)

    def _estimate(self) -> None:
        self._request(self.form.estimate)

    def _request(self, make_job: Any) -> None:
        try:
            job = make_job()
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.start_requested.emit(job)

    def _resume(self, run_dir: Path) -> None:
        self.run_field.setValue(run_dir)
        self.start_requested.emit(ResumeJob(run_dir=run_dir.absolute()))

    # -- the run of this window's engine ---------------------------------------------------------

    def _on_started(self, job: Job) -> None:
        self._session.runs.stop()
        self.view.begin()
        self._set_running(True)
        if isinstance(job, EstimateJob):
            self.buttons.pause_button.setEnabled(False)
        elif isinstance(job, (TrainJob, ResumeJob)):
            self.runs.choose(job.run_dir)

    def _on_own_event(self, event: Any) -> None:
        if self._session.runs.run_dir is None:
            self._show_event(event)

    def _on_own_end(self, job: Job, end: Result | Failed | Cancelled) -> None:
        self._session.runs.refresh()
        if self._session.runs.run_dir is not None:  # another run is shown
            self._set_running(self.buttons.cancel_button.isEnabled())
            return
        self._set_running(False)
        self.view.show_end(_end_text(job, end), None if isinstance(job, EstimateJob) else end)
        if isinstance(end, Failed) and isinstance(job, EstimateJob):
            self.message.complain(end.message)
        if isinstance(job, (TrainJob, ResumeJob)) and job.run_dir.exists():
            self.buttons.suggest_run(job.run_dir)  # the next run needs another folder
            self.run_field.setValue(free_run_dir(job.run_dir.parent))

    # -- a run that is followed by its folder ----------------------------------------------------

    def _on_listed(self, runs: list[RunSummary]) -> None:
        """Take up a run that goes on without a window, once, when this one opens."""
        is_first, self._is_first_list = self._is_first_list, False
        is_free = not self._session.trainer.is_running and self._session.runs.run_dir is None
        under_way = [run for run in runs if run.status.is_active]
        if is_first and is_free and under_way:
            self.show_run(under_way[0].run_dir)

    def _on_history(self, run_dir: Path, events: list[Any]) -> None:
        self._set_running(True)
        self.view.on_history(events)
        self._show_pinned([event for event in events if isinstance(event, Snapshot)][-1:])
        if events and isinstance(events[-1], Progress):
            self._follow_pause(events[-1])

    def _on_followed_event(self, run_dir: Path, event: Any) -> None:
        self._show_event(event)
        if isinstance(event, Snapshot):
            self._show_pinned([event])

    def _show_pinned(self, snapshots: Sequence[Snapshot]) -> None:
        """Draw the newest result of the pinned slide, where that slide is open."""
        for event in snapshots:
            if event.path.is_file():
                self._session.overlay.load_result(event.path, is_quiet=True)

    def _on_followed_end(self, run: RunSummary, has_just_ended: bool) -> None:
        self._set_running(False)
        self.view.show_end(_status_text(run))
        if run.test:
            self.view.show_held_out(run.test)
        if has_just_ended and run.model is not None and run.state == "finished":
            self.model_ready.emit(run.model)
        self._session.runs.refresh()

    # -- either ----------------------------------------------------------------------------------

    def _show_event(self, event: Any) -> None:
        self.view.on_event(event)
        if isinstance(event, Progress):
            self._follow_pause(event)

    def _follow_pause(self, event: Progress) -> None:
        if self._is_paused != (event.stage == PAUSED_STAGE):
            self._is_paused = not self._is_paused
            self.buttons.set_paused(self._is_paused)

    def _ask(self, wish: Wish) -> None:
        if wish == "pause":
            self.message.tell("Pausing after the step at hand…")
        elif wish == "cancel":
            self.message.tell("Cancelling…")
            self.buttons.forbid_requests()
        followed, trainer = self._session.runs.run_dir, self._session.trainer
        if followed is None:
            {"pause": trainer.pause, "continue": trainer.go_on, "cancel": trainer.cancel}[wish]()
            return
        try:
            ask_run(followed, wish)
        except DreSlclError as error:
            self.message.complain(str(error))
            self._set_running(True)

    def _set_running(self, is_running: bool) -> None:
        self._is_paused = False
        can_start = not self._session.trainer.is_running
        self.buttons.set_running(is_running, can_start=can_start)
        self.runs.set_can_start(can_start)
        self.progress.setVisible(is_running)


def _end_text(job: Job, end: Result | Failed | Cancelled) -> str:
    if isinstance(end, Result) and isinstance(job, EstimateJob):
        return estimate_text(end.metrics)
    if isinstance(end, Result):
        return f"Done. The model is in {end.paths['model']}."
    if (
        isinstance(end, Cancelled)
        and isinstance(job, (TrainJob, ResumeJob))
        and job.run_dir.exists()
    ):
        return f"Cancelled. 'Resume a run…' goes on with {job.run_dir}."
    return end.message


def _status_text(run: RunSummary) -> str:
    texts = {
        "finished": f"Done. The model is in {run.run_dir / 'model'}.",
        "cancelled": f"Cancelled. 'Resume' in the list of runs goes on with {run.run_dir}.",
        "failed": f"Ended with an error: {run.status.message}",
        "lost": "The run ended unexpectedly: its process is gone. 'Resume' in the list of runs "
        "goes on from its last checkpoint.",
    }
    return texts.get(run.state, f"'{run.run_dir}' cannot be read as a run.")
