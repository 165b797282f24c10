"""JobProgress: how far a job has come, as a bar and a sentence."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.jobs.messages import Progress

__all__ = ["JobProgress"]


class JobProgress(QProgressBar):
    """A bar that follows the Progress events of a job and names its stage in a message line.

    Parameters
    ----------
    message : MessageLine
        Where the stage is named.
    """

    def __init__(self, message: MessageLine, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = message

    def wait(self) -> None:
        """Show that the engine is on its way."""
        self._message.tell("Starting the engine…")
        self.setRange(0, 0)

    def follow(self, event: Progress) -> None:
        """Show how far the job has come."""
        self.setRange(0, max(1, event.total))
        self.setValue(event.done)
        self._message.tell(f"{event.stage}: {event.message}" if event.message else event.stage)
