"""ColumnRoles: a form that says which column of a foreign table is what, with a preview."""

from __future__ import annotations

from typing import cast

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.cohort.column_roles import (
    FROM_BARCODE,
    ROLE_WORDS,
    example_values,
)
from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["ColumnRoles"]

_NONE = -2
_SHOWN_ROWS = 4
_LONGEST_NAME = 24
_LONGEST_CELL = 80


class ColumnRoles(QWidget):
    """One field for each role; the preview shows the first rows as they would be read."""

    roles_requested = Signal(object)
    """Place of the column by role, as the user wants them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sheet: Sheet | None = None
        self.fields = {role: self._make_field(role) for role in ROLE_WORDS}
        self.preview = QTableWidget()
        self.preview.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.preview.setWordWrap(False)
        self._row_header = cast("QHeaderView", self.preview.verticalHeader())
        self._row_header.hide()
        self.preview.setToolTip("The first rows, under the names that they would get.")
        self.message = MessageLine()
        self.use_button = QPushButton("Use these columns")
        self.use_button.setToolTip(
            "Renames the columns here. The file stays as it is: save the table under a new name."
        )
        self.use_button.clicked.connect(lambda: self.roles_requested.emit(self.value()))
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for role, field in self.fields.items():
            form.addRow(ROLE_WORDS[role][0], field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(PlainLabel("The first rows:"))
        layout.addWidget(self.preview)
        layout.addWidget(self.message)
        layout.addWidget(self.use_button)

    def set_sheet(self, sheet: Sheet, roles: dict[str, int]) -> None:
        """Offer the columns of a table, with a guess of their roles."""
        self._sheet = sheet
        for role, field in self.fields.items():
            field.blockSignals(True)
            field.clear()
            field.addItem("(none)", _NONE)
            if role == "patient_id":
                field.addItem("(from the TCGA barcode)", FROM_BARCODE)
            for place, name in enumerate(sheet.columns):
                shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
                field.addItem(shown or "(no name)", place)
                tip = f"{name}: {example_values(sheet, place)}"
                field.setItemData(field.count() - 1, tool_tip(tip), Qt.ItemDataRole.ToolTipRole)
            field.setCurrentIndex(max(0, field.findData(roles.get(role, _NONE))))
            field.blockSignals(False)
        self._show_preview()

    def value(self) -> dict[str, int]:
        """Return the place of the chosen column by role, without roles that have none."""
        chosen = {role: field.currentData() for role, field in self.fields.items()}
        return {role: int(place) for role, place in chosen.items() if place not in (None, _NONE)}

    def _make_field(self, role: str) -> QComboBox:
        field = QComboBox()
        field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        field.setMinimumContentsLength(10)
        field.setToolTip(tool_tip(f"{ROLE_WORDS[role][1]} In tables it is called {role}."))
        field.currentIndexChanged.connect(lambda _: self._show_preview())
        return field

    def _show_preview(self) -> None:
        sheet = self._sheet
        if sheet is None:
            return
        roles = {role: place for role, place in self.value().items() if place >= 0}
        numbers = sheet.numbers[:_SHOWN_ROWS]
        self.preview.setRowCount(len(numbers))
        self.preview.setColumnCount(len(roles))
        self.preview.setHorizontalHeaderLabels([ROLE_WORDS[role][0] for role in roles])
        for column, place in enumerate(roles.values()):
            for row, number in enumerate(numbers):
                text = " ".join(sheet.cell(number, place)[:_LONGEST_CELL].split())
                self.preview.setItem(row, column, QTableWidgetItem(text))
        height = self.preview.fontMetrics().height() + 8
        self._row_header.setDefaultSectionSize(height)
        self.preview.setFixedHeight(height * (len(numbers) + 1) + 26)
        self._tell_doubt(roles)

    def _tell_doubt(self, roles: dict[str, int]) -> None:
        """Say what is missing or stands twice, before the button is pressed."""
        chosen = self.value()
        twice = {p for p in roles.values() if list(roles.values()).count(p) > 1}
        if twice and self._sheet is not None:
            name = self._sheet.columns[min(twice)]
            self.message.tell(f"⚠ '{name}' is chosen twice; a column can be one thing only.")
        elif "patient_id" not in chosen:
            self.message.tell("⚠ Choose the column that says which patient a slide is of.")
        elif not {"slide", "features", "slide_id"} & set(chosen):
            self.message.tell("⚠ Choose the column with the slide files or the feature files.")
        else:
            self.message.tell("")
        self.use_button.setEnabled(not self.message.text())
