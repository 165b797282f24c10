"""ScaledPicture: a piece of a slide with a bar and a ring as long as they would be at one mpp."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

__all__ = ["RING_UM", "ScaledPicture", "bar_um"]

RING_UM = 7.0
"""Width of the ring: that of a red blood cell in a section."""

_BARS_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_USUAL_BAR_UM = 50
_LEAST_BAR_PX, _MOST_BAR_SHARE = 24, 0.85
_EDGE_PX, _LEAST_EDGE_PX = 264, 200
_STRIP_PX = 34


def bar_um(um_per_px: float, width_px: float) -> int:
    """Return the length of a scale bar: 50 µm where that can be drawn well, else the nearest.

    Parameters
    ----------
    um_per_px : float
        µm per pixel of the screen.
    width_px : float
        Of the picture.
    """
    fitting = [
        length
        for length in _BARS_UM
        if _LEAST_BAR_PX <= length / um_per_px <= _MOST_BAR_SHARE * width_px
    ]
    return min(fitting or _BARS_UM, key=lambda length: abs(math.log(length / _USUAL_BAR_UM)))


class ScaledPicture(QWidget):
    """Shows the middle of a piece of a slide; the ring can be moved over a cell."""

    clicked = Signal()
    """The user has pressed on the picture."""
    ring_moved = Signal(QPointF)
    """The user has moved the ring; its place from the middle, in pixels of the screen."""

    def __init__(self, mpp: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mpp = mpp
        self._zoom = 1
        self._image: QImage | None = None
        self._ring = QPointF(0, 0)
        self.setMinimumSize(_LEAST_EDGE_PX, _LEAST_EDGE_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.set_mpp(mpp)

    @property
    def mpp(self) -> float:
        """µm per level-0 pixel that bar and ring are drawn for."""
        return self._mpp

    @property
    def ring_px(self) -> float:
        """Width of the ring in pixels of the screen."""
        return RING_UM / self._mpp * self._zoom

    @property
    def bar_px(self) -> float:
        """Length of the bar in pixels of the screen."""
        return self.bar_um / self._mpp * self._zoom

    @property
    def bar_um(self) -> int:
        """Length of the bar in µm."""
        return bar_um(self._mpp / self._zoom, self.width())

    def sizeHint(self) -> QSize:
        """Return a square in which a bar of 50 µm fits at 0.25 µm per pixel."""
        return QSize(_EDGE_PX, _EDGE_PX)

    def set_piece(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show level-0 pixels, shape (height, width, 3), or nothing."""
        self._image = None if pixels is None else _as_image(pixels)
        self.update()

    def set_mpp(self, mpp: float) -> None:
        """Draw bar and ring for another pixel size."""
        self._mpp = mpp
        self.setAccessibleName(f"Tissue with a scale bar for {mpp:g} µm per pixel")
        self.update()

    def set_zoom(self, zoom: int) -> None:
        """Draw each level-0 pixel as so many pixels of the screen."""
        self._zoom = zoom
        self.update()

    def set_ring(self, place: QPointF) -> None:
        """Put the ring somewhere, in pixels of the screen from the middle."""
        self._ring = place
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Say that the picture was pressed."""
        self.clicked.emit()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the ring to the mouse."""
        if event is not None:
            self.ring_moved.emit(event.position() - QRectF(self.rect()).center())

    def leaveEvent(self, event: QEvent | None) -> None:
        """Put the ring back into the middle."""
        self.ring_moved.emit(QPointF(0, 0))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw piece, ring and bar."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(255, 255, 255))
        if self._image is None:
            painter.setPen(QColor(90, 90, 90))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "Reading the slide…")
            return
        painter.drawImage(QRectF(self.rect()), self._image, self._shown_part(self._image))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_ring(painter)
        self._draw_bar(painter)

    def _shown_part(self, image: QImage) -> QRectF:
        size = QRectF(0, 0, self.width() / self._zoom, self.height() / self._zoom)
        size.moveCenter(QRectF(image.rect()).center())
        return size

    def _draw_ring(self, painter: QPainter) -> None:
        centre = QRectF(self.rect()).center() + self._ring
        radius = self.ring_px / 2
        for color, width in ((QColor(255, 255, 255), 4.0), (QColor(0, 0, 0), 1.6)):
            painter.setPen(QPen(color, width))
            painter.drawEllipse(centre, radius, radius)

    def _draw_bar(self, painter: QPainter) -> None:
        top = self.height() - _STRIP_PX
        painter.fillRect(0, top, self.width(), _STRIP_PX, QColor(255, 255, 255, 225))
        painter.setPen(QColor(0, 0, 0))
        words = QRectF(0, top + 2, self.width(), _STRIP_PX - 12)
        painter.drawText(words, Qt.AlignmentFlag.AlignCenter, f"{self.bar_um} µm")
        left = (self.width() - self.bar_px) / 2
        painter.fillRect(QRectF(left, self.height() - 9, self.bar_px, 4), QColor(0, 0, 0))


def _as_image(pixels: NDArray[np.uint8]) -> QImage:
    height, width = pixels.shape[:2]
    content = np.ascontiguousarray(pixels).tobytes()
    return QImage(content, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
