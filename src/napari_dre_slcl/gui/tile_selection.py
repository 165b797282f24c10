"""TileSelection: a click selects a tile; selected tiles have an outline on the slide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.tile_under import tile_at
from napari_dre_slcl.layers import METADATA_KEY, LayerData, grid_transform
from napari_dre_slcl.results import SlideResult

__all__ = ["SELECTION_KIND", "TileSelection", "selection_layer"]

SELECTION_KIND = "selection"
"""Kind of the layer of outlines."""
_LEFT_BUTTON = 1
_DRAG_PX = 4  # a hand is not quite still while it clicks
_COLOR = "#00e5ff"
_MOST_OUTLINES = 20_000


class TileSelection(QObject):
    """Keeps the selection of a session and its outlines on the canvas the same.

    Parameters
    ----------
    session : Session
        What the panels share.
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._viewer = session.viewer
        self._layer: Layer | None = None
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        session.selection_changed.connect(self._show)
        session.overlay.result_shown.connect(self._make_ready)

    @property
    def layer(self) -> Layer | None:
        """The layer of the outlines, or None where there is none, or the user has deleted it."""
        if self._layer is not None and not self._session.overlay.holds(self._layer):
            self._layer = None
        return self._layer

    def close(self) -> None:
        """Stop listening to the mouse; the outlines stay."""
        if self._viewer is None:
            return
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._viewer = None

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Select the tile under a click; a drag, and any tool of a layer, is left alone."""
        if event.button != _LEFT_BUTTON or not self._is_free():
            return
        start, position = np.asarray(event.pos), tuple(event.position)
        adds = "Shift" in event.modifiers
        yield
        while event.type == "mouse_move":
            if np.abs(np.asarray(event.pos) - start).max() > _DRAG_PX:
                return
            yield
        if event.type == "mouse_release":
            self.click(position, adds)

    def click(self, position: Any, adds: bool = False) -> None:
        """Select the tile at a place.

        Parameters
        ----------
        position : sequence of float
            World coordinates.
        adds : bool
            Add the tile to the selection, or take it out; by default it is selected alone.
        """
        overlay = self._session.overlay
        if overlay.drawn is None:
            return
        tile = tile_at(overlay, position)
        if adds:
            self._session.select_tiles(np.setxor1d(self._session.selection, _listed(tile)))
        else:
            self._session.select_tiles(_listed(tile))

    def _is_free(self) -> bool:
        """Whether the active layer has no tool in hand, such as a brush or a lasso."""
        if self._viewer is None:
            return False
        active = self._viewer.layers.selection.active
        return str(getattr(active, "mode", "pan_zoom")) == "pan_zoom"

    def _make_ready(self, result: SlideResult) -> None:
        """Make the layer with the result's own: the first click would have to wait for it."""
        if self._viewer is not None and self.layer is None and len(result.rowcol):
            overlay = self._session.overlay
            self._layer = overlay.show_over(result.slide_path, selection_layer(result))
            self._layer.visible = not overlay.is_side_by_side

    def _show(self, chosen: Any) -> None:
        overlay, result = self._session.overlay, self._session.result
        if self._viewer is None:
            return
        layer = self.layer
        if result is None or not len(chosen):
            if layer is not None:
                _outline(layer, np.empty((0, 2)))
            return
        cells = result.rowcol[chosen[:_MOST_OUTLINES]].astype(float)
        data = selection_layer(result)
        if layer is None:
            layer = self._layer = overlay.show_over(result.slide_path, data)
        elif facts_of(layer)["path"] != result.slide_path:
            facts_of(layer).update(data[1]["metadata"][METADATA_KEY])
        for name, value in grid_transform(result.tile_size_px, result.mpp).items():
            setattr(layer, name, value)
        _outline(layer, cells)
        if overlay.is_side_by_side:  # it would take a place in the grid
            layer.visible = False


def selection_layer(result: SlideResult) -> LayerData:
    """Return a layer of squares on the tile grid of a result, without any square yet."""
    facts = {
        "kind": SELECTION_KIND,
        "path": result.slide_path,
        "tile_size_px": result.tile_size_px,
        "mpp": result.mpp,
    }
    options = {
        "name": "Selected tiles",
        "symbol": "square",
        "size": 1.0,
        "face_color": "transparent",
        "border_color": _COLOR,
        "border_width": 0.08,
        "metadata": {METADATA_KEY: facts},
        **grid_transform(result.tile_size_px, result.mpp),
    }
    return np.empty((0, 2)), options, "points"


def _outline(layer: Layer, cells: Any) -> None:
    """Draw outlines of these cells alone; nobody moves them by hand."""
    layer.editable = True
    layer.selected_data = set()
    layer.data = cells
    layer.editable = False


def _listed(tile: int | None) -> list[int]:
    return [] if tile is None else [tile]
