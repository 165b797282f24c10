"""What if: leave out a codeword or tiles, and see each prediction change at once."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.codeword_list import CodewordList
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.lasso import Lasso
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.question import Subject, subject_of
from napari_dre_slcl.gui.scratch import Scratch
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.jobs.messages import Result, WhatIfJob
from napari_dre_slcl.results import SlideResult, TaskPrediction

__all__ = ["WhatIfBox", "change_bars"]

_NOTHING = (
    "Predict or open a slide at the top of this tab. Then leave out kinds of tissue or single "
    "tiles, and see how the predictions change."
)
_LEGEND = "Bar: without what is left out. Stroke: the whole slide."
_NOTE = (
    "The model predicts the slide anew as if these tiles had never been cut out. It shows what the "
    "model's answer hangs on, not what a disease would do."
)
_NONE = np.empty(0, np.int64)


class WhatIfBox(QWidget):
    """What to leave out, and each prediction before and after.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._scratch = Scratch(session, self)
        self._lasso = Lasso(session, self)
        self._inside: NDArray[np.int64] = _NONE
        self._number = 0
        self._build(colors)
        self._lay_out()
        self._connect()
        self._on_result()

    def _build(self, colors: ThemeColors) -> None:
        self.empty = NoteLabel(_NOTHING)
        self.codewords = CodewordList(self._session.codewords)
        self.lasso_button = QPushButton("Draw around tiles")
        self.lasso_button.setToolTip(
            "Draws outlines over the slide: press, drag around the tiles, release. The tiles whose "
            "centre lies inside are left out."
        )
        self.clear_button = QPushButton("Put all back")
        self.clear_button.setToolTip("Leave nothing out any more; outlines are taken away.")
        self.lassoed = QCheckBox()
        self.lassoed.setToolTip("Leave out the tiles whose centre lies inside an outline.")
        self.lassoed.setChecked(True)
        self.selected = QCheckBox()
        self.selected.setToolTip(
            "Leave out the tiles that are selected: click a tile on the slide, Shift adds to them."
        )
        self.message = MessageLine()
        self.bars = BarList(colors)
        self.bars.setToolTip(_LEGEND)
        self.legend = NoteLabel(_LEGEND)
        self.note = NoteLabel(_NOTE)

    def _lay_out(self) -> None:
        self.controls = QWidget()
        inner = QVBoxLayout(self.controls)
        inner.setContentsMargins(0, 0, 0, 0)
        self.codeword_title = heading("Leave out kinds of tissue")
        inner.addWidget(self.codeword_title)
        inner.addWidget(self.codewords)
        inner.addWidget(heading("Leave out tiles"))
        buttons = QHBoxLayout()
        buttons.addWidget(self.lasso_button)
        buttons.addWidget(self.clear_button)
        inner.addLayout(buttons)
        for part in (self.lassoed, self.selected):
            inner.addWidget(part)
        inner.addWidget(heading("Predictions"))
        rows: tuple[QWidget, ...] = (self.bars, self.legend, self.message, self.note)
        for row in rows:
            inner.addWidget(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty)
        layout.addWidget(self.controls)

    def _connect(self) -> None:
        session = self._session
        self.codewords.valueChanged.connect(lambda _: self._ask())
        self.lasso_button.clicked.connect(self._lasso.draw)
        self.clear_button.clicked.connect(self.clear)
        self.lassoed.toggled.connect(lambda _: self._ask())
        self.selected.toggled.connect(lambda _: self._ask())
        self._lasso.changed.connect(self._on_inside)
        self._lasso.failed.connect(self.message.complain)
        session.selection_changed.connect(self._on_selection)
        session.codewords_changed.connect(self.codewords.follow_style)
        session.overlay.slide_changed.connect(self._on_result)
        session.overlay.result_shown.connect(self._on_result)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Let the engine start while the user still thinks of what to ask."""
        super().showEvent(event)
        if self._session.result is not None:
            self._session.answerer.get_ready()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.bars.set_colors(colors)

    def without_tiles(self) -> NDArray[np.int64]:
        """Return positions of single tiles that are left out; some may be named twice."""
        inside = self._inside if self.lassoed.isChecked() else _NONE
        chosen = self._session.selection if self.selected.isChecked() else _NONE
        return np.concatenate([inside, chosen])

    def clear(self) -> None:
        """Leave nothing out any more."""
        self.selected.setChecked(False)
        self._lasso.clear()
        self.codewords.setValue(())

    def _on_result(self, *_: object) -> None:
        result = self._session.result
        self.empty.setVisible(result is None)
        self.controls.setVisible(result is not None)
        self.message.tell("")
        self.codewords.set_result(result)
        self.codeword_title.setVisible(self.codewords.count() > 0)
        self._number += 1  # an answer on the way is of another result
        self._show({})
        self._lasso.find()
        self._count_tiles()

    def _on_inside(self, inside: NDArray[np.int64]) -> None:
        if not np.array_equal(inside, self._inside):
            self._inside = inside
            self._count_tiles()
            self._ask()

    def _on_selection(self, *_: object) -> None:
        self._count_tiles()
        if self.selected.isChecked():
            self._ask()

    def _count_tiles(self) -> None:
        self.lassoed.setText(f"tiles inside the outlines ({len(self._inside):,})")
        self.selected.setText(f"selected tiles ({len(self._session.selection):,})")

    def _ask(self) -> None:
        """Ask for what is ticked now; answers to earlier questions are not shown any more."""
        self._number += 1
        tiles, codewords = self.without_tiles(), self.codewords.value()
        if self._session.result is None or not (len(tiles) or codewords):
            self.message.tell("")
            self._show({})
            return
        try:
            subject = subject_of(self._session)
        except DreSlclError as error:
            self.message.tell(str(error))
            return
        self._session.background.run(
            "asking what if",
            _job,
            subject,
            codewords,
            tiles,
            self._scratch,
            on_done=partial(self._send, self._number),
            on_error=self.message.tell,
        )

    def _send(self, number: int, job: WhatIfJob) -> None:
        if number != self._number:
            return
        if self._session.answerer.is_running:
            self.message.tell("The answer comes as soon as the engine is free.")
        self._session.ask(job, partial(self._on_answer, number), partial(self._on_error, number))

    def _on_answer(self, number: int, end: Result) -> None:
        if number == self._number:
            self.message.tell("")
            self._show(end.metrics)

    def _on_error(self, number: int, sentence: str) -> None:
        if number == self._number:
            self.message.tell(f"⚠ {sentence}")

    def _show(self, after: dict[str, float]) -> None:
        result = self._session.result
        self.bars.setValue(() if result is None else change_bars(result, after))


def change_bars(result: SlideResult, after: dict[str, float]) -> tuple[Bar, ...]:
    """Return the rows of before and after.

    Parameters
    ----------
    result : SlideResult
        Its predictions are the state before.
    after : dict
        ``task/class`` -> probability; the state before where a name is missing.
    """
    bars: list[Bar] = []
    for prediction in result.predictions:
        if prediction.positive is not None and len(prediction.classes) == 2:
            bars.append(_bar(prediction, prediction.positive, after, _row_name(prediction)))
            continue
        bars.append(Bar(prediction.task, is_heading=True))
        bars += [_bar(prediction, name, after, name) for name in prediction.classes]
    return tuple(bars)


def _row_name(prediction: TaskPrediction) -> str:
    """Return what a two-class task is called where its positive class alone is shown."""
    positive = str(prediction.positive)
    is_plain = positive.lower() in {"1", "yes", "true", prediction.task.lower()}
    return prediction.task if is_plain else f"{prediction.task}: {positive}"


def _bar(prediction: TaskPrediction, name: str, after: dict[str, float], shown: str) -> Bar:
    before = prediction.probability(name)
    now = after.get(f"{prediction.task}/{name}")
    if now is None:
        return Bar(shown, before, f"{before:.2f}", hint=f"{shown}: {before:.2f}, the whole slide")
    text = f"{before:.2f} → {now:.2f}"
    return Bar(shown, now, text, low=before, high=before, hint=f"{shown}: {text}")


def _job(
    subject: Subject, codewords: tuple[int, ...], tiles: NDArray[np.int64], scratch: Scratch
) -> WhatIfJob:
    """Write down the tiles for the engine; a million of them take a moment."""
    path = None
    if len(tiles):
        path = scratch.file("tiles")
        with atomic_writer(path) as stream:
            np.save(stream, tiles.astype(np.int64), allow_pickle=False)
    return WhatIfJob(
        model=subject.model,
        result=subject.file,
        without_codewords=codewords,
        without_tiles=path,
    )
