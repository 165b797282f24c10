"""Atlas: tiles or slides on a 2-D map, linked both ways with the slide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.atlas_colors import CODEWORD, THIS_SLIDE, choices, paint
from napari_dre_slcl.gui.index_field import IndexField
from napari_dre_slcl.gui.legend_label import LegendLabel
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.point_map import PointMap
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.layers import codeword_colors

__all__ = ["AtlasBox"]

_TILES, _SLIDES = "Tiles", "Slides"
_TOOLS = {"Lasso": "lasso", "Rectangle": "rectangle"}
_HOW = (
    "Drag around points to select their tiles on the slide; click one to go there. The wheel "
    "zooms, the right button moves, a double click shows all."
)


class AtlasBox(QWidget):
    """Atlas: tiles or slides on a 2-D map, linked both ways with the slide.

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
        self._rows = np.empty(0, np.int64)
        self._is_brushing = False
        self._build(colors)
        self._lay_out()
        self._connect()
        self._on_index()

    def _build(self, colors: ThemeColors) -> None:
        self.index_field = IndexField(self._session.cohort_index)
        self.what = QComboBox()
        self.what.addItems([_TILES, _SLIDES])
        self.what.setToolTip("What the points are.")
        self.color_by = QComboBox()
        self.color_by.setToolTip("What the colours of the points mean.")
        self.tool = QComboBox()
        self.tool.addItems(list(_TOOLS))
        self.tool.setToolTip("How dragging selects points.")
        self.all_button = QPushButton("Show all")
        self.all_button.setToolTip("Show the whole map again, and select nothing.")
        self.map = PointMap(colors)
        self.map.setToolTip(_HOW)
        self.map.text_of = self._text_of
        self.legend = LegendLabel("■")
        self.note = NoteLabel()
        self.message = MessageLine()

    def _lay_out(self) -> None:
        self._content = QWidget()
        content = QVBoxLayout(self._content)
        content.setContentsMargins(0, 0, 0, 0)
        for left, right in ((self.what, self.color_by), (self.tool, self.all_button)):
            row = QHBoxLayout()
            row.addWidget(left, 1)
            row.addWidget(right, 1)
            content.addLayout(row)
        content.addWidget(self.map)
        content.addWidget(self.legend)
        content.addWidget(self.note)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.index_field)
        layout.addWidget(self.message)
        layout.addWidget(self._content)

    def _connect(self) -> None:
        session = self._session
        session.index_changed.connect(self._on_index)
        session.overlay.slide_changed.connect(self._on_slide)
        session.overlay.result_shown.connect(self._on_slide)
        session.selection_changed.connect(self._show_selection)
        session.codewords_changed.connect(self._on_codewords)
        session.cohort_index.failed.connect(self.message.tell)
        self.what.currentTextChanged.connect(self._show_points)
        self.color_by.currentTextChanged.connect(self._paint)
        self.tool.currentTextChanged.connect(self._use_tool)
        self.all_button.clicked.connect(self._show_all)
        self.map.brushed.connect(self._on_brushed)
        self.map.clicked.connect(self._on_clicked)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.map.set_colors(colors)

    @property
    def _is_of_tiles(self) -> bool:
        return self.what.currentText() == _TILES

    def _on_index(self) -> None:
        self._content.setVisible(self._session.index is not None)
        self._show_points()

    def _show_points(self) -> None:
        """Show the points of tiles or of slides."""
        index = self._session.index
        if index is None:
            return
        before = self.color_by.currentText()
        names = choices(index, self._is_of_tiles)
        self.color_by.blockSignals(True)
        self.color_by.clear()
        self.color_by.addItems(names)
        self.color_by.setCurrentText(before if before in names else names[0])
        self.color_by.blockSignals(False)
        self._rows = index.atlas_tiles[:, 0].astype(np.int64)
        places = index.atlas_tiles[:, 1:] if self._is_of_tiles else index.atlas_slides
        self.map.set_points(places, np.zeros((len(places), 3), np.uint8))
        self._paint()
        self._show_selection()

    def _paint(self) -> None:
        index = self._session.index
        if index is None:
            return
        style = self._session.codewords
        names = style.names if len(style.names) == index.n_codewords else ()
        rows = self._rows if self._is_of_tiles else None
        choice = self.color_by.currentText()
        if choice == CODEWORD and not names:
            names = tuple(style.name(number) for number in range(index.n_codewords))
        colors = style.colors if len(style.colors) == len(names) else _usual_colors(len(names))
        painted = paint(index, rows, choice, self._slide_number(), (names, colors))
        self.map.set_point_colors(painted.colors)
        self.legend.show_entries((f"rgb{color}", name) for name, color in painted.legend)
        self._show_note()

    def _on_codewords(self) -> None:
        if self.color_by.currentText() == CODEWORD:
            self._paint()

    def _on_slide(self) -> None:
        if self.color_by.currentText() == THIS_SLIDE:
            self._paint()
        self._show_selection()

    def _use_tool(self, name: str) -> None:
        self.map.tool = "rectangle" if _TOOLS[name] == "rectangle" else "lasso"

    def _show_all(self) -> None:
        self.map.reset_view()
        self._session.select_tiles(())
        self.map.set_selected(np.empty(0, np.int64))
        self._show_note()

    def _own_slide(self) -> IndexedSlide | None:
        """Return the slide of the index that is shown, where its result is of the same model."""
        index, result = self._session.index, self._session.result
        if index is None or result is None or not self._session.cohort_index.is_of_result:
            return None
        found: IndexedSlide | None = index.find_slide(result.slide_id, result.slide_path)
        return found

    def _slide_number(self) -> int | None:
        own, index = self._own_slide(), self._session.index
        return None if own is None else index.slides.index(own)

    def _on_brushed(self, numbers: NDArray[np.int64]) -> None:
        """Select the tiles of the brushed points on the slide that is shown."""
        self.map.set_selected(numbers)
        own = self._own_slide()
        if self._is_of_tiles and own is not None:
            self._is_brushing = True
            try:
                rows = self._rows[numbers]
                self._session.select_tiles(self._positions(rows, own))
            finally:
                self._is_brushing = False
        self._show_note()

    def _positions(self, rows: NDArray[np.int64], own: IndexedSlide) -> NDArray[np.int64]:
        """Return where rows of the index stand in the tile table of the shown result."""
        result, index = self._session.result, self._session.index
        rows = rows[(rows >= own.rows.start) & (rows < own.rows.stop)]
        if result is None or not len(rows):
            return np.empty(0, np.int64)
        row_of_tile = index.find_rows(own, result.rowcol)
        return np.flatnonzero(np.isin(row_of_tile, rows)).astype(np.int64)

    def _show_selection(self) -> None:
        """Let the points of the tiles stand out that are selected on the slide."""
        index, result = self._session.index, self._session.result
        if index is None or self._is_brushing:
            return
        own, selection = self._own_slide(), self._session.selection
        numbers = np.empty(0, np.int64)
        if own is not None and result is not None and self._is_of_tiles and len(selection):
            rows = index.find_rows(own, result.rowcol[selection])
            numbers = np.flatnonzero(np.isin(self._rows, rows)).astype(np.int64)
        self.map.set_selected(numbers)
        self._show_note()

    def _show_note(self) -> None:
        index = self._session.index
        if index is not None:
            self.note.setText(self._note_text(index))

    def _note_text(self, index: TileIndex) -> str:
        chosen, own = self.map.selected(), self._own_slide()
        unit = "tiles" if self._is_of_tiles else "slides"
        if not len(chosen):
            shown = len(self._rows) if self._is_of_tiles else len(index.slides)
            all_of_them = len(index) if self._is_of_tiles else len(index.slides)
            part = "" if shown == all_of_them else f", a sample of {all_of_them:,}"
            how = "PCA" if index.atlas_method == "pca" else "UMAP"
            return f"{shown:,} {unit}{part}, placed by {how}. {_HOW}"
        text = f"{len(chosen):,} {unit if len(chosen) != 1 else unit[:-1]} selected"
        if not self._is_of_tiles:
            return f"{text}. Click one to open it."
        if own is None:
            return f"{text}. Open a slide of this cohort to see its tiles among them."
        rows = self._rows[chosen]
        n_here = int(((rows >= own.rows.start) & (rows < own.rows.stop)).sum())
        return f"{text}, {n_here:,} of them on {own.slide_id}."

    def _on_clicked(self, number: int) -> None:
        index = self._session.index
        try:
            if self._is_of_tiles:
                hit = index.hit(int(self._rows[number]), 0.0)
                self._session.visit.go_to_tile(hit, is_answer=False)
            else:
                self._session.visit.go_to_slide(index.slides[number])
        except DreSlclError as error:
            self.message.complain(str(error))

    def _text_of(self, number: int) -> str:
        """Return the tooltip of a point."""
        index = self._session.index
        row = int(self._rows[number]) if self._is_of_tiles else None
        slide = index.slides[number] if row is None else index.hit(row, 0.0).slide
        lines = [slide.slide_id, f"Patient {slide.patient_id or 'unknown'}"]
        lines += [f"{task}: {slide.labels[task]}" for task in index.tasks if slide.labels.get(task)]
        if row is not None and index.n_codewords:
            lines.append(self._session.codewords.name(int(index.codeword[row])))
        return "\n".join(lines)


def _usual_colors(n_codewords: int) -> NDArray[np.float32]:
    return codeword_colors(n_codewords) if n_codewords else np.empty((0, 4), np.float32)
