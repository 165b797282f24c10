"""Tiles and slides of the cohort that are most like the selected ones."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.index_field import IndexField
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.similar_search import (
    PLACES,
    SimilarQuestion,
    similar_slides,
    similar_tiles,
)
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.thumbnail_grid import Thumbnail, ThumbnailGrid
from napari_dre_slcl.gui.tile_thumbnails import tile_key
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.insight.hits import SlideHit, TileHit

__all__ = ["SimilarBox"]

_ROW_PX = 20
_CHOOSE = "Click a tile on the slide to see the 12 tiles of the cohort that are most like it."
_PREDICT = "Predict or open a slide first; then click one of its tiles."


class SimilarBox(QWidget):
    """Tiles and slides of the cohort that are most like the selected ones.

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
        self._question: SimilarQuestion | None = None
        self._tile_hits: list[TileHit] = []
        self._slide_hits: list[SlideHit] = []
        self._build()
        self._lay_out()
        self._connect()
        self._refresh()

    def _build(self) -> None:
        self.index_field = IndexField(self._session.cohort_index)
        self.where = QComboBox()
        self.where.addItems(PLACES)
        self.where.setToolTip("Where to look for similar tiles and slides.")
        self.hint = NoteLabel(_CHOOSE)
        self.message = MessageLine()
        self.tiles = ThumbnailGrid(self._session.thumbnails, self._colors, columns=3)
        self.slides_title = heading("Similar slides")
        self.slides_title.setToolTip(
            "Slides whose summary by the model points the same way; 1 is the same, 0 is unrelated."
        )
        self.slides = QListWidget()
        self.slides.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.slides.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.slides.setToolTip("Double-click a slide to open it.")

    def _lay_out(self) -> None:
        self._where_row = QWidget()
        where = QHBoxLayout(self._where_row)
        where.setContentsMargins(0, 0, 0, 0)
        where.addWidget(PlainLabel("Look in"))
        where.addWidget(self.where, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.index_field)
        layout.addWidget(self._where_row)
        for widget in (self.hint, self.message, self.tiles, self.slides_title, self.slides):
            layout.addWidget(widget)

    def _connect(self) -> None:
        session = self._session
        session.selection_changed.connect(self._on_selection)
        session.index_changed.connect(self._on_index)
        session.overlay.result_shown.connect(self._refresh)
        session.overlay.slide_changed.connect(self._refresh)
        session.cohort_index.failed.connect(self.message.tell)
        self.where.currentIndexChanged.connect(self._on_where)
        self.tiles.activated.connect(self._visit_tile)
        self.slides.itemActivated.connect(self._visit_slide)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.tiles.set_colors(colors)

    def _refresh(self) -> None:
        self._show_hint()
        self._find_slides()

    def _on_selection(self) -> None:
        """Take the selected tiles as a new question, unless one of the answers was gone to."""
        result, selection = self._session.result, self._session.selection
        if result is not None and len(selection) and not self._session.visit.is_selecting:
            file = self._session.overlay.result_file(result.slide_path)
            self._question = SimilarQuestion(result, selection, file)
            self._find_tiles()

    def _on_index(self) -> None:
        self._question = None
        self._show_tiles([])
        self._refresh()

    def _on_where(self) -> None:
        self._find_tiles()
        self._find_slides()

    def _find_tiles(self) -> None:
        """Look for tiles like those asked for, in the background."""
        index, question = self._session.index, self._question
        if index is None or question is None:
            self._show_tiles([])
            return
        self._session.background.run(
            "similar tiles",
            similar_tiles,
            index,
            question,
            self.where.currentText(),
            on_done=self._show_tiles,
            on_error=self._complain_of_tiles,
        )

    def _find_slides(self) -> None:
        index, result = self._session.index, self._session.result
        if index is None or result is None:
            self._show_slides([])
            return
        self._session.background.run(
            "similar slides",
            similar_slides,
            index,
            result,
            self.where.currentText(),
            on_done=self._show_slides,
            on_error=self._complain_of_slides,
        )

    def _complain_of_tiles(self, sentence: str) -> None:
        self._show_tiles([])
        self.hint.setText(sentence)
        self.hint.show()

    def _complain_of_slides(self, sentence: str) -> None:
        self._show_slides([])
        self.message.tell(sentence)

    def _show_tiles(self, hits: list[TileHit]) -> None:
        self._tile_hits = hits
        self.tiles.setValue([_thumbnail(hit) for hit in hits])
        self._show_hint()

    def _show_hint(self) -> None:
        question, session = self._question, self._session
        self._where_row.setVisible(session.index is not None)
        if session.index is None:
            text = ""
        elif question is not None and self._tile_hits:
            n = len(question.selection)
            what = "the selected tile" if n == 1 else f"the {n:,} selected tiles, on average,"
            text = (
                f"Most like {what} of {question.result.slide_id}, the nearest first: slide, "
                "patient and distance. Click one to open its slide there."
            )
        else:
            text = _PREDICT if session.result is None else _CHOOSE
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    def _show_slides(self, hits: list[SlideHit]) -> None:
        self._slide_hits = hits
        self.slides.clear()
        for hit in hits:
            item = QListWidgetItem(_slide_line(hit, self._session.index))
            item.setToolTip(tool_tip(_slide_tooltip(hit)))
            self.slides.addItem(item)
        row_px = self.slides.sizeHintForRow(0) if hits else _ROW_PX
        self.slides.setFixedHeight(row_px * max(1, len(hits)) + 6)
        for widget in (self.slides, self.slides_title):
            widget.setVisible(bool(hits))

    def _visit_tile(self, number: int) -> None:
        try:
            self._session.visit.go_to_tile(self._tile_hits[number])
        except DreSlclError as error:
            self.message.complain(str(error))

    def _visit_slide(self, item: QListWidgetItem) -> None:
        try:
            self._session.visit.go_to_slide(self._slide_hits[self.slides.row(item)].slide)
        except DreSlclError as error:
            self.message.complain(str(error))


def _thumbnail(hit: TileHit) -> Thumbnail:
    slide = hit.slide
    patient = slide.patient_id or "patient unknown"
    told = [f"Slide {slide.slide_id}", f"Patient {slide.patient_id or 'unknown'}"]
    told.append(f"Distance {hit.distance:.3f}; 0 is the same, 2 the opposite")
    told.append("Click to open the slide there.")
    return Thumbnail(
        tile_key(hit), (slide.slide_id, patient, f"distance {hit.distance:.2f}"), "\n".join(told)
    )


def _slide_line(hit: SlideHit, index: Any) -> str:
    labels = [hit.slide.labels.get(task, "") for task in index.tasks[:2]]
    told = ", ".join(label for label in labels if label)
    return f"{hit.similarity:.2f}  {hit.slide.slide_id}" + (f"  ({told})" if told else "")


def _slide_tooltip(hit: SlideHit) -> str:
    slide = hit.slide
    lines = [f"Slide {slide.slide_id}", f"Patient {slide.patient_id or 'unknown'}"]
    lines += [f"{name}: {value}" for name, value in slide.labels.items() if value]
    return "\n".join([*lines, "Double-click to open it."])
