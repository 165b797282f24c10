"""AnswerView: what the model says of the slide that is meant, and which layers show it."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_dre_slcl.gui.bars import BarList
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.prediction_bars import legend_bars, prediction_bars
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.texts import provenance_text
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tile_hover import TileHover
from napari_dre_slcl.gui.tile_line import TileLine
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.layers import codeword_shares
from napari_dre_slcl.results import SlideResult

__all__ = ["AnswerView"]

_KINDS = {
    "clusters": ("Clusters", "Draw each tile in the colour of its codeword (its kind of tile)."),
    "attention": ("Map", "Draw the values that are chosen under Maps, attention at first."),
}
_NOTHING = "No result is shown."
_SIDE_BY_SIDE = "Clusters at the left, the map at the right. What else is open is hidden meanwhile."
_LEGEND = (
    "Share of the slide's tiles that belong to each codeword. A codeword is a kind of tile that "
    "the model has found by itself; its name is given by you, under Codewords."
)


class AnswerView(QWidget):
    """Predictions with intervals, ticks for the layers, the tile under the mouse, the legend.

    Parameters
    ----------
    session : Session
        What the panels share.
    hover : TileHover
        Knows the tile under the mouse.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self,
        session: Session,
        hover: TileHover,
        colors: ThemeColors,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._shares = np.empty(0)  # kept, because a new colour must not count a million tiles
        self._build(hover, colors)
        self._lay_out()
        self._connect()

    def _build(self, hover: TileHover, colors: ThemeColors) -> None:
        self.title = heading("")
        self.title.setWordWrap(True)
        self.predictions = BarList(colors)
        self.toggles = {kind: QCheckBox(name) for kind, (name, _) in _KINDS.items()}
        for kind, (_, hint) in _KINDS.items():
            self.toggles[kind].setToolTip(tool_tip(hint))
        self.side_by_side = QCheckBox("Side by side")
        self.side_by_side.setToolTip(_SIDE_BY_SIDE)
        self.tile_line = TileLine(hover, colors)
        self.legend_title = heading("Tile clusters, share of the slide")
        self.legend = BarList(colors)
        self.legend.setToolTip(_LEGEND)
        self.provenance = PlainLabel(_NOTHING)  # shown elsewhere: it is long, and seldom read
        self.provenance.setWordWrap(True)
        self.provenance.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _lay_out(self) -> None:
        toggles = QHBoxLayout()
        for toggle in (*self.toggles.values(), self.side_by_side):
            toggles.addWidget(toggle)
        toggles.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addWidget(self.predictions)
        layout.addWidget(heading("Layers"))
        layout.addLayout(toggles)
        layout.addWidget(self.tile_line)
        layout.addWidget(self.legend_title)
        layout.addWidget(self.legend)

    def _connect(self) -> None:
        overlay = self._session.overlay
        for kind, toggle in self.toggles.items():
            toggle.toggled.connect(lambda is_on, kind=kind: overlay.set_visible(kind, is_on))
        self.side_by_side.toggled.connect(overlay.set_side_by_side)
        overlay.visibility_changed.connect(self.show_visibility)
        overlay.active_changed.connect(self.show_visibility)
        self._session.codewords_changed.connect(self._show_legend)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.predictions.set_colors(colors)
        self.legend.set_colors(colors)
        self.tile_line.set_colors(colors)

    def show_result(self, result: SlideResult) -> None:
        """Show predictions, legend and provenance."""
        self._shares = codeword_shares(result) if len(result.codeword) else np.empty(0)
        self.title.setText(f"Predictions for {result.slide_id}")
        self.predictions.setValue(prediction_bars(result))
        self.provenance.setText(provenance_text(result))
        self.provenance.setToolTip(
            tool_tip("\n".join(f"{name}: {value}" for name, value in result.provenance.items()))
        )
        self._show_legend()
        self.show_visibility()

    def _show_legend(self) -> None:
        bars = legend_bars(self._shares, self._session.codewords)
        self.legend.setValue(bars)
        self.legend_title.setVisible(bool(bars))

    def show_visibility(self) -> None:
        """Tick the layers that are shown."""
        overlay = self._session.overlay
        for kind, toggle in self.toggles.items():
            layer = overlay.layer(kind)
            toggle.setEnabled(layer is not None)
            _tick(toggle, layer is not None and layer.visible)
        has_both = all(toggle.isEnabled() for toggle in self.toggles.values())
        self.side_by_side.setEnabled(has_both and overlay.layer("slide") is not None)
        _tick(self.side_by_side, overlay.is_side_by_side)


def _tick(box: QCheckBox, is_on: bool) -> None:
    """Tick a box without telling anybody."""
    box.blockSignals(True)
    box.setChecked(is_on)
    box.blockSignals(False)
