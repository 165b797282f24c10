"""Maps: which value of the tiles is drawn over the slide, with a colour bar of numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_dre_slcl.gui.map_look import MapLook
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.insight.search import attention_percentile
from napari_dre_slcl.layers import MapChoice, MapWords, TileMap, available_maps
from napari_dre_slcl.results import SlideResult

__all__ = ["MapBox"]

_NOTHING = "There is no map yet. Predict the slide, or open a result, at the top of this tab."

Drawn = tuple[TileMap, NDArray[np.float32]]


class MapBox(QWidget):
    """Maps: which value of the tiles is drawn over the slide, with a colour bar of numbers.

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
        self._result: SlideResult | None = None
        self._choices: dict[str, MapChoice] = {}
        self._given: dict[str, MapChoice] = {}
        self._drawn: dict[str, Drawn] = {}
        self._build(colors)
        self._connect()
        self.refresh()

    def _build(self, colors: ThemeColors) -> None:
        self.choice = QComboBox()
        self.choice.setToolTip("Which value of the tiles is drawn over the slide.")
        self.choice.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.explanation = PlainLabel()
        self.explanation.setWordWrap(True)
        self.look = MapLook(colors)
        self.message = MessageLine()
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Map", self.choice)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for part in (self.explanation, self.look, self.message):
            layout.addWidget(part)

    def _connect(self) -> None:
        session = self._session
        overlay = session.overlay
        self.choice.activated.connect(self._on_choice)
        overlay.slide_changed.connect(self.refresh)
        overlay.result_shown.connect(self.refresh)
        overlay.active_changed.connect(self._show_look)
        session.index_changed.connect(self.refresh)
        overlay.map_shown.connect(self._show_choice)

    def _on_choice(self, number: int) -> None:
        self.show_map(self.choice.itemData(number))

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.look.set_colors(colors)

    def value(self) -> str | None:
        """Return the key of the map that is drawn over the slide that is meant."""
        shown = self._session.overlay.tile_map
        return None if shown is None else shown.key

    def show_map(self, key: str) -> None:
        """Draw one of the maps that the slide's result has; its values are made in the thread.

        Parameters
        ----------
        key : str
            As `available_maps` names it, or given to `show_values`.
        """
        if key not in self._choices or self._result is None:
            return
        if key in self._drawn:
            self._show(self._result, self._drawn[key])
            return
        self._session.background.run(
            "drawing a map",
            _draw,
            self._choices[key].make,
            self._result,
            on_done=partial(self._show, self._result),
            on_error=self.message.complain,
        )

    def show_values(
        self,
        key: str,
        title: str,
        values: NDArray[Any],
        explanation: str,
        unit: str = "",
    ) -> None:
        """Offer values that another panel has worked out as a map, and draw it.

        Parameters
        ----------
        key : str
            A later map of the same key takes the place of this one.
        title, explanation, unit : str
            As of `TileMap`.
        values : ndarray
            (n,) one finite number per tile of the slide that is meant.
        """
        if self._result is None or len(values) != len(self._result.rowcol):
            self.message.complain(f"'{title}' is of another slide than the one that is shown.")
            return
        self.message.tell("")
        words = MapWords(title, unit, explanation)
        self._given[key] = MapChoice(
            key, title, unit, explanation, partial(TileMap.of, key, words, values)
        )
        self._drawn.pop(key, None)
        self.refresh()
        self.show_map(key)

    def _show(self, result: SlideResult, drawn: Drawn) -> None:
        if result is not self._session.result:
            return  # of a slide that is not meant any more
        self._drawn[drawn[0].key] = drawn
        overlay = self._session.overlay
        overlay.show_map(*drawn)
        overlay.set_visible("attention", True)
        if not overlay.is_side_by_side:
            overlay.set_visible("clusters", False)  # their colours would mix with the map's

    def refresh(self, changed: object = None) -> None:
        """Offer what the result of the slide that is meant has."""
        result = self._session.result
        if result is not self._result:
            self._result, self._given, self._drawn = result, {}, {}
        choices = () if result is None else available_maps(result, self._cohort_percentile())
        self._choices = {choice.key: choice for choice in choices} | self._given
        self.choice.blockSignals(True)
        self.choice.clear()
        for key, choice in self._choices.items():
            self.choice.addItem(choice.title, key)
        self.choice.blockSignals(False)
        self.choice.setEnabled(bool(self._choices))
        self._show_choice(self._session.overlay.tile_map)

    def _cohort_percentile(self) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        index = self._session.index
        return None if index is None else partial(attention_percentile, index)

    def _show_choice(self, tile_map: TileMap | None) -> None:
        key = None if tile_map is None else tile_map.key
        self.choice.setCurrentIndex(self.choice.findData(key))
        self.choice.setToolTip("Which value of the tiles is drawn over the slide.")
        self.explanation.setText(_NOTHING if tile_map is None else tile_map.explanation)
        self._show_look()

    def _show_look(self) -> None:
        overlay = self._session.overlay
        self.look.setValue(overlay.layer("attention"), overlay.tile_map)


def _draw(make: Callable[[], TileMap], result: SlideResult) -> Drawn:
    tile_map = make()
    return tile_map, np.asarray(result.raster(tile_map.values, fill=np.nan), np.float32)
