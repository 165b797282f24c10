"""TileLine: what is known of the tile under the mouse, in a table that keeps its height."""

from __future__ import annotations

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tile_hover import TileHover

__all__ = ["TileLine"]

_LEAST_LINES = 3
_GAP_PX = 8
_EMPTY = (
    "Move the mouse over the slide: the values of each tile are told here. A click selects a tile, "
    "with Shift one more."
)


class TileLine(QWidget):
    """Follows a `TileHover`; painted, because it changes with every move of the mouse.

    Parameters
    ----------
    hover : TileHover
        Knows the tile under the mouse.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self, hover: TileHover, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._hover = hover
        self._colors = colors
        self._rows: list[tuple[str, str]] = []
        self._n_lines = _LEAST_LINES
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("The tile under the mouse. Its values are also in napari's status bar.")
        hover.tile_changed.connect(self._show)
        hover.facts_changed.connect(self._make_room)
        self._make_room()

    def text(self) -> str:
        """Return what is shown, one line per value."""
        return "\n".join(f"{name}: {value}" for name, value in self._rows) or _EMPTY

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room for all that is known of a tile, whether the mouse is on one or not."""
        return QSize(200, self._n_lines * self._line_height() + 2)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint names at the left, values at the right."""
        painter = QPainter(self)
        painter.setPen(self._colors.text)
        if not self._rows:
            flags = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), int(flags), _EMPTY)
        metrics = QFontMetrics(self.font())
        for number, (name, value) in enumerate(self._rows):
            line = QRectF(0, number * self._line_height(), self.width(), self._line_height())
            value_px = metrics.horizontalAdvance(value)
            room = max(0, self.width() - value_px - _GAP_PX)
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
            painter.drawText(line, Qt.AlignmentFlag.AlignLeft, shown)
            painter.drawText(line, Qt.AlignmentFlag.AlignRight, value)
        painter.end()

    def _make_room(self) -> None:
        self._n_lines = max(_LEAST_LINES, len(self._hover.rows_of(0)))
        self.updateGeometry()
        self._show()

    def _show(self, tile: int | None = None) -> None:
        self._rows = self._hover.rows()
        self.update()

    def _line_height(self) -> int:
        return QFontMetrics(self.font()).lineSpacing()
