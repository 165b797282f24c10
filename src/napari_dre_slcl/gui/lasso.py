"""Lasso: outlines that the user draws over a slide, and the tiles inside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.layers.lasso import LASSO_KIND, lasso_layer, tiles_inside
from napari_dre_slcl.results import SlideResult

__all__ = ["Lasso"]

_NOTHING = np.empty(0, np.int64)


class Lasso(QObject):
    """Owns the layer to draw into, of the slide that is meant.

    Parameters
    ----------
    session : Session
        Slide, result and thread.
    """

    changed = Signal(object)
    """(m,) int64 positions of the tiles inside the outlines."""
    failed = Signal(str)
    """A sentence."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._followed: Layer | None = None
        session.overlay.active_changed.connect(self._on_layers)
        session.overlay.slide_changed.connect(self._on_layers)
        session.overlay.result_shown.connect(self.find)
        session.closing.connect(self._let_go)

    def draw(self) -> None:
        """Let the user draw around tiles of the slide that is meant."""
        overlay = self._session.overlay
        path, slide = overlay.path, overlay.slide
        if path is None:
            return
        layer = overlay.layer(LASSO_KIND)
        if layer is None:
            result = self._session.result
            mpp = slide.mpp if slide is not None else (result.mpp if result else None)
            layer = overlay.show_over(path, lasso_layer(mpp))  # type: ignore[arg-type]
        self._follow(layer)
        overlay.activate(LASSO_KIND)
        layer.mode = "add_polygon_lasso"

    def clear(self) -> None:
        """Take all outlines away; the layer stays."""
        layer = self._session.overlay.layer(LASSO_KIND)
        if layer is not None:
            layer.data = []

    def find(self, *_: Any) -> None:
        """Look in the background for the tiles inside the outlines."""
        layer, result = self._session.overlay.layer(LASSO_KIND), self._session.result
        if layer is None or result is None or not len(layer.data):
            self.changed.emit(_NOTHING)
            return
        outlines = [
            _outline(np.asarray(corners, np.float64), kind)
            for corners, kind in zip(layer.data, layer.shape_type, strict=True)
        ]
        self._session.background.run(
            "finding the tiles inside the lasso",
            _inside,
            result,
            outlines,
            on_done=self._tell,
            on_error=self._complain,
        )

    def _tell(self, inside: NDArray[np.int64]) -> None:
        if isalive(self):  # the panel may have gone meanwhile
            self.changed.emit(inside)

    def _complain(self, sentence: str) -> None:
        if isalive(self):
            self.failed.emit(sentence)

    def _on_layers(self, *_: Any) -> None:
        """Follow the outlines of the slide that is meant; they may have been deleted by hand."""
        layer = self._session.overlay.layer(LASSO_KIND)
        if layer is not self._followed:
            self._follow(layer)
            self.find()

    def _follow(self, layer: Layer | None) -> None:
        if layer is self._followed:
            return
        self._let_go()
        self._followed = layer
        if layer is not None:
            layer.events.data.connect(self._on_data)

    def _let_go(self) -> None:
        if self._followed is not None:
            self._followed.events.data.disconnect(self._on_data)
        self._followed = None

    def _on_data(self, event: Any) -> None:
        if str(getattr(event, "action", "")).rsplit(".", maxsplit=1)[-1].lower() in (
            "adding",
            "removing",
            "changing",
        ):
            return  # told again when it has happened
        self.find()


def _inside(result: SlideResult, outlines: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    return tiles_inside(result.tile_yx + (result.tile_size_px - 1) / 2, outlines)


def _outline(corners: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the corners of a polygon; of an ellipse, which napari keeps by its box, 64 of them."""
    if kind != "ellipse":
        return corners
    middle = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    return middle + np.cos(angle) * first + np.sin(angle) * second
