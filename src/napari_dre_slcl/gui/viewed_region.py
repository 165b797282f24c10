"""ViewedRegion: which part of the slide that is meant the canvas shows, and how to go elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.overlay import Overlay

__all__ = ["Region", "ViewedRegion"]

_SETTLE_MS = 40

Region = tuple[float, float, float, float]
"""(top, left, bottom, right) in level-0 pixels; may reach beyond the slide."""


class ViewedRegion(QObject):
    """Follows the camera of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Its canvas and its camera.
    overlay : Overlay
        Knows which slide is meant.
    """

    changed = Signal()
    """The camera or the canvas has changed; at most once in 40 ms."""

    def __init__(self, viewer: Any, overlay: Overlay, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._overlay = overlay
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.timeout.connect(self.changed)
        for emitter in self._emitters():
            emitter.connect(self._on_moved)

    def region(self) -> Region | None:
        """Return what the canvas shows of the slide that is meant; None without a slide."""
        layer = None if self._viewer is None else self._overlay.layer("slide")
        if layer is None or self._viewer.scene.camera.zoom <= 0:
            return None
        size = np.asarray(self._viewer.canvas.viewbox_size(self._viewer.layers), float)
        centre = np.asarray(self._viewer.scene.camera.center, float)[-2:]
        half = size / self._viewer.scene.camera.zoom / 2
        top, left = layer.world_to_data(centre - half)
        bottom, right = layer.world_to_data(centre + half)
        return float(top), float(left), float(bottom), float(right)

    def look_at(self, y: float, x: float) -> None:
        """Bring a place of the slide that is meant into the middle of the canvas.

        Parameters
        ----------
        y, x : float
            In level-0 pixels.
        """
        layer = None if self._viewer is None else self._overlay.layer("slide")
        if layer is not None:
            world = layer.data_to_world((y, x))
            self._viewer.scene.camera.center = (0.0, *map(float, world))

    def close(self) -> None:
        """Let go of the viewer; later calls do nothing."""
        if self._viewer is None:
            return
        for emitter in self._emitters():
            emitter.disconnect(self._on_moved)
        self._viewer = None
        if isalive(self._timer):
            self._timer.stop()

    def _emitters(self) -> tuple[Any, ...]:
        camera, canvas = self._viewer.scene.camera.events, self._viewer.canvas.events
        return camera.center, camera.zoom, canvas.size

    def _on_moved(self, event: object = None) -> None:
        if isalive(self._timer) and not self._timer.isActive():
            self._timer.start()
