"""Names that look like HTML: no label, tooltip or layer of the window draws them as HTML."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QShowEvent, QTextDocument
from qtpy.QtWidgets import QAbstractItemView, QApplication, QComboBox, QLabel, QStatusBar, QWidget

import napari_dre_slcl.gui
from napari_dre_slcl.gui.legend_label import LegendLabel
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.results import TaskPrediction

BOLD, PICTURE, SCRIPT = "<b>bold", "<img src=x>", "<script>run()"
_TAG = re.compile(r"\s*[^\n]*<\s*[!/?]?\s*\w")
_OURS = '<p style="white-space:pre">'


def may_be_html(text: str) -> bool:
    """Return whether Qt may take a text for HTML; what `tool_tip` has made shows no tag."""
    if text.startswith(_OURS):
        return "<" in text.removeprefix(_OURS).removesuffix("</p>")
    return bool(_TAG.match(text)) or "&lt;" in text.partition("\n")[0]


def tips_of(model: QAbstractItemModel) -> Iterator[str]:
    """Yield the tooltips of cells and headers."""
    role, top = Qt.ItemDataRole.ToolTipRole, QModelIndex()
    n_columns = 1 if isinstance(model, QAbstractListModel) else model.columnCount(top)
    for column in range(n_columns):
        yield model.headerData(column, Qt.Orientation.Horizontal, role) or ""
        for row in range(model.rowCount(top)):
            yield model.index(row, column, top).data(role) or ""
    for row in range(model.rowCount(top)):
        yield model.headerData(row, Qt.Orientation.Vertical, role) or ""


def tooltips(window: QWidget) -> list[str]:
    """Return all tooltips of a window: of widgets, and of what lists, tables and boxes show."""
    found = [widget.toolTip() for widget in window.findChildren(QWidget)]
    for view in (*window.findChildren(QAbstractItemView), *window.findChildren(QComboBox)):
        if view.model() is not None:
            found += list(tips_of(view.model()))
    return [text for text in found if isinstance(text, str) and text]


@pytest.fixture
def strange_dock(dock, viewer, slide_path: Path, tile_result, tmp_path: Path, qtbot):
    """Return the dock with a slide, a result and a cohort whose names look like HTML."""
    slide = tmp_path / f"{BOLD}.tif"
    shutil.copy(slide_path, slide)
    viewer.open(str(slide), plugin="napari-dre-slcl")
    qtbot.waitUntil(lambda: any(BOLD in label.text() for label in dock.findChildren(QLabel)))
    result = tile_result(
        slide_id=PICTURE,
        codeword_names=(BOLD, PICTURE, SCRIPT),
        provenance={BOLD: PICTURE, "method": SCRIPT},
        predictions=(TaskPrediction(BOLD, (PICTURE, SCRIPT), (0.2, 0.8), SCRIPT),),
        evidence_of=((BOLD, SCRIPT),),
    )
    dock.overlay.show_result(result)
    table = tmp_path / f"{PICTURE}.csv"
    table.write_text(f"slide_id,slide,patient_id,{BOLD}\n{PICTURE},x.tif,{SCRIPT},{PICTURE}\n")
    dock.cohort_panel.open(table)
    dock.train_panel.form.cohort_field.setValue(table)
    qtbot.waitUntil(lambda: not dock.session.background.is_busy, timeout=20_000)
    return dock


def test_no_name_is_drawn_as_html(strange_dock, viewer) -> None:
    labels = [
        one
        for one in strange_dock.findChildren(QLabel)
        if one.textFormat() != Qt.TextFormat.PlainText and not isinstance(one, LegendLabel)
    ]
    assert [one.text() for one in labels if may_be_html(one.text())] == []
    told = "\n".join(one.text() for one in strange_dock.findChildren(PlainLabel))
    assert all(name in told for name in (BOLD, PICTURE, SCRIPT))
    tips = tooltips(strange_dock.window())
    assert [tip for tip in tips if may_be_html(tip)] == []
    assert sum("&lt;" in tip for tip in tips) > 5
    names = [layer.name for layer in viewer.layers]
    assert [name for name in names if may_be_html(name) or "<" in name] == []
    assert "‹img src=x> · clusters" in names


def test_status_bar_and_notifications_get_no_tags(strange_dock) -> None:
    QApplication.sendEvent(strange_dock, QShowEvent())
    labels = strange_dock.window().findChild(QStatusBar).findChildren(QLabel)
    assert len(labels) > 3
    assert {one.textFormat() for one in labels} == {Qt.TextFormat.PlainText}
    strange_dock.result_panel.message.complain(f"{PICTURE}\x1b[31m cannot be read.")
    (told,) = [one.message for one in notification_manager.records][-1:]
    assert told == r"‹img src=x>\x1b[31m cannot be read."
    notification_manager.records.clear()


@pytest.mark.parametrize("text", [BOLD, PICTURE, "a\n <b>c</b>", "p < 0.05 &amp; more", "plain"])
def test_a_tooltip_shows_its_text_letter_by_letter(text: str) -> None:
    document = QTextDocument()
    if tool_tip(text).startswith("<"):
        document.setHtml(tool_tip(text))
    else:
        document.setPlainText(tool_tip(text))
    assert document.toPlainText() == text


def test_labels_show_what_would_give_orders(qtbot) -> None:
    label = PlainLabel("a\x1b[31m\u202eb\nc")
    qtbot.addWidget(label)
    assert label.text() == "a\\x1b[31m\\u202eb\nc"


def test_a_legend_escapes_names(qtbot) -> None:
    legend = LegendLabel("■")
    qtbot.addWidget(legend)
    legend.show_entries([("rgb(1, 2, 3)", PICTURE)], title=BOLD)
    document = QTextDocument()
    document.setHtml(legend.text())
    assert BOLD in document.toPlainText()
    assert PICTURE in document.toPlainText()


_TIPS = frozenset({"setToolTip", "showText", "setWhatsThis"})
_PLAIN = frozenset({"tool_tip", "toolTip"})


def _is_safe(value: ast.expr) -> bool:
    """Return whether a tooltip is a constant, joined of such, or made by `tool_tip`."""
    if isinstance(value, ast.IfExp):
        return _is_safe(value.body) and _is_safe(value.orelse)
    if isinstance(value, ast.BoolOp):
        return all(map(_is_safe, value.values))
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else ast.unparse(value.func)
        return name in _PLAIN
    if isinstance(value, ast.Name):
        return value.id.isupper()
    return isinstance(value, ast.Constant)


def wrong_calls(source: str) -> list[str]:
    """Return the calls of a module that may have Qt take the words of others for HTML."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        is_label = name in {"QLabel", "QTextBrowser", "QTextEdit", "setHtml", "setMarkdown"}
        is_tip = name in _TIPS and not _is_safe(node.args[1 if name == "showText" else -1])
        is_box = name in {"question", "warning", "information", "critical"} and "QMessageBox" in (
            ast.unparse(node.func)
        )
        if is_label or is_tip or (is_box and not _is_safe(node.args[2])):
            found.append(f"{node.lineno}: {ast.unparse(node)[:80]}")
    return found


def test_no_module_goes_round_plain_labels_and_tooltips() -> None:
    folder = Path(napari_dre_slcl.gui.__file__).parent
    found = {
        path.name: wrong
        for path in folder.rglob("*.py")
        if (wrong := wrong_calls(path.read_text("utf-8")))
    }
    assert found == {}


def test_that_test_sees_what_it_is_for() -> None:
    assert wrong_calls("label = QLabel(name)")
    assert wrong_calls("item.setToolTip(f'{name}: {value}')")
    assert wrong_calls("QMessageBox.question(self, 'Title', name)")
    assert not wrong_calls("item.setToolTip(tool_tip(name) if name else 'None.')")
