"""CohortFilter: which rows of the cohort table are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.gui.plain_label import PlainLabel

__all__ = ["CohortFilter"]

_TYPING_MS = 120


class CohortFilter(QWidget):
    """A text, the column to look in, and whether only rows with a finding are wanted."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self.line = QLineEdit()
        self.line.setPlaceholderText("Filter rows…")
        self.line.setClearButtonEnabled(True)
        self.line.setToolTip(
            "Shows only rows with this text. =LUAD finds cells that hold exactly that, = alone "
            "finds empty cells of the column that is chosen beside it."
        )
        self.column_field = QComboBox()
        self.column_field.setToolTip("Where to look for the text.")
        self.column_field.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.column_field.setMinimumContentsLength(9)
        self.found_field = QCheckBox("Only rows with findings")
        self.found_field.setToolTip("Rows that a finding below is about.")
        self.count_label = PlainLabel()
        self._lay_out()
        self.line.textChanged.connect(lambda _: self._typing.start())
        self._typing.timeout.connect(self.valueChanged)
        self.column_field.currentIndexChanged.connect(lambda _: self._tell())
        self.found_field.toggled.connect(lambda _: self._tell())

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(self.column_field)
        under = QHBoxLayout()
        under.addWidget(self.found_field)
        under.addStretch()
        under.addWidget(self.count_label)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addLayout(under)

    def value(self) -> tuple[str, int | None, bool]:
        """Return the text, the place of its column (None for any), and whether findings count."""
        return self.line.text(), self.column_field.currentData(), self.found_field.isChecked()

    def setValue(self, text: str, column: int | None = None, only_found: bool = False) -> None:
        """Want other rows, at once."""
        self.line.setText(text)
        self.column_field.setCurrentIndex(0 if column is None else column + 1)
        self.found_field.setChecked(only_found)
        self._tell()

    def set_columns(self, names: Sequence[str]) -> None:
        """Offer the columns of another table, and want all of its rows."""
        self.column_field.blockSignals(True)
        self.column_field.clear()
        self.column_field.addItem("anywhere", None)
        for place, name in enumerate(names):
            self.column_field.addItem(name or "(no name)", place)
        self.column_field.blockSignals(False)
        self.setValue("")

    def show_count(self, n_shown: int, n_rows: int) -> None:
        """Say how many rows are left."""
        few = f"{n_shown:,} of {n_rows:,} rows"
        self.count_label.setText(few if n_shown < n_rows else f"{n_rows:,} rows")

    def _tell(self) -> None:
        self._typing.stop()
        self.valueChanged.emit()
