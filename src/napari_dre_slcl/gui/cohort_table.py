"""CohortTable: the table of slides with its filter; double-click opens a slide."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QAction, QFontMetrics, QGuiApplication, QKeySequence  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.cohort.sheet_index import SheetIndex
from napari_dre_slcl.gui.cohort_filter import CohortFilter
from napari_dre_slcl.gui.cohort_marks import CellMarks
from napari_dre_slcl.gui.cohort_model import CohortModel
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["CohortTable"]

_HEIGHT_PX = 260
_WIDTH_PX = 120
_LEAST_WIDTH_PX = 44
_SAMPLED_ROWS = 60


class CohortTable(QWidget):
    """Shows, sorts and filters a sheet; asks for changes, makes none.

    Parameters
    ----------
    colors : ThemeColors
        To mark cells with findings.
    """

    open_requested = Signal(int)
    """Number of the row whose slide is wanted."""
    edit_requested = Signal(object)
    """Text by row number and place of the column."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = CohortModel(colors, self)
        self.filter = CohortFilter()
        self._build_view()
        self._lay_out()
        self._connect()

    def _build_view(self) -> None:
        view = self.view = QTableView()
        view.setModel(self.model)
        view.setMinimumHeight(_HEIGHT_PX)
        view.setWordWrap(False)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.setSortingEnabled(True)
        columns = _column_header(view)
        columns.setSortIndicatorClearable(True)
        columns.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        columns.setSectionsMovable(True)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # Double-click opens the slide, so a cell is changed by F2 or by the menu.
        view.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        rows = cast("QHeaderView", view.verticalHeader())
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(QFontMetrics(view.font()).height() + 8)
        view.setAccessibleName("Cohort table")

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.filter)
        layout.addWidget(self.view)

    def _connect(self) -> None:
        self.filter.valueChanged.connect(self._filter)
        self.view.doubleClicked.connect(self._on_double_click)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.model.edited.connect(
            lambda number, column, text: self.edit_requested.emit({(number, column): text})
        )
        copy = QAction("Copy cells", self.view)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(lambda _: self.copy())
        self.view.addAction(copy)

    def set_sheet(self, sheet: Sheet, index: SheetIndex, marks: CellMarks) -> None:
        """Show another table from its top."""
        self.set_fold({})
        self.model.set_sheet(sheet, index, marks)
        header = _column_header(self.view)
        for place in range(header.count()):  # columns that the user has moved
            header.moveSection(header.visualIndex(place), place)
        self.filter.set_columns(sheet.columns)
        _column_header(self.view).setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._fit_columns()
        self._filter()

    def set_fold(self, texts: Mapping[int, str]) -> None:
        """Show in which fold each row is tested; nothing takes the column away."""
        header = _column_header(self.view)
        last = self.model.columnCount() - 1
        if self.model.has_extra:  # a column that is taken away elsewhere shifts the others' widths
            header.moveSection(header.visualIndex(last), last)
        self.model.set_extra("fold", texts)
        if texts:
            last = self.model.columnCount() - 1
            header.moveSection(header.visualIndex(last), 1)
            header.resizeSection(last, _LEAST_WIDTH_PX)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.model.set_colors(colors)
        cast("QWidget", self.view.viewport()).update()

    def go_to(self, number: int, column: int = -1) -> bool:
        """Bring a row into sight and select it; whether it is among those that are shown.

        A filter that leaves the row out is taken away.
        """
        if self.model.row_of(number) is None:
            self.filter.setValue("")
        row = self.model.row_of(number)
        if row is None:
            return False
        index = self.model.index(row, max(0, column))
        flags = QItemSelectionModel.SelectionFlag
        cast("QItemSelectionModel", self.view.selectionModel()).setCurrentIndex(
            index, flags.ClearAndSelect
        )
        self.view.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)
        return True

    def current_number(self) -> int | None:
        """Return the number of the row that is chosen, None for none."""
        index = self.view.currentIndex()
        return self.model.number(index.row()) if index.isValid() else None

    def copy(self) -> None:
        """Put the selected cells into the clipboard, as a spreadsheet takes them."""
        rows: dict[int, list[QModelIndex]] = {}
        for index in sorted(self.view.selectedIndexes(), key=lambda i: (i.row(), i.column())):
            rows.setdefault(index.row(), []).append(index)
        lines = ["\t".join(self._whole(index) for index in own) for own in rows.values()]
        clipboard = QGuiApplication.clipboard()
        if lines and clipboard is not None:
            clipboard.setText("\n".join(lines))

    def fill(self) -> None:
        """Ask for the text of the current cell in all selected cells of its column."""
        current = self.view.currentIndex()
        same = [i for i in self.view.selectedIndexes() if i.column() == current.column()]
        text = self._whole(current)
        self.edit_requested.emit({(self.model.number(i.row()), i.column()): text for i in same})

    def show_only(self, index: QModelIndex) -> None:
        """Show only rows with the text of a cell in its column."""
        self.filter.setValue(f"={self._whole(index)}", index.column())

    def _whole(self, index: QModelIndex) -> str:
        return self.model.text(self.model.number(index.row()), index.column())

    def _filter(self) -> None:
        self.model.set_filter(*self.filter.value())
        self.filter.show_count(self.model.rowCount(), self.model.n_rows)

    def _fit_columns(self) -> None:
        """Give columns the width of their first cells, within limits; no file is asked again."""
        sheet = self.model.sheet
        if sheet is None:
            return
        metrics = QFontMetrics(self.view.font())
        for place, name in enumerate(sheet.columns):
            texts = [sheet.cell(number, place) for number in sheet.numbers[:_SAMPLED_ROWS]]
            longest = max((text[:40] for text in texts), key=len, default="")
            width = max(metrics.horizontalAdvance(longest), metrics.horizontalAdvance(name) + 18)
            self.view.setColumnWidth(place, min(_WIDTH_PX, max(_LEAST_WIDTH_PX, width + 14)))

    def _on_double_click(self, index: QModelIndex) -> None:
        self.open_requested.emit(self.model.number(index.row()))

    def _open_menu(self, place: QPoint) -> None:
        index = self.view.indexAt(place)
        if index.isValid():
            menu = self.make_menu(index)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(cast("QWidget", self.view.viewport()).mapToGlobal(place))

    def make_menu(self, index: QModelIndex) -> QMenu:
        """Return what can be done with a cell."""
        menu = QMenu(self)
        number = self.model.number(index.row())
        actions: list[tuple[str, Any]] = [
            ("Open this slide", partial(self.open_requested.emit, number)),
            ("Copy cell", self.copy),
        ]
        if self.model.flags(index) & Qt.ItemFlag.ItemIsEditable:
            actions.append(("Show only rows with this value", partial(self.show_only, index)))
            actions.append(("Change cell (F2)", partial(self.view.edit, index)))
            if len(self.view.selectedIndexes()) > 1:
                actions.append(("Write this cell into all selected ones", self.fill))
        for text, act in actions:
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, act=act: act())
            menu.addAction(action)
        return menu


def _column_header(view: QTableView) -> QHeaderView:
    return cast("QHeaderView", view.horizontalHeader())
