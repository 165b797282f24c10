"""PhraseField: a phrase to type, or one of those kept with the model."""

from __future__ import annotations

from pathlib import Path

from qtpy.compat import isalive
from qtpy.QtCore import QSignalBlocker, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.insight.phrases import (
    LONGEST_PHRASE,
    clean_phrase,
    read_phrases,
    write_phrases,
)

__all__ = ["PhraseField"]

_PLACEHOLDER = "Such as: dense lymphocytes"


class PhraseField(QWidget):
    """A field with the phrases of a model, and buttons to ask, to keep and to forget one.

    Parameters
    ----------
    background : Background
        Reads and writes the phrases.
    """

    asked = Signal(str)
    """A phrase that is to be asked."""
    failed = Signal(str)
    """A sentence: phrases could not be kept."""

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._model: Path | None = None
        self._in_memory: dict[Path | None, tuple[str, ...]] = {None: ()}
        self._build()
        self._lay_out()
        self._connect()
        self._update_buttons()

    def _build(self) -> None:
        self.field = QComboBox()
        self.field.setEditable(True)
        self.field.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.field.setMinimumContentsLength(12)
        self.field.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.field.setToolTip("Type a phrase and press Enter, or choose one that was kept.")
        line = self.field.lineEdit()
        assert line is not None
        self.line = line
        self.line.setPlaceholderText(_PLACEHOLDER)
        self.line.setMaxLength(LONGEST_PHRASE)
        self.ask_button = QPushButton("Ask")
        self.ask_button.setToolTip("Show how like this phrase each tile is.")
        self.keep_button = QPushButton("Keep")
        self.keep_button.setToolTip("Keep this phrase with the model, for the list.")
        self.forget_button = QPushButton("Forget")
        self.forget_button.setToolTip("Take this phrase out of the list.")

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.ask_button, self.keep_button, self.forget_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.field)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.line.returnPressed.connect(self._ask)
        self.line.textChanged.connect(lambda _: self._update_buttons())
        self.field.activated.connect(lambda _: self._ask())
        self.ask_button.clicked.connect(self._ask)
        self.keep_button.clicked.connect(self._keep)
        self.forget_button.clicked.connect(self._forget)

    def value(self) -> str:
        """Return the phrase that is in the field."""
        return clean_phrase(self.line.text())

    def setValue(self, phrase: str) -> None:
        """Put a phrase into the field."""
        self.line.setText(phrase)

    def phrases(self) -> tuple[str, ...]:
        """Return the phrases of the list."""
        return tuple(self.field.itemText(number) for number in range(self.field.count()))

    def set_model(self, model: Path | None) -> None:
        """Offer the phrases that are kept with a model."""
        self._model = model
        if model is None or model in self._in_memory:
            self._show(self._in_memory.get(model, ()))
            return
        self._background.run(
            "reading phrases",
            read_phrases,
            model,
            on_done=self._show,
            on_error=self._complain,
        )
        self._update_buttons()

    def _show(self, phrases: tuple[str, ...]) -> None:
        if not isalive(self):
            return
        self._in_memory[self._model] = phrases
        text = self.line.text()
        with QSignalBlocker(self.field):
            self.field.clear()
            self.field.addItems(list(phrases))
            self.field.setCurrentIndex(-1)
        self.line.setText(text)
        self._update_buttons()

    def _complain(self, sentence: str) -> None:
        if isalive(self):  # the panel may have gone meanwhile
            self.failed.emit(sentence)

    def _ask(self) -> None:
        if self.value():
            self.asked.emit(self.value())

    def _keep(self) -> None:
        self._change((*self.phrases(), self.value()))

    def _forget(self) -> None:
        self._change(tuple(one for one in self.phrases() if one != self.value()))

    def _change(self, phrases: tuple[str, ...]) -> None:
        self._show(phrases)
        if self._model is not None:
            self._background.run(
                "keeping phrases",
                write_phrases,
                self._model,
                phrases,
                on_done=lambda _: None,
                on_error=self._complain,
            )

    def _update_buttons(self) -> None:
        phrase, phrases = self.value(), self.phrases()
        is_known = self._model in self._in_memory  # else what is kept on disk would be lost
        self.ask_button.setEnabled(bool(phrase))
        self.keep_button.setEnabled(is_known and bool(phrase) and phrase not in phrases)
        self.forget_button.setEnabled(is_known and phrase in phrases)
