"""The codewords as cards: colour, name, shares, nearest tiles."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.codeword_card import CodewordCard
from napari_dre_slcl.gui.index_field import IndexField
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.thumbnail_grid import Thumbnail
from napari_dre_slcl.gui.tile_thumbnails import tile_key
from napari_dre_slcl.insight.codeword_names import checked_name, write_names
from napari_dre_slcl.insight.hits import TileHit
from napari_dre_slcl.insight.search import codeword_shares, nearest_to_codeword
from napari_dre_slcl.insight.tile_index import TileIndex, label_columns
from napari_dre_slcl.layers import codeword_shares as slide_shares

__all__ = ["CodebookBox"]

_TILES = 4
_NOTHING = (
    "Predict or open a slide at the top of this tab. Its codewords, the kinds of tissue that the "
    "model tells apart, then appear here."
)
_WHAT = (
    "A codeword is a kind of tissue that the model tells apart by itself; every tile belongs to "
    "the one that it is most like. Give each a name when you know what it is."
)
_ALL = "all slides"


class CodebookBox(QWidget):
    """The codewords as cards: colour, name, shares, nearest tiles.

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
        self._colors = colors
        self._hits: list[list[TileHit]] = []
        self._picker: QColorDialog | None = None
        self.cards: list[CodewordCard] = []
        self._build()
        self._connect()
        self._fill_classes()
        self._refresh()

    def _build(self) -> None:
        self.hint = NoteLabel(_NOTHING)
        self.hint.setToolTip(_WHAT)
        self.message = MessageLine()
        self.index_field = IndexField(self._session.cohort_index)
        self.classes = QComboBox()
        self.classes.setToolTip("Mean share of each codeword in the slides of each class.")
        self.all_button = QPushButton("Show all")
        self.all_button.setToolTip("Draw the tiles of every codeword again.")
        self._controls = QWidget()
        controls = QHBoxLayout(self._controls)
        controls.setContentsMargins(0, 0, 0, 0)
        controls.addWidget(PlainLabel("Shares by"))
        controls.addWidget(self.classes, 1)
        controls.addWidget(self.all_button)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.hint, self.index_field, self._controls, self.message):
            layout.addWidget(widget)
        layout.addLayout(self._cards)

    def _connect(self) -> None:
        session = self._session
        session.codewords_changed.connect(self._show_looks)
        session.overlay.slide_changed.connect(self._refresh)
        session.overlay.result_shown.connect(self._refresh)
        session.index_changed.connect(self._on_index)
        self.classes.currentTextChanged.connect(self._show_shares)
        self.all_button.clicked.connect(lambda: session.codewords.isolate(None))
        session.cohort_index.failed.connect(self.message.tell)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        for card in self.cards:
            card.set_colors(colors)

    @property
    def _index(self) -> TileIndex | None:
        """The index, where it is of the model of the result."""
        is_same = self._session.cohort_index.is_of_result
        index: TileIndex | None = self._session.index if is_same else None
        return index

    def _refresh(self) -> None:
        """Show as many cards as there are codewords, with what is known of each."""
        style = self._session.codewords
        n_codewords = 0 if self._session.result is None else style.n_codewords
        self.hint.setText(_WHAT if n_codewords else _nothing(self._session))
        self._controls.setVisible(n_codewords > 0)
        self.index_field.setVisible(n_codewords > 0)
        if len(self.cards) != n_codewords:
            self._make_cards(n_codewords)
        self._show_looks()
        self._show_shares()
        if not self._hits:
            self._find_tiles()

    def _show_looks(self) -> None:
        """Show names, colours and what is drawn; this comes with every move of a colour picker."""
        style = self._session.codewords
        if len(self.cards) != style.n_codewords:
            return
        isolated, is_visible, colors = style.isolated, style.is_visible, style.colors
        for number, card in enumerate(self.cards):
            shown = bool(is_visible[number])
            card.set_look(style.name(number), colors[number], shown, isolated == number)

    def _make_cards(self, n_codewords: int) -> None:
        for card in self.cards:
            self._cards.removeWidget(card)
            card.hide()  # it is deleted only when this event has ended
            card.deleteLater()
        self._hits = []
        self.cards = [
            CodewordCard(number, self._session.thumbnails, self._colors)
            for number in range(n_codewords)
        ]
        for card in self.cards:
            card.named.connect(self._name)
            card.recolor_requested.connect(self._pick_color)
            card.shown.connect(self._session.codewords.set_visible)
            card.isolated.connect(self._isolate)
            card.tile_chosen.connect(self._visit)
            self._cards.addWidget(card)

    def _on_index(self) -> None:
        self._hits = []
        self._fill_classes()
        self._show_shares()
        self._find_tiles()

    def _fill_classes(self) -> None:
        index = self._session.index
        before = self.classes.currentText()
        names = [*(label_columns(index) if index is not None else ()), _ALL]
        self.classes.blockSignals(True)
        self.classes.clear()
        self.classes.addItems(names)
        self.classes.setCurrentText(before if before in names and before != _ALL else names[0])
        self.classes.blockSignals(False)

    def _show_shares(self) -> None:
        result, index = self._session.result, self._index
        if result is None or len(self.cards) != result.n_codewords:
            return
        own = slide_shares(result) if len(result.codeword) else None
        task = self.classes.currentText()
        try:
            others = {} if index is None else codeword_shares(index, "" if task == _ALL else task)
        except DreSlclError as error:  # its files have gone, such as when it was made anew
            self.message.complain(str(error))
            others = {}
        for number, card in enumerate(self.cards):
            of_classes = {name: float(shares[number]) for name, shares in others.items()}
            card.set_shares(None if own is None else float(own[number]), of_classes)

    def _find_tiles(self) -> None:
        """Look for the tiles nearest each codeword in the background."""
        index = self._index
        if index is None or not self.cards:
            self._take_tiles([[] for _ in self.cards])
            return
        self._session.background.run(
            "tiles of the codewords",
            _nearest_of_all,
            index,
            len(self.cards),
            on_done=self._take_tiles,
            on_error=self.message.complain,
        )

    def _take_tiles(self, hits: list[list[TileHit]]) -> None:
        if len(hits) != len(self.cards):
            return
        self._hits = hits
        for card, found in zip(self.cards, hits, strict=True):
            card.set_tiles([Thumbnail(tile_key(hit), (), _tooltip(hit)) for hit in found])

    def _name(self, number: int, text: str) -> None:
        """Name a codeword, here at once and in the model's folder in the background."""
        style = self._session.codewords
        try:
            name = checked_name(text)
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        if name == style.name(number):
            return
        style.set_name(number, name)
        folder = style.model
        if folder is None:
            self.message.tell("The model of this result is not known; the name is not kept.")
            return
        self._session.background.run(
            f"keeping the name of codeword {number + 1}",
            write_names,
            folder,
            {number: name},
            on_done=lambda _: self.message.tell(_kept(folder)),
            on_error=self.message.complain,
        )

    def _isolate(self, number: int, is_alone: bool) -> None:
        self._session.codewords.isolate(number if is_alone else None)

    def _pick_color(self, number: int) -> None:
        """Let the user choose a colour; the slide follows while they do."""
        style = self._session.codewords
        if self._picker is not None:
            self._picker.close()
        now = QColor.fromRgbF(*(float(part) for part in style.colors[number][:3]))
        picker = QColorDialog(now, self)
        picker.setWindowTitle(f"Colour of {style.name(number)}")
        picker.setModal(False)
        picker.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        picker.currentColorChanged.connect(lambda color: self.set_color(number, color))
        picker.rejected.connect(lambda: self.set_color(number, now))
        picker.finished.connect(lambda _: self._forget_picker(picker))
        self._picker = picker
        picker.show()

    def _forget_picker(self, picker: QColorDialog) -> None:
        if self._picker is picker:
            self._picker = None
        picker.deleteLater()

    def set_color(self, number: int, color: QColor) -> None:
        """Draw the tiles of a codeword in another colour."""
        self._session.codewords.set_color(number, color.getRgbF()[:3])

    def _visit(self, number: int, tile: int) -> None:
        try:
            self._session.visit.go_to_tile(self._hits[number][tile])
        except DreSlclError as error:
            self.message.complain(str(error))


def _nearest_of_all(index: TileIndex, n_codewords: int) -> list[list[TileHit]]:
    """Return tiles near each codeword, at first of different slides."""
    return [
        nearest_to_codeword(index, number, _TILES, most_per_slide=1)
        for number in range(n_codewords)
    ]


def _nothing(session: Session) -> str:
    if session.result is not None and not session.result.n_codewords:
        return "The method of this model has no codewords."
    return _NOTHING


def _tooltip(hit: TileHit) -> str:
    patient = f", patient {hit.slide.patient_id}" if hit.slide.patient_id else ""
    return (
        f"{hit.slide.slide_id}{patient}\n{hit.distance:.2f} from the codeword\n"
        "Click to open the slide there."
    )


def _kept(folder: Path) -> str:
    return f"The name is kept with the model in {folder}."
