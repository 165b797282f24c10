"""PixelSizeDialog: which pixel size is right? Real tissue beside a bar and a ring answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QPointF, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.scaled_picture import RING_UM, ScaledPicture
from napari_dre_slcl.gui.tissue_pieces import read_tissue_pieces
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.slide.mpp_table import forget_mpp, remember_mpp
from napari_dre_slcl.slide.pixel_size import MPP_RANGE, WAYS

__all__ = ["CANDIDATES", "PixelSizeDialog"]

CANDIDATES = {0.25: "0.25 µm, usual for 40x", 0.5: "0.5 µm, usual for 20x", 1.0: "1 µm, for 10x"}
_ZOOMS = (1, 2, 4)
_FREE_START = 0.35
_HOW = (
    f"The same piece of your slide, drawn for four pixel sizes. The ring is {RING_UM:g} µm wide "
    "and the bar as long as it says, if the value below the picture is true. Move the ring over a "
    f"red blood cell, which is about {RING_UM:g} µm wide, or over the round dark nucleus of a "
    "lymphocyte, which is about as wide; most other nuclei have 8 to 10 µm or more. Choose the "
    "value with which the ring fits. Fixed tissue has shrunk a little: a ring slightly too wide is "
    "right, one of half or twice the width is not."
)


class PixelSizeDialog(QDialog):
    """Asks for the pixel size of one slide and stores the answer beside it.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.
    background : Background
        Reads the tissue.
    """

    answered = Signal(float, object)
    """µm per level-0 pixel, and the table that has it, None where it was not to be stored."""
    forgotten = Signal()
    """The stored answer is gone."""

    def __init__(
        self, info: SlideInfo, background: Background, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._path = info.path
        self._pieces: list[NDArray[np.uint8]] = []
        self._piece = 0
        self.setWindowTitle(f"Pixel size of {Path(info.path).name}")
        self._build(info)
        self._connect()
        if info.mpp is not None:
            self.setValue(info.mpp)
        background.run(
            "pixel size",
            read_tissue_pieces,
            info.path,
            on_done=self._show_pieces,
            on_error=self._complain,
        )

    def _build(self, info: SlideInfo) -> None:
        told = "\n".join(found.sentence for found in info.findings)
        self.findings = _words(told.replace(WAYS, "below"))
        self.findings.setVisible(bool(info.findings))
        self.free_field = QDoubleSpinBox()
        self.free_field.setDecimals(4)
        self.free_field.setRange(*MPP_RANGE)
        self.free_field.setSingleStep(0.01)
        self.free_field.setValue(_FREE_START)
        self.free_field.setSuffix(" µm")
        self.free_field.setToolTip("Any other value; bar and ring follow.")
        self.pictures = {mpp: ScaledPicture(mpp) for mpp in CANDIDATES}
        self.free_picture = ScaledPicture(_FREE_START)
        self.choices = {mpp: QRadioButton(words) for mpp, words in CANDIDATES.items()}
        self.free_choice = QRadioButton("Other:")
        self._group = QButtonGroup(self)
        for choice in (*self.choices.values(), self.free_choice):
            self._group.addButton(choice)
        self.place_button = QPushButton("Another place")
        self.place_button.setToolTip("Shows another piece of tissue of this slide.")
        self.place_button.setEnabled(False)
        self.zoom_field = QComboBox()
        for zoom in _ZOOMS:
            self.zoom_field.addItem(f"Zoom {zoom}x", zoom)
        self.remember_box = QCheckBox("Remember for this file")
        self.remember_box.setChecked(True)
        self.remember_box.setToolTip(
            "Keeps the answer in a small table beside the slide. The slide itself is not changed."
        )
        self.forget_button = QPushButton("Forget the stored answer")
        self.forget_button.setVisible(info.mpp_source == "stored answer")
        self.message = MessageLine()
        self.use_button = QPushButton("Use this pixel size")
        self.use_button.setEnabled(False)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.addButton(self.use_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self._lay_out()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for column, (mpp, picture) in enumerate(self.pictures.items()):
            grid.addWidget(picture, 0, column)
            grid.addWidget(self.choices[mpp], 1, column, Qt.AlignmentFlag.AlignHCenter)
        free = QHBoxLayout()
        free.addWidget(self.free_choice)
        free.addWidget(self.free_field)
        grid.addWidget(self.free_picture, 0, len(self.pictures))
        grid.addLayout(free, 1, len(self.pictures), Qt.AlignmentFlag.AlignHCenter)
        grid.setRowStretch(0, 1)
        for column in range(grid.columnCount()):
            grid.setColumnStretch(column, 1)
        view = QHBoxLayout()
        view.addWidget(self.place_button)
        view.addWidget(self.zoom_field)
        view.addStretch()
        view.addWidget(self.forget_button)
        view.addWidget(self.remember_box)
        layout = QVBoxLayout(self)
        layout.addWidget(self.findings)
        layout.addWidget(_words(_HOW))
        layout.addLayout(grid, 1)
        layout.addLayout(view)
        layout.addWidget(self.message)
        layout.addWidget(self.buttons)

    def _connect(self) -> None:
        for mpp, picture in self.pictures.items():
            picture.clicked.connect(partial(self.choices[mpp].setChecked, True))
        self.free_picture.clicked.connect(partial(self.free_choice.setChecked, True))
        for picture in self._all_pictures():
            picture.ring_moved.connect(self._move_ring)
        self.free_field.valueChanged.connect(self.free_picture.set_mpp)
        self.free_field.valueChanged.connect(self._choose_free)
        self._group.buttonToggled.connect(lambda *_: self.use_button.setEnabled(True))
        self.place_button.clicked.connect(self._show_next_piece)
        self.zoom_field.currentIndexChanged.connect(self._on_zoom)
        self.forget_button.clicked.connect(self._forget)
        self.buttons.accepted.connect(self._answer)
        self.buttons.rejected.connect(self.reject)

    def value(self) -> float | None:
        """Return the chosen µm per level-0 pixel, None before a choice."""
        if self.free_choice.isChecked():
            return self.free_field.value()
        return next((mpp for mpp, choice in self.choices.items() if choice.isChecked()), None)

    def setValue(self, mpp: float) -> None:
        """Choose a value, among the candidates where it is one of them."""
        if mpp in self.choices:
            self.choices[mpp].setChecked(True)
            return
        self.free_field.setValue(mpp)
        self.free_choice.setChecked(True)

    def _all_pictures(self) -> tuple[ScaledPicture, ...]:
        return (*self.pictures.values(), self.free_picture)

    def _choose_free(self, _mpp: float) -> None:
        self.free_choice.setChecked(True)

    def _move_ring(self, place: QPointF) -> None:
        for picture in self._all_pictures():
            picture.set_ring(place)

    def _on_zoom(self, _index: int) -> None:
        for picture in self._all_pictures():
            picture.set_zoom(self.zoom_field.currentData())

    def _show_pieces(self, pieces: list[NDArray[np.uint8]]) -> None:
        if not isalive(self):  # closed before the slide was read
            return
        self._pieces = pieces
        self.place_button.setEnabled(len(pieces) > 1)
        self._show_piece(0)

    def _complain(self, sentence: str) -> None:
        if isalive(self):
            self.message.complain(sentence)

    def _show_next_piece(self) -> None:
        self._show_piece((self._piece + 1) % len(self._pieces))

    def _show_piece(self, number: int) -> None:
        self._piece = number
        for picture in self._all_pictures():
            picture.set_piece(self._pieces[number])

    def _answer(self) -> None:
        """Store the answer, tell it and close; where it cannot be stored say why and stay."""
        mpp = self.value()
        if mpp is None:
            return
        table: Path | None = None
        try:
            if self.remember_box.isChecked():
                table = remember_mpp(self._path, mpp)
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.answered.emit(mpp, table)
        self.accept()

    def _forget(self) -> None:
        try:
            forget_mpp(self._path)
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        self.forgotten.emit()
        self.accept()


def _words(text: str) -> PlainLabel:
    """Return text that wraps."""
    label = PlainLabel(text)
    label.setWordWrap(True)
    return label
