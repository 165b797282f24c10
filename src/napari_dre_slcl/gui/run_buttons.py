"""RunButtons: start a training, go on with an earlier one, hold it, cancel it."""

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
        self.resume_button.clicked.connect(self._pick_run)
        self.pause_button.clicked.connect(self._pause_or_continue)
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        self.set_running(False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for pair in (
            (self.start_button, self.resume_button),
            (self.pause_button, self.cancel_button),
        ):
            row = QHBoxLayout()
            for button in pair:
                row.addWidget(button)
            layout.addLayout(row)

    def set_running(self, is_running: bool) -> None:
        """Offer what can be done while a job runs, or while none does."""
        self.start_button.setEnabled(not is_running)
        self.resume_button.setEnabled(not is_running)
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
