"""CohortSlides: opens the slide of a row of the cohort table, or says why not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.cohort.rows import SlideRow
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.cohort_work import OpenCohort, try_slide
from napari_dre_slcl.gui.session import Session

__all__ = ["CohortSlides"]

_OPENING = "opening a slide of the cohort"
_TOLD_LABELS = 4


class CohortSlides(QObject):
    """Tries a slide in the thread first, so that a broken one costs the window no time.

    Parameters
    ----------
    session : Session
        Thread and viewer.
    """

    told = Signal(str)
    """A sentence for the user."""
    failed = Signal(str)
    """A sentence on what could not be done."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session

    def open(self, cohort: OpenCohort | None, number: int) -> None:
        """Show the slide of a row.

        Parameters
        ----------
        cohort : OpenCohort or None
            The table.
        number : int
            Row as a spreadsheet numbers it.
        """
        if self._session.viewer is None:
            return
        rows = () if cohort is None else cohort.check.cohort.rows
        row = next((row for row in rows if row.number == number), None)
        if row is None or row.path is None:
            kind = "a feature file, not a slide" if row is not None and row.features else "no slide"
            self.failed.emit(f"Row {number} names {kind}, so there is no picture to open.")
            return
        self.told.emit(f"Opening '{row.path.name}'…")
        self._session.background.run(
            _OPENING,
            try_slide,
            row.path,
            row.mpp,
            on_done=partial(self._show, row),
            on_error=self.failed.emit,
        )

    def _show(self, row: SlideRow, path: Path) -> None:
        if self._session.viewer is None:
            return
        try:
            self._session.overlay.open_slide(path, row.mpp)
        except DreSlclError as error:
            self.failed.emit(str(error))
            return
        known = [f"{name} {value}" for name, value in row.labels.items() if value][:_TOLD_LABELS]
        about = ", ".join([f"patient {row.patient_id or 'unknown'}", *known])
        self.told.emit(f"Opened '{row.slide_id}': {about}.")
