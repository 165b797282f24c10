"""CurvePlot: one small plot of some of a run's numbers over its epochs, in napari's colours."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dre_slcl.gui.legend_label import LegendLabel
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["CurvePlot"]

_HEIGHT_PX = 110
_MOST_TICKS = 6
_DRAW_EVERY_MS = 100
_AXIS_PX = 38

NameOf = Callable[[str], str | None]


class CurvePlot(QWidget):
    """One curve per number that belongs here; hidden while there is none.

    Parameters
    ----------
    title : str
        Written above the plot, before the names of the curves.
    tip : str
        What is shown, in a sentence or two.
    name_of : callable
        The name that a metric's curve goes by, such as ``subtype`` for ``val/auc/subtype``; None
        where it does not belong here.
    limits : tuple of float, optional
        Of the values; what there is by default.
    """

    def __init__(
        self,
        colors: ThemeColors,
        title: str,
        tip: str,
        name_of: NameOf,
        limits: tuple[float, float] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._colors = colors
        self._title = title
        self._name_of = name_of
        self._limits = limits
        self._values: dict[str, tuple[list[int], list[float]]] = {}
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._plot: pg.PlotWidget | None = None  # made when there is something to draw
        self._is_due = False
        self._legend = LegendLabel("━")
        self.setToolTip(tool_tip(tip))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addWidget(self._legend)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DRAW_EVERY_MS)
        self._timer.timeout.connect(self._draw)
        self.hide()

    def value(self) -> dict[str, tuple[list[int], list[float]]]:
        """Return steps and values of each curve, by the name of its metric."""
        return self._values

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve; drawn soon, with whatever else comes until then.

        Parameters
        ----------
        step : int
            Epoch. One that was there already is replaced with all that came after it, as a resumed
            run trains it again.
        values : mapping of float
            By name; those that do not belong here are passed over.
        """
        for name, value in values.items():
            if self.takes(name):
                self.put(name, step, value)

    def takes(self, name: str) -> bool:
        """Whether a metric belongs here."""
        return self._name_of(name) is not None

    def put(self, name: str, step: int, value: float) -> None:
        """Add one point to the curve of a metric that belongs here; as `add`."""
        if not math.isfinite(value):
            return
        steps, points = self._values.setdefault(name, ([], []))
        while steps and steps[-1] >= step:
            steps.pop()
            points.pop()
        steps.append(step)
        points.append(value)
        if not self._is_due:
            self._is_due = True
            self._timer.start()

    def clear(self) -> None:
        """Forget all points."""
        self._values = {}
        self._timer.stop()
        self._draw()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        if self._plot is not None:
            self._paint_axes(self._plot)
            self._draw()

    def _draw(self) -> None:
        """Draw, and leave the window ten times as long to itself before it is done again."""
        self._is_due = False
        begun = time.perf_counter()
        self._draw_all()
        spent_ms = 1000 * (time.perf_counter() - begun)
        self._timer.setInterval(max(_DRAW_EVERY_MS, int(10 * spent_ms)))

    def _draw_all(self) -> None:
        self.setVisible(bool(self._values))
        if not self._values and self._plot is None:
            return
        plot = self._plot or self._make_plot()
        for name in [name for name in self._curves if name not in self._values]:
            plot.removeItem(self._curves.pop(name))
        entries = []
        for number, (name, (steps, points)) in enumerate(self._values.items()):
            entries.append(self._draw_curve(plot, number, name, steps, points))
        self._legend.show_entries(entries, self._title)
        last = max((steps[-1] for steps, _ in self._values.values()), default=1)
        spacing = max(1, math.ceil(last / _MOST_TICKS))
        plot.getAxis("bottom").setTickSpacing(spacing, spacing)

    def _draw_curve(
        self, plot: pg.PlotWidget, number: int, name: str, steps: list[int], points: list[float]
    ) -> tuple[str, str]:
        """Draw one curve and return its entry of the legend."""
        if name not in self._curves:
            # Only the lowest and highest of the points under one pixel, so that thousands are fast.
            self._curves[name] = plot.plot(
                autoDownsample=True, downsampleMethod="peak", clipToView=True
            )
        color = self._colors.series[number % len(self._colors.series)]
        curve = self._curves[name]
        style = Qt.PenStyle.DashLine if name.startswith("chance") else Qt.PenStyle.SolidLine
        curve.setPen(pg.mkPen(color, width=3 if self._is_whole(name) else 1.5, style=style))
        curve.setSymbol("o" if len(steps) == 1 else None)
        curve.setSymbolSize(6)
        curve.setSymbolBrush(color)
        curve.setData(np.asarray(steps, dtype=float), np.asarray(points))
        words = (self._name_of(name), f"{points[-1]:.3g}")
        return color.name(), "\N{NO-BREAK SPACE}".join(word for word in words if word)

    def _is_whole(self, name: str) -> bool:
        return "/" not in name or len(self._values) == 1

    def _make_plot(self) -> pg.PlotWidget:
        plot = self._plot = pg.PlotWidget()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.setFixedHeight(_HEIGHT_PX)
        plot.getAxis("left").setWidth(_AXIS_PX)  # so that the epochs of all plots line up
        if self._limits is not None:
            plot.setYRange(*self._limits, padding=0.1)  # room for the topmost number
        self._paint_axes(plot)
        self._layout.addWidget(plot)
        return plot

    def _paint_axes(self, plot: pg.PlotWidget) -> None:
        plot.setBackground(self._colors.background)
        for name in ("bottom", "left"):
            plot.getAxis(name).setPen(self._colors.text)
            plot.getAxis(name).setTextPen(self._colors.text)
