"""The head of the Explore tab: predict the slide that is meant, and read what the model says."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.gui.answer_view import AnswerView
from napari_dre_slcl.gui.job_progress import JobProgress
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.path_field import PathField
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.preferences import preferred_device, results_folder, should_pseudonymize
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.texts import encoded_text, tissue_note
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tile_hover import TileHover
from napari_dre_slcl.jobs.messages import Event, Log, PredictJob, Progress, Result
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.tiles import MASK_SUFFIX

__all__ = ["ResultPanel", "results_dir"]

_NOTHING = "No result for this slide yet. Choose a model and press Predict."
_NO_SLIDE = "No slide is open. Drop one on the window, or open one in the Slide tab."
_RUNNING = "A prediction is already running. Wait for its end, or cancel it."


class ResultPanel(QWidget):
    """Makes a `PredictJob` and shows a `SlideResult`.

    Parameters
    ----------
    session : Session
        What the panels share; its engine predicts.
    hover : TileHover
        Knows the tile under the mouse.
    colors : ThemeColors
        To paint with.
    """

    predicted = Signal(object)
    """Path of a result that has just been made."""

    def __init__(
        self,
        session: Session,
        hover: TileHover,
        colors: ThemeColors,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._overlay = session.overlay
        self._tissue = session.tissue
        self._is_cancelled = False
        self._build(hover, colors)
        self._lay_out()
        self._connect()
        self._set_running(False)
        self._show_tissue_note()
        self._show_slide(self._overlay.slide)

    def _build(self, hover: TileHover, colors: ThemeColors) -> None:
        self.model_field = PathField("folder", "Model or run folder")
        self.predict_button = QPushButton("Predict this slide")
        self.predict_button.setToolTip("Ask the model about the slide that is meant.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the prediction; nothing half-done is kept.")
        self.load_button = QPushButton("Open result…")
        self.load_button.setToolTip("Show a result that was made before, here or elsewhere.")
        self.tissue_note = PlainLabel()
        self.tissue_note.setWordWrap(True)
        self.message = MessageLine()
        self.progress = JobProgress(self.message)
        self.answer = AnswerView(self._session, hover, colors)
        self.title, self.predictions = self.answer.title, self.answer.predictions
        self.toggles, self.side_by_side = self.answer.toggles, self.answer.side_by_side
        self.legend, self.legend_title = self.answer.legend, self.answer.legend_title
        self.provenance = self.answer.provenance

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Model", self.model_field)
        buttons = QHBoxLayout()
        for button in (self.predict_button, self.cancel_button, self.load_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(buttons)
        for widget in (self.tissue_note, self.message, self.progress, self.answer):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.predict_button.clicked.connect(self.predict)
        self.cancel_button.clicked.connect(self._cancel)
        self.load_button.clicked.connect(self._pick_result)
        self._tissue.changed.connect(self._show_tissue_note)
        self._overlay.slide_changed.connect(self._show_slide)
        self._overlay.result_shown.connect(self.show_result)
        self._overlay.failed.connect(self.message.complain)

    def value(self) -> PredictJob:
        """Return the job that the fields describe.

        Raises
        ------
        JobError
            If there is no model, no slide, or the slide has no pixel size.
        """
        model, slide = self.model_field.value(), self._overlay.slide
        if model is None:
            raise JobError("No model is chosen. Pick the folder of a trained model or of its run.")
        if slide is None:
            raise JobError("No slide is open. Open one in the Slide tab first.")
        if slide.mpp is None:
            raise JobError(
                f"Slide '{Path(slide.path).name}' has no pixel size. Give it in the Slide tab."
            )
        return PredictJob(
            model=model.absolute(),
            slides=(Path(slide.path),),
            out=results_dir(model.absolute()),
            # As it is shown, whatever the file or a table says by now.
            mpp=slide.mpp,
            mpp_source=slide.mpp_source,
            device=preferred_device(),
            pseudonymize=should_pseudonymize(),
        )

    def predict(self) -> None:
        """Predict the slide that is meant, or say what is missing."""
        try:
            job = self._with_tissue(self.value())
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.start(job)

    def start(self, job: PredictJob) -> None:
        """Predict as soon as the engine is free; one prediction at a time."""
        if self.is_running:
            self.message.complain(_RUNNING)
            return
        self._is_cancelled = False
        self.progress.wait()
        self._set_running(True)
        self._session.ask(job, self._on_result, self._on_error, self._on_event)

    @property
    def is_running(self) -> bool:
        """Whether a prediction that was started here has not ended yet."""
        return not self.predict_button.isEnabled()

    def _with_tissue(self, job: PredictJob) -> PredictJob:
        """Add what the user has changed of the slide's tissue; its mask goes beside the results."""
        slide = job.slides[0]
        choice = self._tissue.choice(str(slide))
        if choice is None:
            return job
        mask = choice.mask and choice.mask.save(job.out / f"{slide.stem}{MASK_SUFFIX}")
        return job.model_copy(update={"mask": mask, "min_tissue": choice.min_tissue})

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.answer.set_colors(colors)

    def _on_event(self, event: Event) -> None:
        """Show a Progress or a Log."""
        if isinstance(event, Progress):
            self.progress.follow(event)
        elif isinstance(event, Log):
            self.message.tell(event.message)

    def _on_result(self, end: Result) -> None:
        self._set_running(False)
        self.message.tell("")
        for path in end.paths.values():
            self._overlay.load_result(path)
            self.predicted.emit(path)

    def _on_error(self, sentence: str) -> None:
        self._set_running(False)
        (self.message.tell if self._is_cancelled else self.message.complain)(sentence)

    def _cancel(self) -> None:
        self._is_cancelled = True
        self._session.cancel("predict")

    def show_result(self, result: SlideResult) -> None:
        """Show what a result says, unless it is of a slide that is open but not meant."""
        meant = self._session.result
        if meant is not None and meant is not result:
            return
        if not self.is_running:
            self.message.tell(encoded_text(result))
        self.answer.show_result(result)
        self.answer.show()
        model = result.provenance.get("model", "")
        if self.model_field.value() is None and model and Path(model).is_dir():
            self.model_field.setValue(Path(model))

    def _show_tissue_note(self) -> None:
        note = tissue_note(self._tissue.state)
        self.tissue_note.setText(note)
        self.tissue_note.setVisible(bool(note))

    def _show_slide(self, info: SlideInfo | None) -> None:
        result = self._session.result
        if result is not None:
            self.show_result(result)
            return
        self.answer.hide()
        if not self.is_running:
            self.message.tell(_NO_SLIDE if info is None else _NOTHING)

    def _pick_result(self) -> None:
        pattern = f"Results (*{RESULT_SUFFIX})"
        picked, _ = QFileDialog.getOpenFileName(self, "Open result", "", pattern)
        if picked:
            self._overlay.load_result(Path(picked))

    def _set_running(self, is_running: bool) -> None:
        self.predict_button.setEnabled(not is_running)
        self.cancel_button.setVisible(is_running)
        self.load_button.setVisible(not is_running)
        self.progress.setVisible(is_running)


def results_dir(model: Path) -> Path:
    """Return where predictions of a model go: its run's ``results``, or beside the model.

    A folder that is set in napari's preferences wins; each model has its own one in there.
    """
    is_run = (model / "model").is_dir()
    run = model if is_run else model.parent
    chosen = results_folder()
    return run / "results" if chosen is None else chosen / run.name
