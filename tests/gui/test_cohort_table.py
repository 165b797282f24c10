"""The table of the Cohort tab: order, filter, findings, copying, and what a user asks of a cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtGui import QGuiApplication

from napari_dre_slcl.cohort.problems import Problem
from napari_dre_slcl.cohort.sheet import new_sheet
from napari_dre_slcl.cohort.sheet_index import SheetIndex
from napari_dre_slcl.gui.cohort_marks import mark_cells
from napari_dre_slcl.gui.cohort_table import CohortTable
from napari_dre_slcl.gui.theme import theme_colors

COLUMNS = ("slide_id", "patient_id", "subtype")


@pytest.fixture
def table(qtbot) -> CohortTable:
    rows = [
        {"slide_id": f"s{n}", "patient_id": f"P{n % 3}", "subtype": ("LUAD", "LUSC", "")[n % 3]}
        for n in range(1, 13)
    ]
    sheet = new_sheet(Path("cohort.csv"), COLUMNS, rows)
    problem = Problem("the patient_id is odd", (4,), "patient_id")
    warning = Problem("an odd row", (6,))
    widget = CohortTable(theme_colors("dark"))
    qtbot.addWidget(widget)
    widget.set_sheet(sheet, SheetIndex(sheet), mark_cells(sheet, [problem], [warning]))
    return widget


def shown(table: CohortTable) -> list[str]:
    model = table.model
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_sorting_keeps_the_chosen_row_and_a_third_click_brings_the_order_back(table) -> None:
    assert table.go_to(11)
    table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert shown(table)[:3] == ["s12", "s11", "s10"]
    assert table.current_number() == 11
    assert table.model.headerData(0, Qt.Orientation.Vertical) == "13"
    table.view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    assert shown(table)[0] == "s1"


def test_typing_filters_a_moment_later_and_says_how_many_are_left(table, qtbot) -> None:
    qtbot.keyClicks(table.filter.line, "lusc")
    qtbot.waitUntil(lambda: table.model.rowCount() == 4)
    assert table.filter.count_label.text() == "4 of 12 rows"
    table.filter.column_field.setCurrentIndex(1)
    assert table.model.rowCount() == 0
    table.filter.line.clear()
    qtbot.waitUntil(lambda: table.model.rowCount() == 12)
    assert table.filter.count_label.text() == "12 rows"


def test_a_finding_colours_its_cell_and_says_why(table) -> None:
    model = table.model
    odd = model.index(2, 1)
    assert odd.data(Qt.ItemDataRole.BackgroundRole) is not None
    assert "the patient_id is odd" in odd.data(Qt.ItemDataRole.ToolTipRole)
    assert model.index(1, 1).data(Qt.ItemDataRole.BackgroundRole) is None
    tip = model.headerData(4, Qt.Orientation.Vertical, Qt.ItemDataRole.ToolTipRole)
    assert "an odd row" in tip
    table.filter.found_field.setChecked(True)
    assert shown(table) == ["s3", "s5"]


def test_a_row_that_the_filter_hides_is_shown_when_it_is_asked_for(table) -> None:
    table.filter.setValue("=s1")
    assert table.model.row_of(4) is None
    assert table.go_to(4, 1)
    assert table.view.currentIndex().data() == "P0"
    assert not table.go_to(99)


def test_cells_are_copied_as_a_spreadsheet_takes_them(table) -> None:
    flags = QItemSelectionModel.SelectionFlag
    for row in (0, 1):
        for column in (0, 2):
            index = table.model.index(row, column)
            table.view.selectionModel().select(index, flags.Select)
    table.copy()
    assert QGuiApplication.clipboard().text() == "s1\tLUSC\ns2\t"


def test_the_menu_opens_copies_filters_and_fills(table, qtbot) -> None:
    index = table.model.index(1, 2)
    flags = QItemSelectionModel.SelectionFlag
    for row in (1, 4):
        table.view.selectionModel().select(table.model.index(row, 2), flags.Select)
    table.view.selectionModel().setCurrentIndex(table.model.index(0, 2), flags.Select)
    menu = table.make_menu(index)
    acts = {action.text(): action for action in menu.actions()}
    with qtbot.waitSignal(table.open_requested) as opened:
        acts["Open this slide"].trigger()
    assert opened.args == [3]
    with qtbot.waitSignal(table.edit_requested) as wanted:
        acts["Write this cell into all selected ones"].trigger()
    assert wanted.args == [{(2, 2): "LUSC", (3, 2): "LUSC", (6, 2): "LUSC"}]
    acts["Show only rows with this value"].trigger()
    assert shown(table) == ["s2", "s5", "s8", "s11"]  # those without a subtype


def test_a_change_is_asked_for_and_not_made(table, qtbot) -> None:
    with qtbot.waitSignal(table.edit_requested) as wanted:
        assert table.model.setData(table.model.index(1, 2), "LUAD")
    assert wanted.args == [{(3, 2): "LUAD"}]
    assert table.model.index(1, 2).data() == ""
    assert not table.model.setData(table.model.index(1, 2), "")


def test_the_fold_is_shown_sorted_and_not_changeable(table) -> None:
    table.set_fold({number: str(number % 3) for number in range(2, 14)})
    last = table.model.columnCount() - 1
    assert table.model.headerData(last, Qt.Orientation.Horizontal) == "fold"
    assert table.view.horizontalHeader().visualIndex(last) == 1
    assert not table.model.flags(table.model.index(0, last)) & Qt.ItemFlag.ItemIsEditable
    table.view.sortByColumn(last, Qt.SortOrder.DescendingOrder)
    assert table.model.index(0, last).data() == "2"
    width = table.view.columnWidth(1)
    table.set_fold({})
    assert table.view.columnWidth(1) == width
    assert table.view.horizontalHeader().visualIndex(1) == 1
    assert table.model.columnCount() == len(COLUMNS)
    assert len(shown(table)) == 12
