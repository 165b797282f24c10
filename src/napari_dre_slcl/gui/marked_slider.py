"""MarkedSlider: a slider that marks one value and goes back to it with a double click."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QMouseEvent, QPainter, QPaintEvent, QPalette, QPolygonF
from qtpy.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

__all__ = ["MarkedSlider"]

_MARK_PX = 6
_HEIGHT_PX = 26


class MarkedSlider(QSlider):
    """A horizontal slider over whole numbers.

    Parameters
    ----------
    least, most : int
        Its range.
    """

    reset_requested = Signal()
    """The slider was double-clicked."""

    def __init__(self, least: int, most: int, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(least, most)
        self.setMinimumHeight(_HEIGHT_PX)
        self._mark: int | None = None

    @property
    def mark(self) -> int | None:
        """The value that is marked."""
        return self._mark

    def set_mark(self, value: int | None) -> None:
        """Mark a value with a small triangle under the slider, or none."""
        self._mark = value
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Ask for the marked value."""
        self.reset_requested.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the mark under the slider."""
        super().paintEvent(event)
        if self._mark is None:
            return
        tip = QPointF(self._x_of(self._mark), self.height() - _MARK_PX)
        left, right = (QPointF(tip.x() + side, self.height()) for side in (-_MARK_PX, _MARK_PX))
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawPolygon(QPolygonF([tip, left, right]))
        painter.end()

    def _x_of(self, value: int) -> float:
        """Return where the middle of the handle is at a value."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        groove, handle = (
            QRectF(
                self.style().subControlRect(  # type: ignore[union-attr]
                    QStyle.ComplexControl.CC_Slider, option, part, self
                )
            )
            for part in (QStyle.SubControl.SC_SliderGroove, QStyle.SubControl.SC_SliderHandle)
        )
        span = int(groove.width() - handle.width())
        place = QStyle.sliderPositionFromValue(self.minimum(), self.maximum(), value, span)
        return groove.left() + handle.width() / 2 + place
