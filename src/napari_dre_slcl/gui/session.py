"""Session: what the panels of one viewer share, and how they hear of each other's changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.codeword_style import CodewordStyle
from napari_dre_slcl.gui.cohort_index import CohortIndex
from napari_dre_slcl.gui.job_queue import JobQueue
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.run_watch import RunWatch
from napari_dre_slcl.gui.tile_thumbnails import TileThumbnails
from napari_dre_slcl.gui.tile_visit import TileVisit
from napari_dre_slcl.gui.tissue_finder import TissueFinder
from napari_dre_slcl.gui.viewed_region import ViewedRegion
from napari_dre_slcl.jobs.messages import AskJob, Event, IndexJob, PredictJob, Result, WhatIfJob
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
    closing = Signal()
    """What runs in the background should come to its end now."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.background = Background()
        self.trainer = JobRunner(is_background=True)
        self.runs = RunWatch()
        self.answerer = JobRunner()
        # A cohort takes hours: meanwhile its slides can be predicted and asked about.
        self.indexer = JobRunner(is_background=True)
        self._questions = JobQueue(self.answerer)
        self._indexing = JobQueue(self.indexer)
        self.overlay = Overlay(viewer, self.background)
        self.tissue = TissueFinder(self.overlay, self.background)
        self.view = ViewedRegion(viewer, self.overlay)
        self._model: Path | None = None
        self._index: Any = None
        self._selection = np.empty(0, np.int64)
        self.codewords = CodewordStyle(self)
        self.codewords.changed.connect(self.codewords_changed)
        # Never a lambda that holds self: PySide would keep the session of a closed window.
        self.overlay.slide_changed.connect(self._select_nothing)
        self.overlay.result_shown.connect(self._select_nothing)
        self.cohort_index = CohortIndex(self)
        self.thumbnails = TileThumbnails()
        self.visit = TileVisit(self)

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
        return self.overlay.result(self.overlay.path)

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

    def _select_nothing(self, _: object = None) -> None:
        self.select_tiles(())

    def ask(
        self,
        job: PredictJob | IndexJob | WhatIfJob | AskJob,
        on_result: Callable[[Result], None],
        on_error: Callable[[str], None],
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """Start a job, now or as soon as its engine is free; every answer is on the main thread.

        Parameters
        ----------
        job : PredictJob, IndexJob, WhatIfJob or AskJob
            Of phrases and what-ifs that wait only the newest is asked; the others are dropped
            without an answer. A second prediction or index is refused.
        on_result : callable
            Gets its `Result`.
        on_error : callable
            Gets a sentence where it was refused, failed or was cancelled.
        on_event : callable, optional
            Gets its Progress, Metric and Log events.
        """
        self._queue_of(job.kind).ask(job, on_result, on_error, on_event)

    def cancel(self, kind: str) -> None:
        """Stop the job of a kind (predict, index, what-if, ask) that runs or waits."""
        self._queue_of(kind).cancel(kind)

    def _queue_of(self, kind: str) -> JobQueue:
        return self._indexing if kind == "index" else self._questions

    def close(self) -> None:
        """Let go of viewer, thread and engines; later calls do nothing."""
        if self.viewer is None:
            return
        if isalive(self):  # at the end of the interpreter Qt may be gone already
            self.closing.emit()
        self.view.close()
        self._questions.close()
        self._indexing.close()
        self.tissue.close()
        self.overlay.close()
        self.background.close()
        self.thumbnails.close()
        self.runs.close()
        self.trainer.close()
        self.answerer.close()
        self.indexer.close()
        self.viewer = None
