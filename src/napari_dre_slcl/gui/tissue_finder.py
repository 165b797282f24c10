"""TissueFinder: the tissue and the tiles of each open slide, as threshold and painting change.

Holds the state behind the Tissue box and does the slow part in the background; knows no widgets.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.gui.arrangement import TISSUE_KINDS
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.gui.mask_painting import MaskPainting, as_values
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.tissue_session import TissueSession, begin, judge
from napari_dre_slcl.gui.tissue_state import TissueChoice, TissueState, Tool
from napari_dre_slcl.layers import mask_layer, tissue_layer
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.tiles import TileGrid, TissueMask, load_tissue_mask
from napari_dre_slcl.tiles.painting import is_painted, lay_over, painting_of, resized
from napari_dre_slcl.tiles.preview import TilePreview

__all__ = ["TissueFinder"]

_LOOKS_AT_ONCE = 256
_BRUSH_UM = 200.0


class TissueFinder(QObject):
    """Finds the tissue of the slide that is meant.

    Parameters
    ----------
    overlay : Overlay
        Owns the layers.
    background : Background
        Does the slow part.
    """

    changed = Signal()
    """`state` or `is_busy` has changed."""
    failed = Signal(str)
    """A sentence."""

    def __init__(self, overlay: Overlay, background: Background) -> None:
        super().__init__()
        self._overlay = overlay
        self._background = background
        self._tiling = TilingConfig()
        self._sessions: dict[str, TissueSession] = {}
        self._reading: set[str] = set()
        # Slides of which the user waits for the first tiles; those that could not be read.
        self._sought: set[str] = set()
        self._unreadable: set[tuple[str, float | None]] = set()
        self._is_adding = False
        overlay.slide_changed.connect(self._on_slide)
        overlay.active_changed.connect(self._on_active)

    @property
    def is_busy(self) -> bool:
        """Whether the slide that is meant is being read."""
        info = self._overlay.slide
        return info is not None and info.path in self._reading

    @property
    def state(self) -> TissueState | None:
        """Of the slide that is meant; None before its tissue was found."""
        session = self._session
        if session is None:
            return None
        return session.state(self._overlay.is_active(session.painting.layer))

    def find(self) -> None:
        """Read the slide that is meant and lay its mask and tiles over it."""
        info = self._overlay.slide
        if info is not None:
            self._sought.add(info.path)
            self._show_something()
            self._read(info)

    def set_tiling(self, tiling: TilingConfig) -> None:
        """Show tiles as a model with this tiling sees them, where the user wants nothing else."""
        if tiling == self._tiling:
            return
        self._tiling = tiling
        for session in self._sessions.values():
            session.tiling = tiling
        if self._session is not None:
            self._judge(self._session)

    def set_threshold(self, threshold: int | None) -> None:
        """Take pixels of at least this colour for tissue; None lets the slide decide."""
        session = self._session
        if session is not None and threshold != session.threshold:
            session.threshold = threshold
            self._show_something()
            self._answer_to_user(session)

    def set_min_tissue(self, share: float | None) -> None:
        """Use tiles with at least this share of tissue, 0 to 1; None is that of the model."""
        session = self._session
        if session is not None and share != session.min_tissue:
            session.min_tissue = share
            self._show_something()
            self._answer_to_user(session)

    def set_brush_um(self, width: float) -> None:
        """Set the width of the brush in µm."""
        if self._session is not None:
            self._session.painting.set_brush_um(width)

    def set_tool(self, tool: Tool | None) -> None:
        """Take a brush in hand, or put it away."""
        session = self._session
        if session is None:
            return
        if tool is None:
            session.painting.stop()
            self._overlay.activate("slide")
        else:
            self._show_mask(session)
            self._show_something()
            self._overlay.activate("mask")
            session.painting.start(tool)
        self.changed.emit()

    def undo(self) -> None:
        """Take the last stroke back."""
        if self._session is not None:
            self._show_something()
            self._session.painting.undo()

    def discard(self) -> None:
        """Take all painting back."""
        if self._session is not None:
            self._show_something()
            self._session.painting.discard()

    def mask(self, path: str) -> TissueMask | None:
        """Return the mask of a slide as threshold and painting make it now, or None."""
        session = self._sessions.get(path)
        return None if session is None else session.mask()

    def choice(self, path: str) -> TissueChoice | None:
        """Return what was changed of a slide's tissue; None where everything is automatic."""
        session = self._sessions.get(path)
        return None if session is None else session.choice()

    def load_mask(self, path: Path) -> None:
        """Lay a saved mask over the slide that is meant; where it differs counts as painted.

        Raises
        ------
        SlideError
            If the file is no mask, or one of another slide.
        """
        session = self._session
        if session is None:
            return
        mask = load_tissue_mask(path)
        if mask.slide_shape != session.info.shape:
            (rows, cols), (height, width) = mask.slide_shape, session.info.shape
            raise SlideError(
                f"'{path.name}' is the mask of a slide of {cols:,} x {rows:,} px, but this slide "
                f"has {width:,} x {height:,} px. Open the mask of this slide."
            )
        session.painting.paint(painting_of(mask, session.found))

    def close(self) -> None:
        """Let go of the layers; they stay."""
        for session in self._sessions.values():
            session.painting.close()
        for paths in (self._sessions, self._reading, self._sought):
            paths.clear()

    @property
    def _session(self) -> TissueSession | None:
        info = self._overlay.slide
        return None if info is None else self._sessions.get(info.path)

    def _on_active(self) -> None:
        """Forget slides that were closed; watch the mask that the user kept of several."""
        for path in [p for p in self._sessions if self._overlay.layer("slide", p) is None]:
            self._sessions.pop(path).painting.close()
            self._sought.discard(path)
        for path, session in self._sessions.items():
            values = self._values_of(path)
            if values is None or self._is_adding or self._overlay.holds(session.painting.layer):
                continue
            self._watch_anew(session, values)
            self._answer_to_user(session)
        self._read_painted()
        self.changed.emit()

    def _on_slide(self, info: SlideInfo | None) -> None:
        session = self._session
        if session is not None and info is not None and info.mpp is not None:
            if session.info.mpp != info.mpp:
                self._read(info)
            else:  # the tiling may be another one by now
                self._judge(session)
        self._read_painted()
        self.changed.emit()

    def _read_painted(self) -> None:
        """Read a slide whose painted mask outlived its slide's layer or the dock: it counts."""
        info = self._overlay.slide
        if info is None or info.mpp is None or info.path in self._sessions:
            return
        mask = self._overlay.layer("mask")
        if info.path in self._reading or (info.path, info.mpp) in self._unreadable:
            return
        if mask is not None and is_painted(as_values(mask.data)).any():
            self._read(info)

    def _read(self, info: SlideInfo) -> None:
        before = self._sessions.get(info.path)
        threshold = self._tiling.tissue_threshold if before is None else before.wanted_threshold
        self._reading.add(info.path)
        self._background.run(
            f"finding the tissue of '{info.path}'",
            begin,
            info,
            threshold,
            on_done=partial(self._on_begun, info, threshold),
            on_error=partial(self._on_unreadable, info),
        )
        self.changed.emit()

    def _on_begun(
        self, info: SlideInfo, threshold: float | None, begun: tuple[TilePreview, TissueMask]
    ) -> None:
        preview, found = begun
        self._reading.discard(info.path)
        now = self._info_of(info.path)
        if now is None or now.mpp != info.mpp:  # the user went on while it was read
            if now is not None and now.mpp is not None:
                self._read(now)
            self.changed.emit()
            return
        before = self._sessions.pop(info.path, None)
        painted = self._values_of(info.path) if before is None else before.painting.values
        values = found.labels.copy()
        if painted is not None:
            values = lay_over(resized(painted, values.shape), found.labels)
        if before is not None:
            before.painting.close()
        painting = self._paint_on(info, found, values)
        painting.set_brush_um(_BRUSH_UM if before is None else before.painting.brush_um)
        session = TissueSession(info, preview, found, threshold, painting, self._tiling)
        if before is not None:
            session.threshold, session.min_tissue = before.threshold, before.min_tissue
        session.is_asked = info.path in self._sought or (before is not None and before.is_asked)
        self._sessions[info.path] = session
        self._judge(session)

    def _on_unreadable(self, info: SlideInfo, sentence: str) -> None:
        self._reading.discard(info.path)
        self._unreadable.add((info.path, info.mpp))
        self.failed.emit(sentence)
        self.changed.emit()

    def _on_no_answer(self, session: TissueSession, sentence: str) -> None:
        session.has_failed = True
        self.failed.emit(sentence)
        self.changed.emit()

    def _info_of(self, path: str) -> SlideInfo | None:
        """Return what is known of an open slide now."""
        layer = self._overlay.layer("slide", path)
        return None if layer is None else facts_of(layer)["info"]

    def _values_of(self, path: str) -> NDArray[np.uint8] | None:
        """Return what the mask on the canvas holds."""
        layer = self._overlay.layer("mask", path)
        return None if layer is None or layer.data.ndim != 2 else as_values(layer.data)

    def _paint_on(
        self, info: SlideInfo, found: TissueMask, values: NDArray[np.uint8]
    ) -> MaskPainting:
        data = mask_layer(Path(info.path).stem, values, found.downsample, info.mpp)
        layer = self._overlay.show_over(info.path, data)
        painting = MaskPainting(layer, found.labels, found.downsample * (info.mpp or 1.0))
        painting.painted.connect(partial(self._on_painted, info.path))
        painting.tool_changed.connect(self.changed)
        return painting

    def _show_something(self) -> None:
        """Show mask and tiles where both are hidden, as they are once a result was shown."""
        layers = map(self._overlay.layer, TISSUE_KINDS)
        if not any(layer is not None and layer.visible for layer in layers):
            self._overlay.look_at_tissue()

    def _show_mask(self, session: TissueSession) -> None:
        """Bring the mask's layer back where the user has deleted it."""
        if self._overlay.layer("mask", session.info.path) is None:
            self._watch_anew(session, session.painting.values)

    def _watch_anew(self, session: TissueSession, values: NDArray[np.uint8]) -> None:
        """Let the mask's layer that is in the viewer hold the painting; add it where there is none.

        Parameters
        ----------
        session : TissueSession
        values : ndarray of uint8
            What is painted.
        """
        before, labels = session.painting, session.found.labels
        before.close()
        self._is_adding = True
        try:
            painting = lay_over(resized(values, labels.shape), labels)
            session.painting = self._paint_on(session.info, session.found, painting)
        finally:
            self._is_adding = False
        session.painting.set_brush_um(before.brush_um)

    def _on_painted(self, path: str) -> None:
        if path in self._sessions:
            self._answer_to_user(self._sessions[path])

    def _answer_to_user(self, session: TissueSession) -> None:
        session.is_asked = True
        self._judge(session)

    def _judge(self, session: TissueSession, looks: int = 0) -> None:
        """Ask which tiles there are now; the answer to an earlier question is dropped."""
        session.has_failed = False
        threshold = session.wanted_threshold
        if self._is_outdated(session):  # it is read again, or waits for a pixel size
            self.changed.emit()
            return
        self._background.run(
            f"counting the tiles of '{session.info.path}'",
            judge,
            session.preview,
            session.found if session.found_at == threshold else threshold,
            session.painting.values,
            session.wanted_tiling,
            looks,
            on_done=partial(self._on_answer, session, threshold),
            on_error=partial(self._on_no_answer, session),
        )
        self.changed.emit()

    def _on_answer(
        self,
        session: TissueSession,
        threshold: float | None,
        answer: tuple[TissueMask, TileGrid, int],
    ) -> None:
        path = session.info.path
        if self._is_outdated(session):
            return
        found, session.grid, session.n_unseen = answer
        if session.is_asked:
            self._show_mask(session)
        if found is not session.found:
            session.found, session.found_at = found, threshold
            session.painting.lay_over(found.labels)
        if session.is_asked or self._overlay.layer("tissue", path) is not None:
            self._overlay.show_over(path, tissue_layer(Path(path).stem, session.grid))
        session.is_asked = False
        if path in self._sought:
            self._sought.discard(path)
            if session is self._session:
                self._overlay.look_at_tissue()
        if session.n_unseen:
            self._judge(session, _LOOKS_AT_ONCE)
        self.changed.emit()

    def _is_outdated(self, session: TissueSession) -> bool:
        """Whether its slide was closed, read anew, or has another pixel size by now."""
        now = self._info_of(session.info.path)
        is_current = self._sessions.get(session.info.path) is session
        return not is_current or now is None or now.mpp != session.info.mpp
