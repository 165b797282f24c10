"""RunButtons: start a training, or go on with an earlier one, hold it, cancel it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

__all__ = ["RunButtons"]


class RunButtons(QWidget):
    """Two rows of buttons whose state follows the job.

    Nothing is held or cancelled here: the signals say what the user wants, and `set_running` and
    `set_paused` are told what is so.
    """

    start_requested = Signal()
    estimate_requested = Signal()
    resume_requested = Signal(object)
    """The run folder (Path) to go on with."""
    pause_requested = Signal()
    continue_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_paused = False
        self._last_run = ""
        self.start_button = QPushButton("Start training")
        self.start_button.setToolTip("Checks the cohort, then trains in a process of its own.")
        self.estimate_button = QPushButton("Estimate first")
        self.estimate_button.setToolTip(
            "Opens the slides and tries a step, then says how long the training takes and how much "
            "memory and disk it needs. Nothing is trained or written."
        )
        self.resume_button = QPushButton("Resume a run…")
        self.resume_button.setToolTip(
            "Go on with a training that was cancelled, killed or stopped by an error: choose its "
            "run folder."
        )
        self.pause_button = QPushButton("Pause")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Ends the training. It can be resumed from its run folder.")
        self._lay_out()
        self.start_button.clicked.connect(lambda: self.start_requested.emit())
        self.estimate_button.clicked.connect(lambda: self.estimate_requested.emit())
        self.resume_button.clicked.connect(self._pick_run)
        self.pause_button.clicked.connect(self._pause_or_continue)
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        self.set_running(False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for buttons in (
            (self.start_button, self.estimate_button),
            (self.pause_button, self.cancel_button, self.resume_button),
        ):
            row = QHBoxLayout()
            for button in buttons:
                row.addWidget(button)
            layout.addLayout(row)

    def set_running(self, is_running: bool, *, can_start: bool | None = None) -> None:
        """Offer what can be done while a job is shown that runs, or one that does not.

        Parameters
        ----------
        is_running : bool
            Whether the job that is shown runs.
        can_start : bool, optional
            Whether another can be started here; by default where the one that is shown does not
            run.
        """
        is_free = not is_running if can_start is None else can_start
        for button in (self.start_button, self.estimate_button, self.resume_button):
            button.setEnabled(is_free)
        self.cancel_button.setEnabled(is_running)
        self.set_paused(False)
        self.pause_button.setEnabled(is_running)

    def set_paused(self, is_paused: bool) -> None:
        """Offer to go on while the job holds still, else to hold it."""
        self._is_paused = is_paused
        self.pause_button.setText("Continue" if is_paused else "Pause")
        self.pause_button.setToolTip(
            "Goes on from where it stands."
            if is_paused
            else "Writes a checkpoint after the step at hand and holds still. Memory stays in use."
        )
        self.pause_button.setEnabled(True)

    def forbid_requests(self) -> None:
        """Offer neither to hold nor to end the job, which is ending or cannot be held."""
        self.pause_button.setEnabled(False)
        self.cancel_button.setEnabled(False)

    def suggest_run(self, run_dir: Path) -> None:
        """Offer this run folder first where one is chosen to go on with."""
        self._last_run = str(run_dir)

    def _pause_or_continue(self) -> None:
        self.pause_button.setEnabled(False)  # until the job says that it does so
        (self.continue_requested if self._is_paused else self.pause_requested).emit()

    def _pick_run(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Run folder to go on with", self._last_run)
        if folder:
            self.resume_requested.emit(Path(folder))
