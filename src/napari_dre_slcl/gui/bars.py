"""BarList: painted rows of name, bar and value; the predictions and the legend are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QEvent, QLineF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["Bar", "BarList"]

_GAP_PX = 8
_RADIUS_PX = 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One row.

    Parameters
    ----------
    name : str
        Written at the left.
    value : float
        Length of the bar, 0 to 1.
    text : str
        Written at the right.
    color : QColor or None
        Of the bar; None takes the theme's accent.
    has_swatch : bool
        Paint a square of the colour before the name, as legends do.
    is_heading : bool
        Name and text only, in bold.
    low, high : float or None
        Ends of a whisker on the bar, 0 to 1; none where one of them is None.
    is_faint : bool
        Paint the bar pale: its value is no answer.
    hint : str
        Shown while the mouse rests on the row.
    """

    name: str
    value: float = 0.0
    text: str = ""
    color: QColor | None = None
    has_swatch: bool = False
    is_heading: bool = False
    low: float | None = None
    high: float | None = None
    is_faint: bool = False
    hint: str = ""


class BarList(QWidget):
    """Rows of bars, as wide as there is room and as high as they need."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors = colors
        self._bars: tuple[Bar, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def value(self) -> tuple[Bar, ...]:
        """Return the rows."""
        return self._bars

    def setValue(self, bars: Sequence[Bar]) -> None:
        """Show these rows."""
        self._bars = tuple(bars)
        spoken = [f"{bar.name} {bar.text} {bar.hint}".strip() for bar in self._bars]
        self.setAccessibleDescription("; ".join(spoken))
        self.updateGeometry()
        self.update()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room that the rows need."""
        return QSize(240, self._row_height() * len(self._bars))

    def minimumSizeHint(self) -> QSize:
        """Return the least room that keeps rows legible."""
        return QSize(160, self._row_height() * len(self._bars))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the rows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text_width = max((self._width_of(bar.text) for bar in self._bars), default=0)
        rows = [bar for bar in self._bars if not bar.is_heading]
        name_width = max((self._width_of(bar.name) for bar in rows), default=0)
        swatch_width = self._row_height() if any(bar.has_swatch for bar in rows) else 0
        name_width = min(name_width + swatch_width, self.width() // 2)
        for number, bar in enumerate(self._bars):
            top = number * self._row_height()
            if bar.is_heading:
                self._paint_heading(painter, bar, top)
            else:
                self._paint_bar(painter, bar, top, name_width, text_width)
        painter.end()

    def _paint_heading(self, painter: QPainter, bar: Bar, top: int) -> None:
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(self._colors.text)
        box = QRectF(0, top, self.width(), self._row_height())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, bar.name)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, bar.text)
        font.setBold(False)
        painter.setFont(font)

    def _paint_bar(
        self, painter: QPainter, bar: Bar, top: int, name_width: int, text_width: int
    ) -> None:
        height = self._row_height()
        color = bar.color or self._colors.accent
        left = 0
        painter.setPen(Qt.PenStyle.NoPen)
        if bar.has_swatch:
            painter.setBrush(color)
            painter.drawRect(QRectF(2, top + 4, height - 8, height - 8))
            left = height
        track = QRectF(
            name_width + _GAP_PX,
            top + height * 0.25,
            max(0, self.width() - name_width - text_width - 2 * _GAP_PX),
            height * 0.5,
        )
        painter.setBrush(self._colors.track)
        painter.drawRoundedRect(track, _RADIUS_PX, _RADIUS_PX)
        filled = QRectF(track)
        filled.setWidth(track.width() * min(1.0, max(0.0, bar.value)))
        painter.setBrush(_faint(color) if bar.is_faint else color)
        painter.drawRoundedRect(filled, _RADIUS_PX, _RADIUS_PX)
        if bar.low is not None and bar.high is not None:
            self._paint_whisker(painter, track, bar.low, bar.high)
        painter.setPen(self._colors.text)
        metrics = QFontMetrics(self.font())
        room = name_width - left
        name = metrics.elidedText(bar.name, Qt.TextElideMode.ElideMiddle, room)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(left, top, room, height), Qt.AlignmentFlag.AlignLeft | middle, name)
        box = QRectF(self.width() - text_width, top, text_width, height)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | middle, bar.text)

    def _paint_whisker(self, painter: QPainter, track: QRectF, low: float, high: float) -> None:
        """Paint a line from low to high with an end stroke each, edged to stand out of the bar."""
        left, right = (track.left() + track.width() * min(1.0, max(0.0, x)) for x in (low, high))
        middle, reach = track.center().y(), track.height() / 2 + 1
        lines = [
            QLineF(left, middle, right, middle),
            QLineF(left, middle - reach, left, middle + reach),
            QLineF(right, middle - reach, right, middle + reach),
        ]
        for color, width in ((self._colors.background, 4.0), (self._colors.text, 1.5)):
            painter.setPen(QPen(color, width))
            for line in lines:
                painter.drawLine(line)

    def event(self, event: QEvent | None) -> bool:
        """Show the hint of the row that the mouse rests on."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = event.pos().y() // self._row_height()
            hint = self._bars[number].hint if 0 <= number < len(self._bars) else ""
            QToolTip.showText(event.globalPos(), tool_tip(hint) or self.toolTip(), self)
            return True
        return super().event(event)

    def _width_of(self, text: str) -> int:
        return QFontMetrics(self.font()).horizontalAdvance(text) + 2

    def _row_height(self) -> int:
        return QFontMetrics(self.font()).height() + 8


def _faint(color: QColor) -> QColor:
    pale = QColor(color)
    pale.setAlphaF(0.4)
    return pale
