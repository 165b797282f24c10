"""IndexField: which cohort is searched, and the buttons to open or to make its index."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.gui.cohort_index import CohortIndex, IndexState
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel

__all__ = ["IndexField"]

_TABLES = "Tables (*.csv *.tsv *.txt *.xlsx *.parquet);;All (*)"


class IndexField(QWidget):
    """Says what is searched; every box that searches has one, and all show the same.

    Parameters
    ----------
    cohort_index : CohortIndex
        Opens and makes indices.
    """

    def __init__(self, cohort_index: CohortIndex, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cohort_index = cohort_index
        self.text = NoteLabel()
        self.message = MessageLine()
        self.bar = QProgressBar()
        self.make_button = QPushButton("Make searchable…")
        self.make_button.setToolTip(
            "Choose a cohort table. Every slide of it is predicted with the model, once; this runs "
            "beside your work. Slides that are done are kept when you cancel."
        )
        self.open_button = QPushButton("Open index…")
        self.open_button.setToolTip("Choose the folder of an index that was made before.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop. Slides that are done need not be predicted again.")
        buttons = QHBoxLayout()
        for button in (self.make_button, self.open_button, self.cancel_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        self.make_button.clicked.connect(self._pick_cohort)
        self.open_button.clicked.connect(self._pick_index)
        self.cancel_button.clicked.connect(cohort_index.cancel)
        cohort_index.changed.connect(self._show)
        self._show(cohort_index.state)

    def _show(self, state: IndexState) -> None:
        self.text.setText(state.text)
        self.bar.setVisible(state.is_running)
        self.cancel_button.setVisible(state.is_running)
        self.make_button.setVisible(not state.is_running)
        self.open_button.setVisible(not state.is_running)
        if state.progress is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, max(1, state.progress.total))
            self.bar.setValue(state.progress.done)

    def _pick_cohort(self) -> None:
        picked, _ = QFileDialog.getOpenFileName(self, "Cohort table", "", _TABLES)
        if picked:
            self._cohort_index.make(Path(picked))

    def _pick_index(self) -> None:
        picked = QFileDialog.getExistingDirectory(self, "Folder of the index")
        if picked:
            self._cohort_index.open(Path(picked))
