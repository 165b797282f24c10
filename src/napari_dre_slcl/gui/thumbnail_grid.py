"""ThumbnailGrid: pictures of tiles with a line or two under each; read when they are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QEvent, QRect, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tile_thumbnails import TileKey, TileThumbnails
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["Thumbnail", "ThumbnailGrid"]

_GAP_PX = 6
_MOST_EDGE_PX = 112


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture.

    Parameters
    ----------
    key : TileKey
        What it shows.
    lines : tuple of str
        Written under it.
    tooltip : str
        Shown over it.
    """

    key: TileKey
    lines: tuple[str, ...] = ()
    tooltip: str = ""


class ThumbnailGrid(QWidget):
    """Pictures side by side, as wide as there is room.

    Parameters
    ----------
    thumbnails : TileThumbnails
        Reads them.
    colors : ThemeColors
        To paint with.
    columns : int
        Pictures in a row.
    """

    activated = Signal(int)
    """Number of a picture that was clicked, or chosen by the arrow keys and Enter."""

    def __init__(
        self,
        thumbnails: TileThumbnails,
        colors: ThemeColors,
        columns: int = 3,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._colors = colors
        self._columns = columns
        self._items: tuple[Thumbnail, ...] = ()
        self._current = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        thumbnails.arrived.connect(self.update)

    def value(self) -> tuple[Thumbnail, ...]:
        """Return what is shown."""
        return self._items

    def setValue(self, items: Sequence[Thumbnail]) -> None:
        """Show these pictures."""
        self._items = tuple(items)
        self._current = 0
        self.setAccessibleDescription("; ".join(" ".join(item.lines) for item in self._items))
        has_items = bool(self._items)
        hand = Qt.CursorShape.PointingHandCursor if has_items else Qt.CursorShape.ArrowCursor
        self.setCursor(hand)
        self._fit_height()
        self.update()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room that the pictures need at this width."""
        return QSize(240, self._height())

    def minimumSizeHint(self) -> QSize:
        """Return the least room."""
        return QSize(120, self._height())

    def resizeEvent(self, event: object) -> None:
        """Keep pictures square when the dock gets wider."""
        self._fit_height()

    def _fit_height(self) -> None:
        if self.height() != self._height():
            self.setFixedHeight(self._height())

    def _edge(self) -> int:
        room = (self.width() - _GAP_PX * (self._columns - 1)) // self._columns
        return max(24, min(room, _MOST_EDGE_PX))

    def _pitch(self) -> int:
        """Return how far the columns lie apart: they spread over the width."""
        return max(self._edge() + _GAP_PX, (self.width() + _GAP_PX) // self._columns)

    def _line_height(self) -> int:
        return QFontMetrics(self.font()).height()

    def _row_height(self) -> int:
        n_lines = max((len(item.lines) for item in self._items), default=0)
        return self._edge() + n_lines * self._line_height() + _GAP_PX

    def _height(self) -> int:
        n_rows = -(-len(self._items) // self._columns)
        return n_rows * self._row_height()

    def _box(self, number: int) -> QRect:
        row, column = divmod(number, self._columns)
        return QRect(column * self._pitch(), row * self._row_height(), self._edge(), self._edge())

    def _at(self, x: float, y: float) -> int | None:
        column, row = int(x // self._pitch()), int(y // max(1, self._row_height()))
        number = row * self._columns + column
        is_there = 0 <= column < self._columns and 0 <= number < len(self._items)
        return number if is_there else None

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the pictures that are in view; this alone has them read."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        seen = self.rect() if event is None else event.rect()
        for number, item in enumerate(self._items):
            box = self._box(number)
            if seen.intersects(box.adjusted(0, 0, 0, self._row_height())):
                self._paint(painter, item, box, self.hasFocus() and number == self._current)
        painter.end()

    def _paint(self, painter: QPainter, item: Thumbnail, box: QRect, is_current: bool) -> None:
        image = self._thumbnails.image(item.key)
        if image is None:
            painter.fillRect(box, self._colors.track)
            painter.setPen(self._colors.text)
            sign = "no picture" if self._thumbnails.why_not(item.key) else "…"
            centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(box, centred, sign)
        else:
            painter.drawImage(box, image)
        if is_current:
            painter.setPen(QPen(self._colors.accent, 3))
            painter.drawRect(box.adjusted(1, 1, -2, -2))
        painter.setPen(self._colors.text)
        metrics, room = QFontMetrics(self.font()), self._pitch() - _GAP_PX
        for number, line in enumerate(item.lines):
            top = box.bottom() + 1 + number * self._line_height()
            text = metrics.elidedText(line, Qt.TextElideMode.ElideMiddle, room)
            place = QRect(box.left(), top, room, self._line_height())
            painter.drawText(place, Qt.AlignmentFlag.AlignLeft, text)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Say which picture was clicked."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        number = self._at(event.position().x(), event.position().y())
        if number is not None:
            self._current = number
            self.activated.emit(number)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go through the pictures with the arrow keys; Enter chooses."""
        if event is None or not self._items:
            return
        steps: dict[int, int] = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: -self._columns,
            Qt.Key.Key_Down: self._columns,
        }
        key = event.key()
        if key in steps:
            self._current = min(max(self._current + steps[key], 0), len(self._items) - 1)
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.activated.emit(self._current)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Show the tooltip of the picture under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self._at(event.pos().x(), event.pos().y())
            if number is None:
                QToolTip.hideText()
            else:
                item = self._items[number]
                why_not = self._thumbnails.why_not(item.key)
                text = "\n".join(part for part in (item.tooltip, why_not) if part)
                QToolTip.showText(event.globalPos(), tool_tip(text), self)
            return True
        return super().event(event)
