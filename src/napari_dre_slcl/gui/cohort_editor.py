"""CohortEditor: the table that the Cohort tab shows, its changes, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.cohort.column_roles import with_roles
from napari_dre_slcl.cohort.from_folder import PatientRule
from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.cohort.write_splits import write_split_folder
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.cohort_work import (
    DrawnFolds,
    FoldRequest,
    OpenCohort,
    draw_folds,
    look_at,
    open_folder,
    open_table,
    save_as,
)
from napari_dre_slcl.gui.session import Session

__all__ = ["CohortEditor"]

_READING = "reading the cohort table"
_CHECKING = "checking the changed cohort table"
_PARTING = "making folds"
_CHECK_AFTER_MS = 300

_Sources = Path | tuple[Path, ...]


class CohortEditor(QObject):
    """Opens, changes, checks and saves a table; slow work goes to the thread.

    Parameters
    ----------
    session : Session
        Its thread does the slow work; once it is closed, nothing is started any more.
    """

    opened = Signal()
    """Another table is there, or its columns are others: see `cohort` and `sheet`."""
    edited = Signal()
    """Cells have other text: see `sheet`. What is wrong with them is told later."""
    checked = Signal()
    """Changed cells have been checked: see `cohort`."""
    folds_changed = Signal()
    """Folds are there or gone: see `folds`."""
    told = Signal(str)
    """A sentence for the user; empty where all is well."""
    failed = Signal(str)
    """A sentence on what could not be done."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._original: Sheet | None = None
        self._sources: _Sources | None = None
        self.cohort: OpenCohort | None = None
        self.sheet: Sheet | None = None
        self.folds: DrawnFolds | None = None
        self.n_changes = 0
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(_CHECK_AFTER_MS)
        self._check_timer.timeout.connect(self._check)

    @property
    def is_from_folder(self) -> bool:
        """Whether the table was made of a folder and is in no file yet."""
        return self._sources is not None

    def open(self, table: Path) -> None:
        """Read a table."""
        self._read(None, f"Reading '{table.name}'…", open_table, table)

    def open_folder(self, sources: _Sources, patients: PatientRule) -> None:
        """List the slides of a folder, or some slides, as a table."""
        self._read(sources, "Looking for slides…", open_folder, sources, patients)

    def name_patients(self, patients: PatientRule) -> None:
        """Say otherwise whose the slides of the folder are; changes of the table are lost."""
        if self._sources is not None:
            self.open_folder(self._sources, patients)

    def edit(self, changed: Mapping[tuple[int, int], str]) -> None:
        """Write other text into cells, here only."""
        if self.sheet is not None and changed:
            self.sheet = self.sheet.with_cells(changed)
            self.n_changes += len(changed)
            self._drop_folds()
            self.edited.emit()
            self._check_timer.start()

    def add_column(self, name: str) -> None:
        """Add an empty column for a label, here only."""
        if self.sheet is not None:
            self._replace(lambda sheet: sheet.with_column(name, [""] * len(sheet.numbers)))

    def rename_columns(self, roles: Mapping[str, int]) -> None:
        """Give columns the names of their roles, here only."""
        self._replace(lambda sheet: with_roles(sheet, roles))

    def undo(self) -> None:
        """Go back to the table as it was opened."""
        if self._original is not None:
            self._sheet_changed(self._original, 0)

    def save(self, out: Path) -> None:
        """Write the table with all changes to a new file, and go on with that."""
        if self.sheet is not None:
            self._run(_READING, f"Saving '{out.name}'…", save_as, self.sheet, out, then=self._saved)

    def make_folds(self, request: FoldRequest) -> None:
        """Part the cohort."""
        if self.cohort is not None:
            slides = self.cohort.check.cohort
            self._run(_PARTING, "Making folds…", draw_folds, slides, request, then=self._set_folds)

    def save_folds(self, folder: Path) -> None:
        """Write the folds as a folder that an evaluation reads."""
        if self.folds is not None:
            drawn = self.folds
            self._run(
                "saving folds",
                "Saving folds…",
                write_split_folder,
                drawn.cohort,
                drawn.folds,
                folder,
                then=self._folds_saved,
            )

    def _read(
        self, sources: _Sources | None, sentence: str, work: Callable[..., OpenCohort], *args: Any
    ) -> None:
        self._check_timer.stop()
        self._run(_READING, sentence, work, *args, then=partial(self._set_cohort, sources))

    def _run(
        self,
        topic: str,
        sentence: str,
        work: Callable[..., Any],
        *args: Any,
        then: Callable[[Any], None],
    ) -> None:
        if self._session.viewer is None:
            return
        self.told.emit(sentence)
        self._session.background.run(topic, work, *args, on_done=then, on_error=self.failed.emit)

    def _set_cohort(self, sources: _Sources | None, cohort: OpenCohort) -> None:
        self._sources = sources
        self.cohort, self.sheet, self._original = cohort, cohort.sheet, cohort.sheet
        self.n_changes = 0
        self._drop_folds()
        self.opened.emit()
        self.told.emit(" ".join(cohort.notes))

    def _saved(self, cohort: OpenCohort) -> None:
        self._set_cohort(None, cohort)
        self.told.emit(f"Saved as '{cohort.sheet.table}'.")

    def _replace(self, change: Callable[[Sheet], Sheet]) -> None:
        """Change the columns, or say why not."""
        if self.sheet is None:
            return
        try:
            changed = change(self.sheet)
        except DreSlclError as error:
            self.failed.emit(str(error))
            return
        self._sheet_changed(changed, self.n_changes + 1)

    def _sheet_changed(self, sheet: Sheet, n_changes: int) -> None:
        self.sheet, self.n_changes = sheet, n_changes
        self._drop_folds()
        self._check_timer.stop()
        self._run(_CHECKING, "Checking…", look_at, sheet, then=self._set_columns)

    def _set_columns(self, cohort: OpenCohort) -> None:
        if cohort.sheet is not self.sheet and self.sheet is not None:  # changed meanwhile
            self._sheet_changed(self.sheet, self.n_changes)
            return
        self.cohort = cohort
        self.opened.emit()
        self.told.emit("")

    def _check(self) -> None:
        if self.sheet is not None and self._session.viewer is not None:
            self._session.background.run(
                _CHECKING,
                look_at,
                self.sheet,
                on_done=self._set_checked,
                on_error=self.failed.emit,
            )

    def _set_checked(self, cohort: OpenCohort) -> None:
        if cohort.sheet is self.sheet:  # else it was changed again, and is checked again
            self.cohort = cohort
            self.checked.emit()

    def _set_folds(self, drawn: DrawnFolds) -> None:
        if self.cohort is not None and drawn.cohort is self.cohort.check.cohort:
            self.folds = drawn
            self.told.emit("")
            self.folds_changed.emit()

    def _folds_saved(self, folder: Path) -> None:
        self.told.emit(
            f"Saved {len(self.folds.folds) if self.folds else 0} folds in '{folder}'. "
            f"'dre-slcl evaluate --folds {folder}' trains and tests on them."
        )

    def _drop_folds(self) -> None:
        if self.folds is not None:
            self.folds = None
            self.folds_changed.emit()
