"""PointMap: many coloured points on a plane, to zoom, to move, to click and to brush over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPointF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_dre_slcl.gui.point_raster import View, draw_points, inside, nearest_point
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["PointMap"]

_HEIGHT_PX = 300
_NEAR_PX = 8.0
_CLICK_PX = 4.0
_MOST_CORNERS = 200
_ZOOM = 1.25
_PALE = 70
"""Opacity of what is not selected while something is, of 255."""


class PointMap(QWidget):
    """Draws points; dragging selects, the wheel zooms, the right button moves.

    Parameters
    ----------
    colors : ThemeColors
        To paint with.
    """

    brushed = Signal(object)
    """(m,) int64 numbers of the points that were dragged around."""
    clicked = Signal(int)
    """Number of a point that was clicked."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = colors
        self._points = np.empty((0, 2))
        self._colors = np.empty((0, 4), np.uint8)
        self._selected = np.empty(0, np.int64)
        self._view: View | None = None
        self._picture: QImage | None = None
        self._edge_px = 3
        self._corners: list[QPointF] = []
        self._dragged_from: QPointF | None = None
        self.tool: Literal["lasso", "rectangle"] = "lasso"
        self.text_of: Callable[[int], str] = lambda number: ""
        """Gives the tooltip of a point."""
        self.setFixedHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("Map of tiles or slides")

    def set_points(self, points: NDArray[np.floating], colors: NDArray[np.uint8]) -> None:
        """Show other points.

        Parameters
        ----------
        points : ndarray
            (n, 2) x and y.
        colors : ndarray
            (n, 3) uint8 RGB.
        """
        self._points = np.asarray(points, np.float64)
        self._selected = np.empty(0, np.int64)
        self._view = None
        self.set_point_colors(colors)

    def set_point_colors(self, colors: NDArray[np.uint8]) -> None:
        """Show the same points in other colours, (n, 3) uint8 RGB."""
        opaque = np.full((len(colors), 1), 255, np.uint8)
        self._colors = np.concatenate([np.asarray(colors, np.uint8), opaque], axis=1)
        self._edge_px = 3 if len(colors) > 2000 else 5 if len(colors) > 200 else 9
        self._redraw()

    def selected(self) -> NDArray[np.int64]:
        """Return numbers of the points that stand out."""
        return self._selected

    def set_selected(self, numbers: NDArray[np.int64]) -> None:
        """Let points stand out; none lets all look alike."""
        self._selected = np.asarray(numbers, np.int64)
        self._redraw()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._theme = colors
        self._redraw()

    def reset_view(self) -> None:
        """Show all points."""
        self._view = None
        self._redraw()

    def sizeHint(self) -> QSize:
        """Return a size at which groups can be told apart."""
        return QSize(340, _HEIGHT_PX)

    def _redraw(self) -> None:
        self._picture = None
        self.update()

    def _now(self) -> View:
        if self._view is None:
            return View.of_all(self._points, self.width(), self.height())
        return self._view

    def _points_px(self) -> NDArray[np.float64]:
        return self._now().to_px(self._points, self.width(), self.height())

    def _drawn(self) -> QImage:
        """Return the points as a picture, drawn once per view."""
        shape = (self.height(), self.width())
        points, colors = self._points_px(), self._colors
        if len(self._selected):
            colors = colors.copy()
            colors[:, 3] = _PALE
        pixels = draw_points(points, colors, shape, self._edge_px)
        if len(self._selected):  # over the others, and larger
            chosen = self._selected
            over = draw_points(points[chosen], self._colors[chosen], shape, self._edge_px + 2)
            is_drawn = over[..., 3] > 0
            pixels[is_drawn] = over[is_drawn]
        image = QImage(
            pixels.tobytes(), shape[1], shape[0], 4 * shape[1], QImage.Format.Format_RGBA8888
        )
        return image.copy()

    def resizeEvent(self, event: object) -> None:
        """Draw anew for another width."""
        self._picture = None

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the points and what is being dragged."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.background.darker(108))
        if self._picture is None:
            self._picture = self._drawn()
        painter.drawImage(0, 0, self._picture)
        if self._corners:
            painter.setPen(QPen(self._theme.text, 1.5, Qt.PenStyle.DashLine))
            painter.drawPolygon(QPolygonF(self._outline()))
        painter.setPen(self._theme.track)
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _outline(self) -> list[QPointF]:
        if self.tool == "lasso" or len(self._corners) < 2:
            return self._corners
        start, end = self._corners[0], self._corners[-1]
        return [start, QPointF(end.x(), start.y()), end, QPointF(start.x(), end.y())]

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to select with the left button, to move with the others."""
        if event is None:
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self._corners = [event.position()]
        else:
            self._dragged_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go on with what the button has begun."""
        if event is None:
            return
        if self._dragged_from is not None:
            moved = event.position() - self._dragged_from
            self._view = self._now().moved(moved.x(), moved.y())
            self._dragged_from = event.position()
            self._redraw()
        elif self._corners:
            self._corners.append(event.position())
            if len(self._corners) > _MOST_CORNERS:  # a longer outline loses every other corner
                self._corners = self._corners[::2]
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tell what was selected or clicked."""
        self._dragged_from = None
        if event is None or not self._corners:
            return
        corners, self._corners = [*self._corners, event.position()], []
        start = corners[0]
        reach = max(abs((one - start).x()) + abs((one - start).y()) for one in corners)
        points = self._points_px()
        if reach < _CLICK_PX:
            number = nearest_point(points, start.x(), start.y(), _NEAR_PX)
            if number is None:
                self.brushed.emit(np.empty(0, np.int64))
            else:
                self.clicked.emit(number)
        else:
            self._corners = corners
            outline = np.array([(one.x(), one.y()) for one in self._outline()])
            self._corners = []
            self.brushed.emit(
                np.flatnonzero(inside(points, outline, (self.height(), self.width()))).astype(
                    np.int64
                )
            )
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Show all points again."""
        self.reset_view()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom about the mouse."""
        if event is None:
            return
        place = event.position()
        factor = _ZOOM if event.angleDelta().y() > 0 else 1 / _ZOOM
        size = (self.width(), self.height())
        self._view = self._now().zoomed(factor, place.x(), place.y(), *size)
        self._redraw()
        event.accept()  # else the panel would scroll as well

    def event(self, event: QEvent | None) -> bool:
        """Show the tooltip of the point under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = nearest_point(self._points_px(), event.pos().x(), event.pos().y(), _NEAR_PX)
            text = "" if number is None else self.text_of(number)
            QToolTip.showText(event.globalPos(), tool_tip(text) or self.toolTip(), self)
            return True
        return super().event(event)
