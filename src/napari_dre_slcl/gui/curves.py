"""TrainingCurves: loss, validation, retrieval and drift of a run, each in its own small plot."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dre_slcl.gui.curve_plot import CurvePlot, NameOf
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["TrainingCurves"]

_NO_VALIDATION = (
    "There are no validation slides. Set 'Validation' above, for example to 0.15, and each epoch "
    "shows how well patients are predicted that the model has not seen."
)


class TrainingCurves(QWidget):
    """Four plots, of which those with something to show are seen.

    Attributes
    ----------
    loss, auc, recall, drift : CurvePlot
        What is minimised; how well each task is told on validation patients; how often a slide
        finds its report; how current the stored tile features are.
    """

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loss = CurvePlot(
            colors,
            "Loss by epoch:",
            "What training makes smaller: in all, and of each task. Mean of the epoch's steps.",
            _after("loss", whole="all"),
        )
        self.auc = CurvePlot(
            colors,
            "AUC on validation patients:",
            "How well each task is told on patients that are not trained on: 0.5 is guessing, 1 "
            "is always right.",
            _after("val/auc"),
            limits=(0, 1),
        )
        self.recall = CurvePlot(
            colors,
            "Report found among the first 10:",
            "Share of validation slides whose own report is among the 10 nearest of all reports of "
            "the training and validation slides. 'chance' is what guessing would find.",
            _recall_name,
            limits=(0, 1),
        )
        self.drift = CurvePlot(
            colors,
            "Stored features still current:",
            "How alike a tile's stored feature and its new one are when it is encoded again: 1 is "
            "the same; low values mean that the encoder changes faster than the store follows.",
            _drift_name,
        )
        self.plots = (self.loss, self.auc, self.recall, self.drift)
        self._plot_of: dict[str, CurvePlot | None] = {}
        self._note = PlainLabel(_NO_VALIDATION)
        self._note.setWordWrap(True)
        self._note.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for plot in self.plots:
            layout.addWidget(plot)
        layout.addWidget(self._note)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add the numbers of an epoch.

        Parameters
        ----------
        step : int
            Epoch.
        values : mapping of float
            By name; each plot takes its own.
        """
        if "loss/pretrain" in values:  # of the pretraining, whose epochs are others
            return
        for name, value in values.items():
            if name not in self._plot_of:
                self._plot_of[name] = next((p for p in self.plots if p.takes(name)), None)
            plot = self._plot_of[name]
            if plot is not None:
                plot.put(name, step, value)
        self._note.setVisible(bool(self.loss.value()) and not self.auc.value())

    def clear(self) -> None:
        """Forget all points."""
        for plot in self.plots:
            plot.clear()
        self._note.hide()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        for plot in self.plots:
            plot.set_colors(colors)


def _after(prefix: str, whole: str | None = None) -> NameOf:
    """Name what comes after a prefix; the prefix itself is ``whole``."""

    def name_of(name: str) -> str | None:
        if name == prefix:
            return whole
        return name.removeprefix(f"{prefix}/") if name.startswith(f"{prefix}/") else None

    return name_of


def _recall_name(name: str) -> str | None:
    return {"val/recall@10": "slides", "chance/recall@10": "chance"}.get(name)


def _drift_name(name: str) -> str | None:
    return "" if name == "drift" else None
