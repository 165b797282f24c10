"""CodewordCard: one codeword with its colour, name, shares and the tiles nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.texts import share_text
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.thumbnail_grid import Thumbnail, ThumbnailGrid
from napari_dre_slcl.gui.tile_thumbnails import TileThumbnails
from napari_dre_slcl.insight.codeword_names import MOST_SIGNS

__all__ = ["CodewordCard"]

_SWATCH_PX = 18
_COLUMNS = 4


class CodewordCard(QWidget):
    """Shows a codeword and says what the user wants of it; changes nothing itself.

    Parameters
    ----------
    number : int
        From 0.
    thumbnails : TileThumbnails
        Reads pictures.
    colors : ThemeColors
        To paint with.
    """

    named = Signal(int, str)
    """Number and new name."""
    recolor_requested = Signal(int)
    shown = Signal(int, bool)
    """Number, and whether its tiles are to be drawn."""
    isolated = Signal(int, bool)
    """Number, and whether its tiles are to be drawn alone."""
    tile_chosen = Signal(int, int)
    """Number, and which of its pictures."""

    def __init__(
        self,
        number: int,
        thumbnails: TileThumbnails,
        colors: ThemeColors,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._number = number
        self._build(thumbnails, colors)
        self._lay_out()
        self._connect()

    def _build(self, thumbnails: TileThumbnails, colors: ThemeColors) -> None:
        number = self._number + 1
        self.swatch = QToolButton()
        self.swatch.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.swatch.setToolTip("Choose another colour for these tiles.")
        self.swatch.setAccessibleName(f"Colour of codeword {number}")
        self.name = QLineEdit()
        self.name.setMaxLength(MOST_SIGNS)
        self.name.setToolTip(
            "What this kind of tissue is called. The name is kept with the model and appears in "
            "legends, reports and exports."
        )
        self.name.setAccessibleName(f"Name of codeword {number}")
        self.is_shown = QCheckBox("Show")
        self.is_shown.setToolTip("Draw these tiles on the slide.")
        self.only = QPushButton("Only")
        self.only.setCheckable(True)
        self.only.setFixedWidth(52)
        self.only.setToolTip("Draw these tiles alone; press again for all.")
        self.shares = NoteLabel()
        self.shares.setToolTip("Share of the tiles of this slide, and on average over slides.")
        self.tiles = ThumbnailGrid(thumbnails, colors, _COLUMNS)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.swatch)
        top.addWidget(self.name, 1)
        top.addWidget(self.is_shown)
        top.addWidget(self.only)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 6)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.shares)
        layout.addWidget(self.tiles)

    def _connect(self) -> None:
        number = self._number
        self.swatch.clicked.connect(lambda: self.recolor_requested.emit(number))
        self.name.editingFinished.connect(lambda: self.named.emit(number, self.name.text()))
        self.is_shown.toggled.connect(lambda is_on: self.shown.emit(number, is_on))
        self.only.toggled.connect(lambda is_on: self.isolated.emit(number, is_on))
        self.tiles.activated.connect(lambda tile: self.tile_chosen.emit(number, tile))

    def set_look(
        self, name: str, color: NDArray[np.float32], is_shown: bool, is_alone: bool
    ) -> None:
        """Show how the codeword looks; nothing is emitted."""
        if not self.name.hasFocus() or not self.name.isModified():
            self.name.setText(name)
            self.name.setCursorPosition(0)
        pixmap = QPixmap(_SWATCH_PX, _SWATCH_PX)
        pixmap.fill(QColor.fromRgbF(*(float(part) for part in color[:3])))
        self.swatch.setIcon(QIcon(pixmap))
        for button, is_on in ((self.is_shown, is_shown), (self.only, is_alone)):
            blocker = QSignalBlocker(button)
            button.setChecked(is_on)
            blocker.unblock()

    def set_shares(self, of_slide: float | None, of_classes: Mapping[str, float]) -> None:
        """Show shares of 0 to 1; None where no slide is shown."""
        told = [] if of_slide is None else [f"this slide {share_text(of_slide)}"]
        told += [f"{name} {share_text(share)}" for name, share in of_classes.items()]
        self.shares.setText(" · ".join(told))
        self.shares.setVisible(bool(told))

    def set_tiles(self, items: Sequence[Thumbnail]) -> None:
        """Show the tiles nearest the codeword."""
        self.tiles.setValue(items)
        self.tiles.setVisible(bool(items))

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.tiles.set_colors(colors)
