"""The Result tab: predict the slide that is meant, and read what the model says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.job_progress import JobProgress
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.path_field import PathField
from napari_dre_slcl.gui.preferences import preferred_device, results_folder
from napari_dre_slcl.gui.texts import (
    encoded_text,
    prediction_rows,
    provenance_text,
    share_text,
    tissue_note,
)
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tissue_finder import TissueFinder
from napari_dre_slcl.jobs.messages import Cancelled, Failed, Log, PredictJob, Progress, Result
from napari_dre_slcl.layers import codeword_colors, codeword_name, codeword_shares
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.tiles import MASK_SUFFIX

__all__ = ["ResultPanel", "results_dir"]

_KINDS = {"clusters": "Clusters", "attention": "Attention"}
_NOTHING = "No result for this slide yet. Choose a model and press Predict."


class ResultPanel(QWidget):
    """Makes a `PredictJob` and shows a `SlideResult`.

    Parameters
    ----------
    overlay : Overlay
        Owns the layers.
    tissue : TissueFinder
        Knows how the user has changed a slide's tissue.
    colors : ThemeColors
        To paint with.
    """

    predict_requested = Signal(object)
    """A `PredictJob`."""
    cancel_requested = Signal()

    def __init__(
        self,
        overlay: Overlay,
        tissue: TissueFinder,
        colors: ThemeColors,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._overlay = overlay
        self._tissue = tissue
        self._build(colors)
        self._lay_out()
        self._connect()
        self._set_running(False)
        self._show_tissue_note()
        self._show_slide(overlay.slide)

    def _build(self, colors: ThemeColors) -> None:
        self.model_field = PathField("folder", "Model or run folder")
        self.predict_button = QPushButton("Predict this slide")
        self.cancel_button = QPushButton("Cancel")
        self.load_button = QPushButton("Open result…")
        self.tissue_note = QLabel()
        self.tissue_note.setWordWrap(True)
        self.message = MessageLine()
        self.progress = JobProgress(self.message)
        self.title = heading("")
        self.predictions = BarList(colors)
        self.toggles = {kind: QCheckBox(name) for kind, name in _KINDS.items()}
        self.side_by_side = QCheckBox("Side by side")
        self.side_by_side.setToolTip("Clusters at the left, attention at the right.")
        self.legend_title = heading("Tile clusters, share of the slide")
        self.legend = BarList(colors)
        self.legend.setToolTip("Share of the slide's tiles that belong to each codeword.")
        self.provenance = QLabel()
        self.provenance.setWordWrap(True)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Model", self.model_field)
        buttons, toggles = QHBoxLayout(), QHBoxLayout()
        for button in (self.predict_button, self.cancel_button, self.load_button):
            buttons.addWidget(button)
        for toggle in (*self.toggles.values(), self.side_by_side):
            toggles.addWidget(toggle)
        toggles.addStretch()
        self._answer = QWidget()
        answer = QVBoxLayout(self._answer)
        answer.setContentsMargins(0, 0, 0, 0)
        answer.addWidget(self.title)
        answer.addWidget(self.predictions)
        answer.addWidget(heading("Layers"))
        answer.addLayout(toggles)
        answer.addWidget(self.legend_title)
        answer.addWidget(self.legend)
        answer.addWidget(self.provenance)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        for widget in (self.tissue_note, self.message, self.progress, self._answer):
            layout.addWidget(widget)
        layout.addStretch()

    def _connect(self) -> None:
        self.predict_button.clicked.connect(self.predict)
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.load_button.clicked.connect(self._pick_result)
        for kind, toggle in self.toggles.items():
            toggle.toggled.connect(lambda is_on, kind=kind: self._overlay.set_visible(kind, is_on))
        self.side_by_side.toggled.connect(self._overlay.set_side_by_side)
        self._tissue.changed.connect(self._show_tissue_note)
        self._overlay.slide_changed.connect(self._show_slide)
        self._overlay.result_shown.connect(self.show_result)
        self._overlay.visibility_changed.connect(self._show_visibility)
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
        )

    def predict(self) -> None:
        """Ask for a prediction of the slide that is meant, or say what is missing."""
        try:
            job = self._with_tissue(self.value())
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.predict_requested.emit(job)

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
        self.predictions.set_colors(colors)
        self.legend.set_colors(colors)

    def on_started(self) -> None:
        """Get ready to show a job's progress."""
        self.progress.wait()
        self._set_running(True)

    def on_event(self, event: Any) -> None:
        """Show a Progress or a Log."""
        if isinstance(event, Progress):
            self.progress.follow(event)
        elif isinstance(event, Log):
            self.message.tell(event.message)

    def on_ended(self, end: Result | Failed | Cancelled) -> None:
        """Load the result of a job, or say why there is none."""
        self._set_running(False)
        if isinstance(end, Result):
            self.message.tell("")
            for path in end.paths.values():
                self._overlay.load_result(path)
        elif isinstance(end, Failed):
            self.message.complain(end.message)
        else:
            self.message.tell(end.message)

    def show_result(self, result: SlideResult) -> None:
        """Show predictions, legend and provenance."""
        self.message.tell(encoded_text(result))
        self.title.setText(f"Predictions for {result.slide_id}")
        self.predictions.setValue(_prediction_bars(result))
        bars = _legend_bars(result)
        self.legend.setValue(bars)
        self.legend_title.setVisible(bool(bars))
        self.provenance.setText(provenance_text(result))
        self.provenance.setToolTip(
            "\n".join(f"{name}: {value}" for name, value in result.provenance.items())
        )
        self._answer.show()
        self._show_visibility()

    def _show_tissue_note(self) -> None:
        note = tissue_note(self._tissue.state)
        self.tissue_note.setText(note)
        self.tissue_note.setVisible(bool(note))

    def _show_slide(self, info: SlideInfo | None) -> None:
        result = self._overlay.result(None if info is None else info.path)
        if result is not None:
            self.show_result(result)
            return
        self._answer.hide()
        if not self.progress.isVisible():
            self.message.tell("No slide is open." if info is None else _NOTHING)

    def _show_visibility(self) -> None:
        for kind, toggle in self.toggles.items():
            layer = self._overlay.layer(kind)
            toggle.setEnabled(layer is not None)
            toggle.blockSignals(True)
            toggle.setChecked(layer is not None and layer.visible)
            toggle.blockSignals(False)
        has_both = all(toggle.isEnabled() for toggle in self.toggles.values())
        self.side_by_side.setEnabled(has_both)
        self.side_by_side.blockSignals(True)
        self.side_by_side.setChecked(self._overlay.is_side_by_side)
        self.side_by_side.blockSignals(False)

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


def _prediction_bars(result: SlideResult) -> list[Bar]:
    bars = []
    for prediction in result.predictions:
        rows = prediction_rows(prediction)
        if len(rows) > 1:
            bars.append(Bar(prediction.task, text=prediction.predicted, is_heading=True))
        bars += [Bar(name, value, f"{value:.2f}") for name, value in rows]
    return bars


def _legend_bars(result: SlideResult) -> list[Bar]:
    """Return the share of each codeword; none where there are none, or it is not known which."""
    if not len(result.codeword) or not result.n_codewords:
        return []
    colors, shares = codeword_colors(result.n_codewords), codeword_shares(result)
    return [
        Bar(
            codeword_name(number),
            float(share),
            share_text(share),
            QColor.fromRgbF(*(float(part) for part in color)),
            has_swatch=True,
        )
        for number, (share, color) in enumerate(zip(shares, colors, strict=True))
    ]
