"""MapLook: how strongly the map is drawn, and between which values its colours run."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from superqt import QDoubleRangeSlider, QDoubleSlider

from napari_dre_slcl.gui.color_bar import ColorBar
from napari_dre_slcl.gui.map_drawing import set_limits
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.layers import TileMap

__all__ = ["MapLook"]

_HORIZONTAL = Qt.Orientation.Horizontal


class MapLook(QWidget):
    """Follows the layer of the map both ways, so that napari's own sliders agree with these."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Image | None = None
        self._map: TileMap | None = None
        self.color_bar = ColorBar(colors)
        self.limits = QDoubleRangeSlider(_HORIZONTAL)
        self.limits.setToolTip(
            "Between which values the colours run. Both ends move together around 0 where values "
            "have a sign."
        )
        self.opacity = QDoubleSlider(_HORIZONTAL)
        self.opacity.setRange(0, 1)
        self.opacity.setToolTip("How strongly the map covers the slide.")
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Let the colours span all values but the outermost again.")
        self._lay_out()
        self.limits.valueChanged.connect(self._on_limits)
        self.opacity.valueChanged.connect(self._on_opacity)
        self.reset_button.clicked.connect(self.reset)

    def _lay_out(self) -> None:
        layout, form, row = QVBoxLayout(self), QFormLayout(), QHBoxLayout()
        for part in (layout, form, row):
            part.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.limits, 1)
        row.addWidget(self.reset_button)
        form.addRow("Values", row)
        form.addRow("Opacity", self.opacity)
        layout.addWidget(self.color_bar)
        layout.addLayout(form)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.color_bar.set_colors(colors)

    def setValue(self, layer: Layer | None, tile_map: TileMap | None) -> None:
        """Follow a layer that shows a map; None for either follows none."""
        shown = layer if isinstance(layer, Image) and tile_map is not None else None
        self._map = tile_map
        if shown is not self._layer:
            self.let_go()
            self._layer = shown
            if shown is not None:
                shown.events.contrast_limits.connect(self._follow)
                shown.events.opacity.connect(self._follow)
        self.setVisible(shown is not None)
        self._follow()

    def let_go(self) -> None:
        """Follow no layer any more."""
        if self._layer is not None:
            self._layer.events.contrast_limits.disconnect(self._follow)
            self._layer.events.opacity.disconnect(self._follow)
            self._layer = None

    def reset(self) -> None:
        """Let the colours span all values but the outermost again."""
        if self._layer is not None and self._map is not None:
            set_limits(self._layer, self._map.limits)

    def _follow(self, event: Any = None) -> None:
        if self._layer is None or self._map is None:
            self.color_bar.setValue(None, (0, 1))
            return
        low, high = self._layer.contrast_limits
        self.color_bar.setValue(self._map, (low, high))
        for slider in (self.limits, self.opacity):
            slider.blockSignals(True)
        self.limits.setRange(*self._range(low, high))
        self.limits.setValue((low, high))
        self.opacity.setValue(self._layer.opacity)
        for slider in (self.limits, self.opacity):
            slider.blockSignals(False)

    def _range(self, low: float, high: float) -> tuple[float, float]:
        """Return the ends of the slider: beyond the outermost values there is nothing to see."""
        if self._map is None:
            return low, high
        ends = (*self._map.extremes, *self._map.limits, low, high)
        return min(ends), max(ends)

    def _on_limits(self, limits: tuple[float, float]) -> None:
        if self._layer is None or self._map is None:
            return
        low, high = limits
        if self._map.kind == "diverging":
            before = self._layer.contrast_limits
            moved = low if abs(low - before[0]) > abs(high - before[1]) else high
            low, high = -abs(moved), abs(moved)
        if high > low:
            first, last = self._range(low, high)
            self._layer.contrast_limits_range = (first, last)
            self._layer.contrast_limits = (low, high)

    def _on_opacity(self, opacity: float) -> None:
        if self._layer is not None:
            self._layer.opacity = opacity
