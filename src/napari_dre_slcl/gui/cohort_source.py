"""CohortSource: choose a cohort table, or a folder of slides to make one of."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.gui.path_field import PathField

__all__ = ["CohortSource"]

_TYPING_MS = 300


class CohortSource(QWidget):
    """A field for the table, and a button for a folder."""

    path_chosen = Signal(object)
    """Path of a file or folder that is there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Path | None = None
        self.field = PathField(
            "file", "Cohort table", "Tables (*.csv *.tsv *.txt *.xlsx *.parquet);;All (*)"
        )
        self.field.setToolTip("One row per slide: CSV, TSV, Excel (.xlsx) or Parquet.")
        self.folder_button = QPushButton("Folder of slides…")
        self.folder_button.setToolTip(
            "Makes a table of the slides in a folder and in the folders inside it."
        )
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.field)
        layout.addWidget(self.folder_button)
        self.field.valueChanged.connect(lambda _: self._typing.start())
        self._typing.timeout.connect(self._choose_typed)
        self.folder_button.clicked.connect(self._pick_folder)

    def value(self) -> Path | None:
        """Return what the field says."""
        return self.field.value()

    def setValue(self, path: Path) -> None:
        """Show a path that is open already."""
        self._shown = path
        self.field.blockSignals(True)
        self.field.setValue(path)
        self.field.blockSignals(False)

    def _choose_typed(self) -> None:
        path = self.field.value()
        if path is not None and path != self._shown and path.exists():
            self.path_chosen.emit(path)

    def _pick_folder(self) -> None:
        start = str(self.field.value() or Path.cwd())
        picked = QFileDialog.getExistingDirectory(self, "Folder of slides", start)
        if picked:
            self.path_chosen.emit(Path(picked))
