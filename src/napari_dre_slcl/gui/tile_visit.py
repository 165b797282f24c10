"""TileVisit: opens the slide of a tile that was found, and brings the tile into view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject

from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.insight.hits import IndexedSlide, TileHit
from napari_dre_slcl.results import SlideResult

if TYPE_CHECKING:
    from napari_dre_slcl.gui.session import Session

__all__ = ["TileVisit"]

_CANVAS_TILES = 10
"""So many tiles are to lie side by side in the canvas."""
_CANVAS_PX = 800


class TileVisit(QObject):
    """Goes to a tile or a slide of the index; other slides are hidden meanwhile.

    Parameters
    ----------
    session : Session
        What the panels share.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._pending: tuple[str, tuple[int, int]] | None = None
        self._is_answer = True
        self.is_selecting = False
        """Whether the tile that was gone to is just being selected: it is no new question."""
        session.overlay.result_shown.connect(self._select_pending)

    def go_to_tile(self, hit: TileHit, is_answer: bool = True) -> None:
        """Open the slide of a tile, with its result, select the tile and bring it into view.

        Parameters
        ----------
        hit : TileHit
            The tile.
        is_answer : bool
            Whether it answers a question that is not to be taken for a new one.

        Raises
        ------
        SlideError
            If the slide's file has gone or cannot be read.
        """
        path = self._open(hit.slide)
        self._centre(path, hit)
        self._pending = (path, hit.rowcol)
        self._is_answer = is_answer
        result = self._session.overlay.result(path)
        if result is not None:
            self._select_pending(result)

    def go_to_slide(self, slide: IndexedSlide) -> None:
        """Open a slide with its result, all of it in view; raises `SlideError` as `go_to_tile`."""
        self._pending = None
        self._open(slide)
        self._session.viewer.reset_view()

    def _open(self, slide: IndexedSlide) -> str:
        """Open a slide and its result, and return the path under which the viewer has it."""
        overlay = self._session.overlay
        before = overlay.slide
        shown = {} if before is None else self._visibility(before.path)
        if before is None or before.path != slide.path:
            overlay.open_slide(Path(slide.path))
        now = overlay.slide
        path = slide.path if now is None else str(now.path)
        self._show_only(path, shown)
        if overlay.result(path) is None:
            overlay.load_result(slide.result)
        return path

    def _visibility(self, path: str) -> dict[str, bool]:
        return {
            facts_of(layer)["kind"]: bool(layer.visible)
            for layer in self._session.viewer.layers
            if facts_of(layer).get("path") == path
        }

    def _show_only(self, path: str, shown: dict[str, bool]) -> None:
        """Hide other slides; of this one show what was shown of the slide before."""
        for layer in list(self._session.viewer.layers):
            facts = facts_of(layer)
            if facts.get("path") == path:
                layer.visible = facts["kind"] == "slide" or shown.get(facts["kind"], layer.visible)
            elif facts.get("path"):
                layer.visible = False

    def _centre(self, path: str, hit: TileHit) -> None:
        layer = self._session.overlay.layer("slide", path)
        if layer is None:
            return
        size = hit.slide.tile_size_px
        middle = np.array(hit.yx) + (size - 1) / 2
        camera = self._session.viewer.scene.camera
        camera.center = tuple(float(part) for part in layer.data_to_world(middle))
        wanted = _CANVAS_PX / (_CANVAS_TILES * size * float(layer.scale[0]))
        camera.zoom = max(camera.zoom, wanted)

    def _select_pending(self, result: SlideResult) -> None:
        """Select the tile that was gone to, once the result of its slide is shown."""
        if self._pending is None or result.slide_path != self._pending[0]:
            return
        (_, rowcol), self._pending = self._pending, None
        found = np.flatnonzero((result.rowcol == np.array(rowcol)).all(axis=1))
        self.is_selecting = self._is_answer
        try:
            self._session.select_tiles(found)
        finally:
            self.is_selecting = False
