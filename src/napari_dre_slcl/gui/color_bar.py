"""ColorBar: the colours of a map from its lowest to its highest value, with numbers and unit."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.layers import TileMap, map_colormap

__all__ = ["ColorBar"]

_BAR_PX = 14
_GAP_PX = 4
_CHECKER_PX = 4
_CHECKER = ("#f2e6ee", "#d9c3d3")  # like stained tissue, so that clear colours are seen as clear


class ColorBar(QWidget):
    """A horizontal bar; its clear parts let a pattern through, as the map does the slide."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors = colors
        self._map: TileMap | None = None
        self._limits = (0.0, 1.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "The colours of the map. Where they are clear, the slide is seen through them; values "
            "beyond the ends have the colour of the end."
        )

    def setValue(self, tile_map: TileMap | None, limits: tuple[float, float]) -> None:
        """Show the colours of a map between these limits; None shows nothing."""
        self._map, self._limits = tile_map, limits
        self.setAccessibleDescription("" if tile_map is None else ", ".join(self.numbers()))
        self.update()

    def numbers(self) -> tuple[str, str, str]:
        """Return what is written under the low end, the middle and the high end."""
        low, high = self._limits
        step = (high - low) / 2
        digits = 0 if step >= 20 else max(0, 2 - int(np.floor(np.log10(step)))) if step > 0 else 2
        texts = (f"{value:,.{min(digits, 8)}f}" for value in (low, (low + high) / 2, high))
        first, middle, last = (_short(text) for text in texts)
        return first, middle, last

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room that bar and numbers need."""
        return QSize(240, _BAR_PX + _GAP_PX + QFontMetrics(self.font()).height())

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the bar and its numbers."""
        if self._map is None:
            return
        painter = QPainter(self)
        bar = QRectF(0.5, 0.5, self.width() - 1, _BAR_PX)
        self._paint_checker(painter, bar)
        painter.fillRect(bar, _gradient(self._map.kind, bar))
        painter.setPen(QPen(self._colors.text, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(bar)
        below = QRectF(0, bar.bottom() + _GAP_PX, self.width(), self.height())
        sides = (
            Qt.AlignmentFlag.AlignLeft,
            Qt.AlignmentFlag.AlignHCenter,
            Qt.AlignmentFlag.AlignRight,
        )
        for side, text in zip(sides, self.numbers(), strict=True):
            painter.drawText(below, side | Qt.AlignmentFlag.AlignTop, text)
        painter.end()

    def _paint_checker(self, painter: QPainter, bar: QRectF) -> None:
        light, dark = (QColor(color) for color in _CHECKER)
        painter.fillRect(bar, light)
        for row in range(-(-_BAR_PX // _CHECKER_PX)):
            for column in range(row % 2, int(bar.width() // _CHECKER_PX) + 1, 2):
                cell = QRectF(
                    bar.left() + column * _CHECKER_PX,
                    bar.top() + row * _CHECKER_PX,
                    _CHECKER_PX,
                    _CHECKER_PX,
                )
                painter.fillRect(cell.intersected(bar), dark)


def _gradient(kind: str, bar: QRectF) -> QLinearGradient:
    gradient = QLinearGradient(bar.topLeft(), bar.topRight())
    stops = map_colormap(kind)["colors"]
    for place, color in zip(np.linspace(0, 1, len(stops)), stops, strict=True):
        gradient.setColorAt(float(place), QColor.fromRgbF(*(float(part) for part in color)))
    return gradient


def _short(text: str) -> str:
    """Return a number without zeros at its end."""
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
