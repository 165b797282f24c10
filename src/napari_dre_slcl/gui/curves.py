"""LossCurve: the numbers of a training run over its epochs, in napari's colours."""

from __future__ import annotations

import html
import math

import pyqtgraph as pg
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["LossCurve"]

_HEIGHT_PX = 160
_MOST_TICKS = 6


class LossCurve(QWidget):
    """One curve per named number, such as ``loss`` and ``loss/subtype``."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors = colors
        self._values: dict[str, tuple[list[int], list[float]]] = {}
        self._plot = pg.PlotWidget(background=colors.background)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.setFixedHeight(_HEIGHT_PX)
        self._legend = QLabel()  # above the plot, where no curve runs through it
        self._legend.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot)
        self._draw()

    def value(self) -> dict[str, tuple[list[int], list[float]]]:
        """Return steps and values of each curve."""
        return self._values

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add one point to each named curve.

        Parameters
        ----------
        step : int
            Epoch.
        values : dict of float
            By name; only names that begin with ``loss`` are drawn.
        """
        for name, value in values.items():
            if name.split("/")[0] == "loss":
                steps, points = self._values.setdefault(name, ([], []))
                steps.append(step)
                points.append(value)
        self._draw()

    def clear(self) -> None:
        """Forget all points."""
        self._values = {}
        self._draw()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self._plot.setBackground(colors.background)
        self._draw()

    def _draw(self) -> None:
        item = self._plot.getPlotItem()
        item.clear()
        names = ["Loss by epoch:"]
        for axis in ("bottom", "left"):
            item.getAxis(axis).setPen(self._colors.text)
            item.getAxis(axis).setTextPen(self._colors.text)
        for number, (name, (steps, points)) in enumerate(self._values.items()):
            color = self._colors.series[number % len(self._colors.series)]
            pen = pg.mkPen(color, width=3 if name == "loss" else 1.5)
            symbol = "o" if len(steps) == 1 else None
            shown = "all" if name == "loss" else name.removeprefix("loss/")
            names.append(f'<span style="color:{color.name()}">━</span>&nbsp;{html.escape(shown)}')
            item.plot(steps, points, pen=pen, symbol=symbol, symbolSize=6, symbolBrush=color)
        self._legend.setText("&ensp; ".join(names))
        n_steps = max((max(steps) for steps, _ in self._values.values()), default=1)
        spacing = max(1, math.ceil(n_steps / _MOST_TICKS))
        item.getAxis("bottom").setTickSpacing(spacing, spacing)
