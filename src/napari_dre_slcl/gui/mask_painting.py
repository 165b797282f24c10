"""MaskPainting: one tissue mask as a layer that is painted on with napari's own brush.

The layer's data hold what was found and what was painted (`napari_dre_slcl.tiles.painting`).
Strokes, undo and redo are napari's; this watches them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.layer_facts import set_attributes
from napari_dre_slcl.gui.tissue_state import Tool
from napari_dre_slcl.tiles import MaskClass
from napari_dre_slcl.tiles.painting import PAINTED, is_painted, lay_over, mark_strokes

__all__ = ["MaskPainting", "as_values"]

_AREAS = {"contour": 0, "opacity": 0.3}
_LINES_OPACITY = 0.9
_SMALL_PX = 400
_MOST_LINES_PX = 4_000_000
_LABELS: dict[Tool, int] = {
    "add": PAINTED + MaskClass.TISSUE,
    "remove": PAINTED + MaskClass.GLASS,
}


class MaskPainting(QObject):
    """Watches what is painted on a mask layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        Shows the mask; its data are changed in place.
    found : ndarray of uint8, shape (height, width)
        `MaskClass` of each pixel, as found in the slide.
    pixel_um : float
        Edge of a mask pixel in µm.
    """

    painted = Signal()
    """A stroke has ended, or was undone or redone."""
    tool_changed = Signal()
    """Another tool or brush size is in hand."""

    def __init__(self, layer: Any, found: NDArray[np.uint8], pixel_um: float) -> None:
        super().__init__()
        self.layer = layer
        self.pixel_um = pixel_um
        self._found = found
        self._last = as_values(layer.data)
        self._is_painted: bool | None = None
        self._is_ours = False
        self._has_strokes = False
        # napari's history remembers the mask under a stroke. Once another mask lies there, what an
        # undo brings back is of no use; until then, what a redo of the eraser brings is a stroke.
        self._is_history_old = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._on_stroke)
        # The layer may have shown a mask of another size, to which its history would not fit:
        # napari forgets the history of a layer that cannot be edited.
        layer.editable = False
        layer.editable = True
        self._lines = _lines(found.shape)
        set_attributes(layer, self._lines)
        for event, slot in self._slots():
            event.connect(slot)

    @property
    def values(self) -> NDArray[np.uint8]:
        """What was found and painted, a copy."""
        return self._last.copy()

    @property
    def is_painted(self) -> bool:
        """Whether anything is painted."""
        if self._is_painted is None:
            self._is_painted = bool(is_painted(self._last).any())
        return self._is_painted

    @property
    def tool(self) -> Tool | None:
        """What the brush does now, if it is in hand."""
        if self.layer.mode != "paint":
            return None
        return next((t for t, label in _LABELS.items() if label == self.layer.selected_label), None)

    @property
    def brush_um(self) -> float:
        """Width of the brush in µm."""
        return float(self.layer.brush_size * self.pixel_um)

    def set_brush_um(self, width: float) -> None:
        """Make the brush as wide as a whole number of mask pixels can be."""
        self.layer.brush_size = max(1, round(width / self.pixel_um))

    def start(self, tool: Tool) -> None:
        """Take the brush in hand."""
        self.layer.visible = True
        self.layer.selected_label = _LABELS[tool]
        self.layer.mode = "paint"

    def stop(self) -> None:
        """Put the brush away."""
        self.layer.mode = "pan_zoom"

    def undo(self) -> None:
        """Take the last stroke back."""
        self.layer.visible = True
        self.layer.undo()

    def discard(self) -> None:
        """Take all strokes back; this can be undone."""
        self.paint(lay_over(np.zeros_like(self._found), self._found))

    def paint(self, values: NDArray[np.uint8]) -> None:
        """Set all pixels in one stroke, such as from a file.

        Parameters
        ----------
        values : ndarray of uint8, shape (height, width)
        """
        # A layer that was hidden when its contour changed would write the lines into its data
        # (napari 0.9.2, Labels._partial_labels_refresh).
        self.layer.visible = True
        places = np.nonzero(values != self.layer.data)
        with self.layer.block_history():
            self.layer.data_setitem(places, values[places])

    def lay_over(self, found: NDArray[np.uint8]) -> None:
        """Put another mask under the painting.

        Parameters
        ----------
        found : ndarray of uint8, shape (height, width)
        """
        self._found = found
        self._is_history_old = self._has_strokes
        self._put(lay_over(as_values(self.layer.data), found))

    def close(self) -> None:
        """Stop watching; the layer stays."""
        self._later.stop()
        for event, slot in self._slots():
            event.disconnect(slot)

    def _slots(self) -> list[tuple[Any, Callable[..., None]]]:
        events = self.layer.events
        return [
            (events.paint, self._on_paint),
            (events.set_data, self._on_set_data),
            (events.mode, self._on_tool),
            (events.selected_label, self._on_tool),
            (events.brush_size, self._on_tool),
        ]

    def _on_tool(self, event: object = None) -> None:
        """Fill the mask while it is painted on, by our buttons or napari's."""
        is_painting = self.layer.mode in ("paint", "erase", "fill", "polygon")
        wanted = _AREAS if is_painting else self._lines
        if self.layer.contour != wanted["contour"]:
            set_attributes(self.layer, wanted)
        self.tool_changed.emit()

    def _on_paint(self, event: object = None) -> None:
        self._has_strokes = True
        if self._is_changed:
            self._on_stroke()
        else:  # a polygon, or a script: napari tells before it changes the data
            self._later.start()

    def _on_stroke(self) -> None:
        if self._is_changed:
            self._take(mark_strokes(as_values(self.layer.data), self._found))

    def _on_set_data(self, event: object = None) -> None:
        """Notice undo and redo, which have no event of their own."""
        if self._is_ours or not self._is_changed:
            return
        marked = lay_over if self._is_history_old else mark_strokes
        self._take(marked(as_values(self.layer.data), self._found))

    @property
    def _is_changed(self) -> bool:
        return not np.array_equal(self.layer.data, self._last)

    def _take(self, values: NDArray[np.uint8]) -> None:
        self._put(values)
        self.painted.emit()

    def _put(self, values: NDArray[np.uint8]) -> None:
        self._last = values.copy()
        self._is_painted = None
        if np.array_equal(self.layer.data, values):
            return
        self._is_ours = True
        try:
            self.layer.data[...] = values
            self.layer.refresh()
        finally:
            self._is_ours = False


def as_values(data: NDArray[Any]) -> NDArray[np.uint8]:
    """Return what a mask layer holds as bytes, a copy; napari lets users convert a layer's data."""
    return np.clip(data, 0, np.iinfo(np.uint8).max).astype(np.uint8)


def _lines(shape: tuple[int, ...]) -> dict[str, float]:
    """Return how a mask is drawn to be looked at: as lines, so that tissue stays visible.

    napari draws lines on the main thread; for the largest masks that would be felt.
    """
    if shape[0] * shape[1] > _MOST_LINES_PX:
        return _AREAS
    return {"contour": 1 if max(shape) < _SMALL_PX else 2, "opacity": _LINES_OPACITY}
