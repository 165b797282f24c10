"""Session: what the panels of one viewer share, and how they hear of each other's changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.tissue_finder import TissueFinder
from napari_dre_slcl.results import SlideResult

__all__ = ["Session"]


class Session(QObject):
    """State of one viewer's dock.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    model_changed = Signal(object)
    """Path of the model that is meant now, or None."""
    index_changed = Signal(object)
    """The cohort's index (`insight.tile_index.TileIndex`), or None."""
    selection_changed = Signal(object)
    """(m,) int64 positions in the tile table of the slide that is meant; empty for none."""
    codewords_changed = Signal()
    """Names, colours or visibility of codewords have changed."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.background = Background()
        self.trainer = JobRunner()
        self.answerer = JobRunner()
        self.overlay = Overlay(viewer, self.background)
        self.tissue = TissueFinder(self.overlay, self.background)
        self._model: Path | None = None
        self._index: Any = None
        self._selection = np.empty(0, np.int64)
        self.overlay.slide_changed.connect(lambda _: self.select_tiles(()))
        self.overlay.result_shown.connect(lambda _: self.select_tiles(()))

    @property
    def model(self) -> Path | None:
        """Folder of the model that is meant, or of its run."""
        return self._model

    def set_model(self, model: Path | None) -> None:
        """Mean another model from now on."""
        if model != self._model:
            self._model = model
            self.model_changed.emit(model)

    @property
    def index(self) -> Any:
        """The cohort's index, or None."""
        return self._index

    def set_index(self, index: Any) -> None:
        """Search in another cohort from now on."""
        self._index = index
        self.index_changed.emit(index)

    @property
    def result(self) -> SlideResult | None:
        """The result of the slide that is meant, or None."""
        slide = self.overlay.slide
        return None if slide is None else self.overlay.result(slide.path)

    @property
    def selection(self) -> NDArray[np.int64]:
        """(m,) positions of the selected tiles in the result's tile table."""
        return self._selection

    def select_tiles(self, positions: Any) -> None:
        """Select tiles of the slide that is meant; nothing is told where nothing changes.

        Parameters
        ----------
        positions : array_like of int
            In the tile table of its result.
        """
        chosen = np.unique(np.asarray(positions, np.int64))
        if not np.array_equal(chosen, self._selection):
            self._selection = chosen
            self.selection_changed.emit(chosen)

    def close(self) -> None:
        """Let go of viewer, thread and engines; later calls do nothing."""
        self.tissue.close()
        self.overlay.close()
        self.background.close()
        self.trainer.close()
        self.answerer.close()
        self.viewer = None
