"""JobProgress: how far a job has come, as a bar and a sentence."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.time_to_go import TimeToGo
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
        self._time = TimeToGo()
        self.setToolTip("How far the stage has come, and how long it still takes at this speed.")

    def wait(self, sentence: str = "Starting the engine…") -> None:
        """Show that the engine is on its way."""
        self._time.clear()
        self._message.tell(sentence)
        self.setRange(0, 0)

    def follow(self, event: Progress, *, is_old: bool = False) -> None:
        """Show how far the job has come.

        Parameters
        ----------
        event : Progress
            The newest.
        is_old : bool, default False
            It came before this window looked, so that nothing can be learned from its time.
        """
        self.setRange(0, max(1, event.total))
        self.setValue(event.done)
        if not is_old:
            self._time.note(event)
        stage = f"{event.stage}: {event.message}" if event.message else event.stage
        to_go = self._time.text()
        self._message.tell(f"{stage}, {to_go}" if to_go else stage)
