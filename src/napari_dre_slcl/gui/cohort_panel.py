"""The Cohort tab: the table of slides, its findings, labels and folds."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.gui.cohort_drop import DropInvitation, dropped_paths, is_table
from napari_dre_slcl.gui.cohort_editor import CohortEditor
from napari_dre_slcl.gui.cohort_findings import CohortFindings, findings_title
from napari_dre_slcl.gui.cohort_folds import CohortFolds
from napari_dre_slcl.gui.cohort_labels import CohortLabels, facts_text
from napari_dre_slcl.gui.cohort_save import CohortSave
from napari_dre_slcl.gui.cohort_slides import CohortSlides
from napari_dre_slcl.gui.cohort_source import CohortSource
from napari_dre_slcl.gui.cohort_table import CohortTable
from napari_dre_slcl.gui.column_roles import ColumnRoles
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.section import Section
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["CohortPanel"]


class CohortPanel(QWidget):
    """The Cohort tab: the table of slides, its findings, labels and folds.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    cohort_chosen = Signal(object)
    """Path of a cohort table that a training should use."""

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.editor = CohortEditor(session, self)
        self.slides = CohortSlides(session, self)
        self.setAcceptDrops(True)
        self._build(colors)
        self._lay_out()
        self._connect()
        self._on_opened()

    def _build(self, colors: ThemeColors) -> None:
        self.source = CohortSource()
        self.message = MessageLine()
        self.facts = PlainLabel()
        self.facts.setWordWrap(True)
        self.facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.invitation = DropInvitation(colors)
        self.table = CohortTable(colors)
        self.save = CohortSave()
        self.open_button = QPushButton("Open slide")
        self.open_button.setToolTip("Shows the slide of the chosen row; so does a double-click.")
        self.train_button = QPushButton("Use for training")
        self.findings = CohortFindings()
        self.labels = CohortLabels(colors)
        self.folds = CohortFolds(colors)
        self.roles = ColumnRoles()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(self.source)
        layout.addWidget(self.message)
        layout.addWidget(self.invitation)
        layout.addWidget(self.facts)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.save)
        self._buttons = QWidget()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open_button)
        row.addWidget(self.train_button)
        layout.addWidget(self._buttons)
        self.sections: dict[str, Section] = {}
        for title, content in (
            ("Findings", self.findings),
            ("Meaning of the columns", self.roles),
            ("Labels and hospitals", self.labels),
            ("Folds", self.folds),
        ):
            section = Section(title)
            section.addWidget(content)
            self.sections[title] = section
            layout.addWidget(section)
        layout.addStretch()

    def _connect(self) -> None:
        editor = self.editor
        self.source.path_chosen.connect(self.open)
        self.table.open_requested.connect(self.open_slide)
        self.table.edit_requested.connect(editor.edit)
        self.open_button.clicked.connect(self._open_current)
        self.train_button.clicked.connect(self._choose)
        self.save.save_requested.connect(editor.save)
        self.save.undo_requested.connect(editor.undo)
        self.save.patients_chosen.connect(editor.name_patients)
        self.findings.row_requested.connect(self._go_to)
        self.labels.column_requested.connect(editor.add_column)
        self.folds.folds_requested.connect(editor.make_folds)
        self.folds.save_requested.connect(editor.save_folds)
        self.roles.roles_requested.connect(editor.rename_columns)
        editor.opened.connect(self._on_opened)
        editor.edited.connect(self._on_edited)
        editor.checked.connect(self._on_checked)
        editor.folds_changed.connect(self._on_folds)
        for part in (editor, self.slides):
            part.told.connect(self.message.tell)
            part.failed.connect(self.message.complain)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        for part in (self.invitation, self.table, self.labels, self.folds):
            part.set_colors(colors)

    def open(self, path: Path) -> None:
        """Show a table, or a table made of a folder of slides."""
        if path.is_dir():
            self.editor.open_folder(path, "barcode")
        else:
            self.editor.open(path)

    def open_slide(self, number: int) -> None:
        """Show the slide of a row of the table, or say why not."""
        self.slides.open(self.editor.cohort, number)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a table, a folder or slides."""
        if event is not None and dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what was dropped."""
        paths = dropped_paths(event.mimeData()) if event is not None else ()
        if event is None or not paths:
            return
        event.acceptProposedAction()
        if len(paths) == 1 and (paths[0].is_dir() or is_table(paths[0])):
            self.open(paths[0])
        else:
            self.editor.open_folder(paths, "barcode")

    def _open_current(self) -> None:
        number = self.table.current_number()
        if number is None:
            self.message.tell("Choose a row of the table first.")
        else:
            self.open_slide(number)

    def _choose(self) -> None:
        sheet = self.editor.sheet
        if sheet is not None and sheet.is_saved:
            self.cohort_chosen.emit(sheet.table)

    def _go_to(self, number: int, column: str) -> None:
        sheet = self.editor.sheet
        place = sheet.column(column) if sheet is not None and column else None
        if not self.table.go_to(number, -1 if place is None else place):
            self.message.tell(f"Row {number} is no row of a slide, so it is not shown here.")

    def _on_opened(self) -> None:
        cohort = self.editor.cohort
        for part in (self.facts, self.table, self._buttons, *self.sections.values()):
            part.setVisible(cohort is not None)
        self.invitation.setVisible(cohort is None)
        self._show_saved()
        if cohort is None:
            return
        self.table.set_sheet(cohort.sheet, cohort.index, cohort.marks)
        self.roles.set_sheet(cohort.sheet, cohort.roles)
        self.folds.set_table(cohort.sheet.table)
        table = cohort.sheet.table
        self.source.setValue(table.parent if self.editor.is_from_folder else table)
        self._show_findings()
        if cohort.check.problems:
            self.sections["Findings"].expand(animate=False)
        is_foreign = "patient_id" not in cohort.sheet.columns
        if is_foreign:
            self.sections["Meaning of the columns"].expand(animate=False)

    def _on_edited(self) -> None:
        if self.editor.sheet is not None:
            self.table.model.set_cells(self.editor.sheet)
        self._show_saved()

    def _on_checked(self) -> None:
        if self.editor.cohort is not None:
            self.table.model.set_marks(self.editor.cohort.index, self.editor.cohort.marks)
            self._show_findings()

    def _on_folds(self) -> None:
        drawn = self.editor.folds
        self.folds.set_folds(drawn)
        self.table.set_fold({} if drawn is None else drawn.of_rows)

    def _show_findings(self) -> None:
        cohort = self.editor.cohort
        if cohort is not None:
            self.facts.setText(facts_text(cohort.summary))
            found = (cohort.check.problems, cohort.check.warnings)
            self.findings.setValue(*found)
            self.sections["Findings"].setText(findings_title(*found))
            self.labels.setValue(cohort.summary)

    def _show_saved(self) -> None:
        editor = self.editor
        self.save.show_state(editor.sheet, editor.n_changes, editor.is_from_folder)
        is_saved = editor.sheet is not None and editor.sheet.is_saved
        self.train_button.setEnabled(is_saved)
        self.train_button.setToolTip(
            "Fills this table in on the Train tab."
            if is_saved
            else "Save the table first: a training reads a file."
        )
