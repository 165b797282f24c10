"""RunView: how one training goes, as a bar, curves, figures and a log."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from napari_dre_slcl.engine.amounts import bytes_text
from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.curves import TrainingCurves
from napari_dre_slcl.gui.job_progress import JobProgress
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.section import Section
from napari_dre_slcl.gui.texts import epoch_text, metric_rows, seconds_rows
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.jobs.messages import Cancelled, Failed, Log, Metric, Progress, Result

__all__ = ["RunView"]

_LOG_LINES = 500
_OLD_LINES = 100
_LOG_HEIGHT_PX = 110
_UNTOLD = ("gpu", "chance")


class RunView(QWidget):
    """Shows whatever events it is given; which run they are of is not its business."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = MessageLine()
        self.progress = JobProgress(self.message)
        self.progress.setRange(0, 1)
        self.progress.setValue(0)
        self.curves = TrainingCurves(colors)
        self.gpu = PlainLabel()
        self.gpu.setToolTip("Most memory of the GPU that was in use at once in the last epoch.")
        self.gpu.hide()
        self.metrics = BarList(colors)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setFixedHeight(_LOG_HEIGHT_PX)
        self.log.setPlaceholderText("What the engine says appears here.")
        folded = Section("What the engine says")
        folded.addWidget(self.log)
        folded.expand(animate=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.message,
            self.progress,
            self.curves,
            self.gpu,
            self.metrics,
            folded,
        ):
            layout.addWidget(widget)

    def begin(self, sentence: str = "Starting the engine…") -> None:
        """Get ready to show another run."""
        self.curves.clear()
        self.log.clear()
        self.metrics.setValue(())
        self.gpu.hide()
        self.progress.wait(sentence)
        self.progress.show()

    def on_event(self, event: Any) -> None:
        """Show a Progress, Metric or Log as it comes."""
        if isinstance(event, Progress):
            self.progress.follow(event)
        elif isinstance(event, Metric):
            self._add_epoch(event)
            self._show_epoch(event.values)
        elif isinstance(event, Log):
            self.log.appendPlainText(_line(event))

    def on_history(self, events: Sequence[Any]) -> None:
        """Show what came before anybody looked, at once."""
        told: deque[Metric | Log] = deque(maxlen=_OLD_LINES)
        last: Metric | None = None
        stage: Progress | None = None
        for event in events:
            if isinstance(event, Metric):
                self.curves.add(event.step, event.values)
                told.append(event)
                last = event
            elif isinstance(event, Log):
                told.append(event)
            elif isinstance(event, Progress):
                stage = event
        if told:
            self.log.appendPlainText("\n".join(map(_line, told)))
        if last is not None:
            self._show_epoch(last.values)
        if stage is not None:
            self.progress.follow(stage, is_old=True)

    def show_end(self, sentence: str, end: Result | Failed | Cancelled | None = None) -> None:
        """Show how it has ended, in a sentence and, where it ended well, in figures."""
        is_error = isinstance(end, Failed)
        self.progress.setRange(0, 1)
        self.progress.setValue(int(isinstance(end, Result)))
        self.progress.hide()
        if is_error:
            self.message.complain(sentence)
        else:
            self.message.tell(sentence)
        if isinstance(end, Result):
            self.show_held_out(end.metrics)

    def show_held_out(self, metrics: Mapping[str, float]) -> None:
        """Show the figures of held-out patients in place of where the time goes."""
        rows = [(name, value, f"{value:.3f}") for name, value in metric_rows(dict(metrics))]
        self._show_bars("On held-out patients", rows)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.curves.set_colors(colors)
        self.metrics.set_colors(colors)

    def _add_epoch(self, event: Metric) -> None:
        self.curves.add(event.step, event.values)
        self.log.appendPlainText(_line(event))

    def _show_epoch(self, values: Mapping[str, float]) -> None:
        self._show_bars("Where the time goes, last epoch", seconds_rows(dict(values)))
        peak, whole = values.get("gpu/peak_mib"), values.get("gpu/total_mib")
        self.gpu.setVisible(peak is not None)
        if peak is not None:
            of = f" of {bytes_text(whole * 2**20)}" if whole else ""
            self.gpu.setText(f"GPU memory: {bytes_text(peak * 2**20)}{of}")

    def _show_bars(self, title: str, rows: Sequence[tuple[str, float, str]]) -> None:
        bars = [Bar(name, value, text) for name, value, text in rows]
        self.metrics.setValue([Bar(title, is_heading=True), *bars] if bars else ())


def _line(event: Metric | Log) -> str:
    if isinstance(event, Log):
        return f"⚠ {event.message}" if event.level == "warning" else event.message
    told = {name: n for name, n in event.values.items() if name.split("/")[0] not in _UNTOLD}
    return f"epoch {event.step}: {epoch_text(told)}"
