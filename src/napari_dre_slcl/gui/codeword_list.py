"""CodewordList: the codewords of a result with a box to leave each out."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_dre_slcl.gui.codeword_style import CodewordStyle
from napari_dre_slcl.gui.texts import share_text
from napari_dre_slcl.layers import codeword_shares
from napari_dre_slcl.results import SlideResult

__all__ = ["CodewordList"]

_SWATCH_PX = 12
_MOST_ROWS = 8


class CodewordList(QListWidget):
    """Rows of box, colour, name and share of the slide.

    Parameters
    ----------
    style : CodewordStyle
        Names and colours.
    """

    valueChanged = Signal(tuple)
    """Numbers of the codewords that are ticked."""

    def __init__(self, style: CodewordStyle, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._style = style
        self._result: SlideResult | None = None
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setToolTip(
            "A codeword is a kind of tissue that the model tells apart by itself. Tick those to "
            "leave out."
        )
        self.itemChanged.connect(lambda _: self.valueChanged.emit(self.value()))

    def value(self) -> tuple[int, ...]:
        """Return the numbers of the ticked codewords, from 0."""
        rows = (self.item(row) for row in range(self.count()))
        return tuple(
            int(item.data(Qt.ItemDataRole.UserRole))
            for item in rows
            if item is not None and item.checkState() == Qt.CheckState.Checked
        )

    def setValue(self, numbers: tuple[int, ...]) -> None:
        """Tick these codewords and no others."""
        with QSignalBlocker(self):
            for row in range(self.count()):
                item = self.item(row)
                if item is not None:
                    is_on = item.data(Qt.ItemDataRole.UserRole) in numbers
                    item.setCheckState(_state(is_on))
        self.valueChanged.emit(self.value())

    def set_result(self, result: SlideResult | None) -> None:
        """Show the codewords of a result that have tiles; none is ticked."""
        self._result = result
        with QSignalBlocker(self):
            self.clear()
            shares = np.empty(0) if result is None else codeword_shares(result)
            for number in np.argsort(-shares, kind="stable").tolist():
                if shares[number] > 0:
                    self._add(number, float(shares[number]))
        height = self.sizeHintForRow(0) if self.count() else 0
        self.setFixedHeight(height * min(self.count(), _MOST_ROWS) + 2 * self.frameWidth())
        self.setVisible(self.count() > 0)

    def follow_style(self) -> None:
        """Take names and colours over anew; what is ticked stays."""
        with QSignalBlocker(self):
            for row in range(self.count()):
                item = self.item(row)
                if item is not None:
                    self._dress(item)

    def _add(self, number: int, share: float) -> None:
        item = QListWidgetItem()
        item.setData(Qt.ItemDataRole.UserRole, number)
        item.setData(Qt.ItemDataRole.UserRole + 1, share)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(_state(False))
        self._dress(item)
        self.addItem(item)

    def _dress(self, item: QListWidgetItem) -> None:
        number = int(item.data(Qt.ItemDataRole.UserRole))
        share = float(item.data(Qt.ItemDataRole.UserRole + 1))
        item.setText(f"{self._style.name(number)}, {share_text(share)}")
        colors = self._style.colors
        if number < len(colors):
            swatch = QPixmap(_SWATCH_PX, _SWATCH_PX)
            swatch.fill(QColor.fromRgbF(*(float(part) for part in colors[number, :3])))
            item.setIcon(QIcon(swatch))


def _state(is_on: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if is_on else Qt.CheckState.Unchecked
