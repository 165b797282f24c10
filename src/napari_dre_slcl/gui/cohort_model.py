"""CohortModel: the cohort table as Qt's item views ask for it, sorted and filtered by itself.

A QSortFilterProxyModel would ask Python twice for each comparison; with 10,000 rows that takes ten
times as long as putting the rows into an order that is known (benchmarks/cohort_table.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import (  # type: ignore[attr-defined]
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor

from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.cohort.sheet_index import SheetIndex
from napari_dre_slcl.gui.cohort_marks import WHOLE_ROW, CellMarks
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["CohortModel"]

_Index = QModelIndex | QPersistentModelIndex
_LONGEST_SHOWN = 120
_LONGEST_TIP = 600
_MARK_ALPHA = 90
_MOST_FOLLOWED = 500


class CohortModel(QAbstractTableModel):
    """The rows of a sheet that pass the filter, in the order that was asked for.

    Parameters
    ----------
    colors : ThemeColors
        To mark cells with findings.
    """

    edited = Signal(int, int, str)
    """Row number, place of the column, and the text that the user wants there."""

    def __init__(self, colors: ThemeColors, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sheet: Sheet | None = None
        self._index: SheetIndex | None = None
        self._marks = CellMarks()
        self._extra_name = ""
        self._extra: Mapping[int, str] = {}
        self._numbers: NDArray[np.int64] = np.empty(0, np.int64)
        self._shown: NDArray[np.int64] = np.empty(0, np.int64)
        self._order = (-1, False)
        self._filter: tuple[str, int | None, bool] = ("", None, False)
        self.set_colors(colors)

    @property
    def sheet(self) -> Sheet | None:
        """What is shown, with all changes."""
        return self._sheet

    @property
    def n_rows(self) -> int:
        """How many rows there are without the filter."""
        return len(self._numbers)

    @property
    def has_extra(self) -> bool:
        """Whether there is a column that is no part of the table."""
        return bool(self._extra)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._problem_color, self._warning_color = (QColor(colors.series[n]) for n in (3, 1))
        for color in (self._problem_color, self._warning_color):
            color.setAlpha(_MARK_ALPHA)

    def set_sheet(self, sheet: Sheet, index: SheetIndex, marks: CellMarks) -> None:
        """Show another sheet, or the same one after changes; order and filter stay."""
        self.beginResetModel()
        self._sheet, self._index, self._marks = sheet, index, marks
        self._numbers = np.array(sheet.numbers, np.int64)
        self._find_shown()
        self.endResetModel()

    def set_cells(self, sheet: Sheet) -> None:
        """Show the same rows with other text, before their order is known."""
        self._sheet = sheet
        last = self.index(self.rowCount() - 1, self.columnCount() - 1)
        self.dataChanged.emit(self.index(0, 0), last)

    def set_marks(self, index: SheetIndex, marks: CellMarks) -> None:
        """Show other findings of the same rows; what is shown stays in its place."""
        self._index, self._marks = index, marks
        last = self.index(self.rowCount() - 1, self.columnCount() - 1)
        self.dataChanged.emit(self.index(0, 0), last)
        self.headerDataChanged.emit(Qt.Orientation.Vertical, 0, max(0, self.rowCount() - 1))

    def set_extra(self, name: str, texts: Mapping[int, str]) -> None:
        """Show one column more that is no part of the table, by row number; no texts for none."""
        self.beginResetModel()
        self._extra_name, self._extra = name, dict(texts)
        self._find_shown()
        self.endResetModel()

    def set_filter(self, text: str, column: int | None = None, only_found: bool = False) -> None:
        """Show only rows with a text, and at will only those with a finding.

        Parameters
        ----------
        text, column
            As for `SheetIndex.matches`.
        only_found : bool
            Whether rows without a finding are left out.
        """
        if (text, column, only_found) != self._filter:
            self.beginResetModel()
            self._filter = (text, column, only_found)
            self._find_shown()
            self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows into the order of a column; a negative one gives the order of the table."""
        wanted = (column, order == Qt.SortOrder.DescendingOrder)
        if wanted == self._order:  # a view asks twice for each click
            return
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        numbers = [self.number(index.row()) for index in kept]
        self._order = wanted
        self._find_shown()
        moved = []
        for number, index in zip(numbers, kept, strict=True):
            # A selection of thousands of cells is let go: following it would take a second.
            row = self.row_of(number) if len(kept) <= _MOST_FOLLOWED else None
            moved.append(QModelIndex() if row is None else self.index(row, index.column()))
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    def number(self, row: int) -> int:
        """Return the spreadsheet's number of a row that is shown."""
        return int(self._numbers[self._shown[row]])

    def row_of(self, number: int) -> int | None:
        """Return where a spreadsheet's row is shown, None where the filter leaves it out."""
        found = np.flatnonzero(self._numbers[self._shown] == number)
        return int(found[0]) if len(found) else None

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Return how many rows are shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Return how many columns there are."""
        if parent.isValid() or self._sheet is None:
            return 0
        return len(self._sheet.columns) + bool(self._extra)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a view asks for a cell."""
        if self._sheet is None or not index.isValid():
            return None
        number, column = self.number(index.row()), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return " ".join(self.text(number, column)[:_LONGEST_SHOWN].split())
        if role == Qt.ItemDataRole.EditRole:
            return self.text(number, column)
        if role == Qt.ItemDataRole.BackgroundRole:
            return self._color(number, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            found = self._marks.sentences(number, column)
            text = self.text(number, column)
            cut = text if len(text) <= _LONGEST_TIP else f"{text[:_LONGEST_TIP]}…"
            return tool_tip(f"{found}\n\n{cut}" if found and cut else found or cut)
        return None

    def setData(self, index: _Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tell what the user wants in a cell; nothing is written."""
        number, column = self.number(index.row()), index.column()
        if role != Qt.ItemDataRole.EditRole or str(value) == self.text(number, column):
            return False
        self.edited.emit(number, column, str(value))
        return True

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return that all cells but those of the extra column can be changed."""
        flags = super().flags(index)
        if self._sheet is not None and index.column() < len(self._sheet.columns):
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return the name of a column, or the spreadsheet's number of a row."""
        if self._sheet is None or section < 0:
            return None
        if orientation == Qt.Orientation.Horizontal:
            return self._column_header(section, role)
        if section >= len(self._shown):
            return None
        number = self.number(section)
        if role == Qt.ItemDataRole.DisplayRole:
            return f"⚠ {number}" if (number, WHOLE_ROW) in self._marks.problems else str(number)
        if role == Qt.ItemDataRole.ToolTipRole:
            found = self._marks.sentences(number, WHOLE_ROW)
            return tool_tip(found) or "Row of the table; the names are 1"
        return None

    def text(self, number: int, column: int) -> str:
        """Return the whole text of a cell."""
        if self._sheet is None:
            return ""
        if column >= len(self._sheet.columns):
            return self._extra.get(number, "")
        return self._sheet.cell(number, column)

    def _column_header(self, section: int, role: int) -> str | None:
        columns = self._sheet.columns if self._sheet is not None else ()
        is_extra = section >= len(columns)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._extra_name if is_extra else columns[section] or "(no name)"
        if role == Qt.ItemDataRole.ToolTipRole:
            about = "No part of the table until it is saved." if is_extra else ""
            return about or tool_tip(f"{columns[section]}\nClick to sort; once more to turn round.")
        return None

    def _color(self, number: int, column: int) -> QColor | None:
        if (number, column) in self._marks.problems:
            return self._problem_color
        return self._warning_color if (number, column) in self._marks.warnings else None

    def _find_shown(self) -> None:
        if self._index is None:
            return
        text, column, only_found = self._filter
        passes = self._index.matches(text, column)
        if only_found:
            passes &= np.isin(self._numbers, list(self._marks.rows))
        place, is_descending = self._order
        is_extra = self._sheet is not None and place >= len(self._sheet.columns)
        if is_extra and self._extra:
            texts = np.array([self._extra.get(int(number), "") for number in self._numbers])
            order = np.argsort(texts, kind="stable")[:: -1 if is_descending else 1]
        else:
            order = self._index.order(place, is_descending)
        self._shown = order[passes[order]]
