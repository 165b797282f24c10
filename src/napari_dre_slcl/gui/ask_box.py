"""Ask: type a phrase, and the slide lights up with its likeness to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.phrase_list import PhraseField
from napari_dre_slcl.gui.question import Subject, subject_of
from napari_dre_slcl.gui.scratch import Scratch
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.similarity import Similarity, SpaceReader, similarity_text
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.jobs.messages import AskJob, Event, Log, Progress, Result
from napari_dre_slcl.layers import SIMILARITY_KEY
from napari_dre_slcl.results import SlideResult

__all__ = ["AskBox"]

NOTE = (
    "What it means: each tile, taken alone, is compared with your phrase in the space that the "
    "model has learnt from this cohort's reports. It finds what the reports of slides with such "
    "tissue say. It is a likeness, not a detection: words that go together in reports go together "
    "here, 'no' and 'without' are not understood, and words that no report uses are not known."
)
_NOTHING = "Predict or open a slide at the top of this tab, then ask where its tissue is like…"


class AskBox(QWidget):
    """A phrase, and the map of how like it the tiles are.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    values_found = Signal(str, str, object, str)
    """Key, title, (n,) values of the tiles and explanation of a map to be drawn."""

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._space = SpaceReader()
        self._scratch = Scratch(session, self)
        self._build()
        self._connect()
        self.set_colors(colors)
        self._on_model(session.model)
        self._follow()

    def _build(self) -> None:
        self.phrases = PhraseField(self._session.background)
        self.message = MessageLine()
        self.empty = NoteLabel(_NOTHING)
        self.note = NoteLabel(NOTE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.empty, self.phrases, self.message, self.note):
            layout.addWidget(part)

    def _connect(self) -> None:
        session = self._session
        self.phrases.asked.connect(self.ask)
        self.phrases.failed.connect(self.message.tell)
        session.model_changed.connect(self._on_model)
        session.overlay.slide_changed.connect(self._follow)
        session.overlay.result_shown.connect(self._follow)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Let the engine start while the user still thinks of what to ask."""
        super().showEvent(event)
        if self._session.result is not None:
            self._session.answerer.get_ready()

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors

    def ask(self, phrase: str) -> None:
        """Ask the model of the shown result for a phrase; the newest question wins."""
        try:
            subject = subject_of(self._session)
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.message.tell(f"Asking for '{phrase}'…")
        self._session.ask(
            AskJob(model=subject.model, phrases=(phrase,), out=self._scratch.file("phrase")),
            partial(self._compare, subject, phrase),
            self.message.complain,
            self._on_event,
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Log) and event.level == "warning":
            self.message.tell(event.message)
        elif isinstance(event, Progress):
            self.message.tell(f"{event.stage}…")

    def _compare(self, subject: Subject, phrase: str, end: Result) -> None:
        warning = self.message.text() if "left aside" in self.message.text() else ""
        self._session.background.run(
            "comparing the tiles with a phrase",
            self._space.similarity,
            subject.file,
            end.paths["vectors"],
            subject.result.report_vector,
            on_done=partial(self._show, subject, phrase, warning),
            on_error=self.message.complain,
        )

    def _show(self, subject: Subject, phrase: str, warning: str, found: Similarity) -> None:
        result = self._session.result
        if result is None or _origin(result) != _origin(subject.result):
            self.message.tell("")
            return  # another slide or model is meant by now
        self.message.tell(" ".join(filter(None, (warning, similarity_text(found)))))
        if len(found.values) == len(result.rowcol) > 0:
            title = f"Likeness to '{phrase}'"
            self.values_found.emit(SIMILARITY_KEY, title, found.values, NOTE)

    def _on_model(self, model: Path | None) -> None:
        self.phrases.set_model(model)

    def _follow(self, *_: object) -> None:
        has_result = self._session.result is not None
        self.empty.setVisible(not has_result)
        self.phrases.setEnabled(has_result)


def _origin(result: SlideResult) -> tuple[str, str]:
    return result.slide_id, result.provenance.get("model_sha256", "")
