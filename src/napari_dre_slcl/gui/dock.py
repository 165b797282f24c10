"""The dock "DRE-SLCL": four tabs, two engines, one link to the viewer, and their end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QMessageBox,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui import garbage
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.cohort_panel import CohortPanel
from napari_dre_slcl.gui.explore_panel import ExplorePanel
from napari_dre_slcl.gui.model_tiling import model_tiling
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.plain_label import make_status_bar_plain
from napari_dre_slcl.gui.result_panel import ResultPanel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.slide_panel import SlidePanel
from napari_dre_slcl.gui.theme import theme_colors
from napari_dre_slcl.gui.tile_hover import TileHover
from napari_dre_slcl.gui.tile_selection import TileSelection
from napari_dre_slcl.gui.tissue_finder import TissueFinder
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.gui.train_panel import TrainPanel
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    EstimateJob,
    Event,
    Failed,
    Job,
    PredictJob,
    Result,
    ResumeJob,
    Snapshot,
    TrainJob,
)
from napari_dre_slcl.layers import LayerData
from napari_dre_slcl.trial.proof import start_now

__all__ = ["DreSlclDock"]

_WIDTH_PX = 400
_LEAST_WIDTH_PX = 380


class DreSlclDock(QWidget):
    """Slide, Cohort, Train and Explore for one viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("DRE-SLCL")
        self.setMinimumWidth(_LEAST_WIDTH_PX)  # nothing is cut off, as nothing scrolls sideways
        self._viewer = napari_viewer
        self._has_parent = False
        start_now()
        colors = theme_colors(napari_viewer.theme)
        self.session = Session(napari_viewer)
        self.slide_panel = SlidePanel(self.session, colors)
        self.cohort_panel = CohortPanel(self.session, colors)
        self.train_panel = TrainPanel(self.session, colors)
        self.explore_panel = ExplorePanel(self.session, colors)
        self._lay_out()
        self._connect()
        self.overlay.refresh()
        garbage.set_aside(self.session, napari_viewer.layers)

    @property
    def overlay(self) -> Overlay:
        """The link to the viewer."""
        return self.session.overlay

    @property
    def tissue(self) -> TissueFinder:
        """Where the tissue of the slides is."""
        return self.session.tissue

    @property
    def background(self) -> Background:
        """The thread for slow calls."""
        return self.session.background

    @property
    def result_panel(self) -> ResultPanel:
        """The head of the Explore tab."""
        return self.explore_panel.result_panel

    def sizeHint(self) -> QSize:
        """Return a width at which every field can be read."""
        return QSize(_WIDTH_PX, 800)

    def _lay_out(self) -> None:
        self.tabs = QTabWidget()
        for name, panel in (
            ("Slide", self.slide_panel),
            ("Cohort", self.cohort_panel),
            ("Train", self.train_panel),
            ("Explore", self.explore_panel),
        ):
            area = QScrollArea()
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setWidgetResizable(True)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(panel)
            self.tabs.addTab(area, name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs)

    def _connect(self) -> None:
        session = self.session
        self.slide_panel.other_images.image_read.connect(self._add_image)
        self.cohort_panel.cohort_chosen.connect(self._train_with)
        self.train_panel.start_requested.connect(self.start_job)
        self.train_panel.model_ready.connect(self.result_panel.model_field.setValue)
        self.train_panel.model_chosen.connect(self._explore_with)
        self.result_panel.model_field.valueChanged.connect(session.set_model)
        session.model_changed.connect(self._on_model)
        session.trainer.progressed.connect(self._on_trained)
        session.trainer.ended.connect(self._on_ended)
        self._viewer.events.theme.connect(self._on_theme)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close_down)
        # A closed window deletes its docks without telling them; nothing here may refer to self.
        mouse = (self.explore_panel.hover, self.explore_panel.tile_selection)
        self._on_destroyed = partial(_release, session, mouse)
        self.destroyed.connect(self._on_destroyed)

    def start_job(self, job: TrainJob | EstimateJob | ResumeJob | PredictJob) -> None:
        """Hand a job to its engine, or say why not."""
        if isinstance(job, PredictJob):
            self.result_panel.start(job)
            return
        try:
            self.session.trainer.start(job)
        except DreSlclError as error:
            self.train_panel.message.complain(str(error))

    def close_down(self) -> None:
        """Stop everything that outlives a widget: engines, threads, connections. Once."""
        if self._viewer is None:
            return
        self._ask_about_job()
        # Its turn may come in a collection that has taken the session apart already.
        self.destroyed.disconnect(self._on_destroyed)
        self._viewer.events.theme.disconnect(self._on_theme)
        self._viewer = None
        _release(self.session, (self.explore_panel.hover, self.explore_panel.tile_selection))

    def event(self, event: QEvent | None) -> bool:
        """Close down once the dock has been taken out of its window."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._has_parent = True
                _top_of(self).installEventFilter(self)
            elif self._has_parent:
                self.close_down()
        elif event is not None and event.type() == QEvent.Type.Show:
            make_status_bar_plain(_top_of(self))
        return super().event(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask about a running training while its window can still be seen."""
        if event is not None and event.type() == QEvent.Type.Close and self._viewer is not None:
            self._ask_about_job()
        return super().eventFilter(watched, event)

    def _ask_about_job(self) -> None:
        trainer = self.session.trainer
        if trainer.should_keep_job is not None or not isinstance(
            trainer.spec, (TrainJob, ResumeJob)
        ):
            return
        answer = QMessageBox.question(
            self,
            "DRE-SLCL",
            tool_tip(
                "A training is running. Let it go on to its end without this window?\n"
                f"Its run folder is {trainer.spec.run_dir}."
            ),
        )
        trainer.should_keep_job = answer == QMessageBox.StandardButton.Yes

    def _add_image(self, layer_data: LayerData) -> None:
        self._viewer.add_layer(Layer.create(*layer_data))
        self._viewer.reset_view()

    def _train_with(self, cohort: Path) -> None:
        self.train_panel.cohort_field.setValue(cohort)
        self.tabs.setCurrentIndex(2)

    def _explore_with(self, model: Path) -> None:
        self.result_panel.model_field.setValue(model)
        self.tabs.setCurrentIndex(3)

    def _on_trained(self, event: Event) -> None:
        """Show the pinned slide as the model in training sees it now."""
        if isinstance(event, Snapshot):
            self.overlay.load_result(event.path, is_quiet=True)

    def _on_ended(self, job: Job, end: Result | Failed | Cancelled) -> None:
        if isinstance(job, (TrainJob, ResumeJob)) and isinstance(end, Result):
            self.result_panel.model_field.setValue(end.paths["model"])

    def _on_model(self, model: Path | None) -> None:
        self.tissue.set_tiling(model_tiling(model))

    def _on_theme(self, event: Any) -> None:
        colors = theme_colors(self._viewer.theme)
        for panel in (self.slide_panel, self.cohort_panel, self.train_panel, self.explore_panel):
            panel.set_colors(colors)


def _release(session: Session, mouse: tuple[TileHover, TileSelection], *_: Any) -> None:
    """Let go of viewer, mouse, thread and engines; the dock itself may be gone already."""
    for listener in mouse:
        listener.close()
    session.close()
    garbage.take_back(session)


def _top_of(widget: QWidget) -> QWidget:
    while (parent := widget.parentWidget()) is not None:
        widget = parent
    return widget
