"""CohortSave: what is not saved yet, and the way to save it under a name of its own."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.cohort.write_sheet import free_table
from napari_dre_slcl.gui.message_line import MessageLine

__all__ = ["CohortSave"]

_RULES = (
    ("TCGA barcode in the name", "barcode"),
    ("folder that the slide is in", "folder"),
    ("another one for each slide", "slide"),
)


class CohortSave(QWidget):
    """Seen only while the table is in no file, or is not as its file has it."""

    save_requested = Signal(object)
    """Path of a new table."""
    undo_requested = Signal()
    patients_chosen = Signal(str)
    """How the patient of a slide is told: barcode, folder or slide."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._suggested = Path("cohort.csv")
        self.message = MessageLine()
        self.patients_field = QComboBox()
        for text, rule in _RULES:
            self.patients_field.addItem(f"Patient: {text}", rule)
        self.patients_field.setToolTip(
            "How it is known which slides are of one patient: they never come to lie on both "
            "sides of a training. The table is made anew; changes in it are lost."
        )
        self.patients_field.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.save_button = QPushButton("Save as…")
        self.save_button.setToolTip("Writes a new CSV file; the table that was opened stays.")
        self.undo_button = QPushButton("Undo all changes")
        self.undo_button.setToolTip("Shows the table as it was opened.")
        self.save_button.clicked.connect(self._pick)
        self.undo_button.clicked.connect(self.undo_requested)
        self.patients_field.activated.connect(
            lambda _: self.patients_chosen.emit(self.patients_field.currentData())
        )
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.undo_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.patients_field)
        layout.addWidget(self.message)
        layout.addLayout(buttons)

    def show_state(self, sheet: Sheet | None, n_changes: int, is_from_folder: bool) -> None:
        """Say what is not saved.

        Parameters
        ----------
        sheet : Sheet or None
            What is shown.
        n_changes : int
            How many changes the user has made.
        is_from_folder : bool
            Whether it was made of a folder and never saved.
        """
        self.setVisible(sheet is not None and (n_changes > 0 or is_from_folder))
        self.patients_field.setVisible(is_from_folder)
        self.undo_button.setVisible(n_changes > 0)
        changes = f"{n_changes:,} change{'s' * (n_changes != 1)}"
        if is_from_folder:
            self.message.tell("Made of a folder; not saved yet. Cells can be changed with F2.")
        else:
            self.message.tell(f"{changes} not saved. The file stays as it is.")
        if sheet is not None:
            is_free = is_from_folder and not sheet.table.exists()
            self._suggested = sheet.table if is_free else free_table(sheet.table, "changed")

    def suggested(self) -> Path:
        """Return the name that the dialog begins with."""
        return self._suggested

    def _pick(self) -> None:
        picked, _ = QFileDialog.getSaveFileName(
            self, "New cohort table", str(self.suggested()), "Tables (*.csv)"
        )
        if picked:
            path = Path(picked)
            self.save_requested.emit(path if path.suffix else path.with_suffix(".csv"))
