"""The Tissue box of the Slide tab: find, adjust and paint the tissue mask, and count its tiles."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.marked_slider import MarkedSlider
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.texts import preview_text
from napari_dre_slcl.gui.tissue_finder import TissueFinder
from napari_dre_slcl.gui.tissue_state import TissueState
from napari_dre_slcl.tiles import MASK_SUFFIX

__all__ = ["TissueBox"]

_THRESHOLDS = (1, 80)
_SHARES = (5, 100)
_BRUSHES_UM = (8, 5000)
_PATTERN = f"Tissue masks (*{MASK_SUFFIX});;All (*)"
_KINDS = {"mask": "Mask", "tissue": "Tiles"}


class TissueBox(QWidget):
    """Shows and changes what a `TissueFinder` knows.

    Parameters
    ----------
    finder : TissueFinder
        Does the work.
    overlay : Overlay
        Owns the layers.
    """

    def __init__(
        self, finder: TissueFinder, overlay: Overlay, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._finder = finder
        self._overlay = overlay
        self._build()
        self._lay_out()
        self._connect()
        self.show_state()

    def _build(self) -> None:
        self.find_button = QPushButton("Find tissue")
        self.find_button.setToolTip("Shows the tiles that training and prediction would use.")
        self.threshold = MarkedSlider(*_THRESHOLDS)
        self.threshold.setToolTip(
            "How strongly coloured a spot must be to count as tissue. Less takes in pale tissue, "
            "more leaves out shadows and dust. The mark is the automatic value."
        )
        self.auto_button = QPushButton("Auto")
        self.auto_button.setToolTip("Let the slide decide. A double click on the slider does too.")
        self.share = MarkedSlider(*_SHARES)
        self.share.setToolTip("How much of a tile must be tissue for the tile to be used.")
        self.share_button = QPushButton("Auto")
        self.share_button.setToolTip("Go back to the value that the model was trained with.")
        self.threshold_text, self.share_text = PlainLabel(), PlainLabel()
        self.tools = {"add": QPushButton("Add tissue"), "remove": QPushButton("Remove tissue")}
        for button in self.tools.values():
            button.setCheckable(True)
            button.setToolTip("Paint on the slide with the left mouse button. Click again to end.")
        self.brush = QSpinBox()
        self.brush.setRange(*_BRUSHES_UM)
        self.brush.setSingleStep(50)
        self.brush.setKeyboardTracking(False)  # half a number is no width
        self.brush.setSuffix(" µm")
        self.brush.setToolTip("Width of the brush.")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Takes the last stroke of the brush back.")
        self.discard_button = QPushButton("Discard painting")
        self.discard_button.setToolTip("Takes all painting back: the mask that was found remains.")
        self.load_button = QPushButton("Open mask…")
        self.load_button.setToolTip("Lays a saved mask over this slide; it counts as painted.")
        self.save_button = QPushButton("Save mask…")
        self.save_button.setToolTip("Saves the mask as a file that can be opened here again.")
        self.toggles = {kind: QCheckBox(name) for kind, name in _KINDS.items()}
        self.toggles["mask"].setToolTip("Show what counts as tissue.")
        self.toggles["tissue"].setToolTip("Show the tiles that are used, and why others are not.")
        self.counts = MessageLine()
        self.message = MessageLine()

    def _lay_out(self) -> None:
        sliders = QGridLayout()
        rows = (
            ("Threshold", self.threshold, self.threshold_text, self.auto_button),
            ("Least tissue", self.share, self.share_text, self.share_button),
        )
        for row, (name, slider, text, button) in enumerate(rows):
            text.setMinimumWidth(text.fontMetrics().horizontalAdvance("100 %"))
            text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column, widget in enumerate((PlainLabel(name), slider, text, button)):
                sliders.addWidget(widget, row, column)
        sliders.setColumnStretch(1, 1)
        self._details = QWidget()
        details = QVBoxLayout(self._details)
        details.setContentsMargins(0, 0, 0, 0)
        details.addLayout(sliders)
        details.addLayout(_row(*self.tools.values(), self.brush))
        details.addLayout(_row(self.undo_button, self.discard_button))
        details.addLayout(_row(self.load_button, self.save_button))
        shown = _row(PlainLabel("Show"), *self.toggles.values())
        shown.addStretch()
        details.addLayout(shown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Tissue"))
        layout.addWidget(self.find_button)
        for widget in (self._details, self.counts, self.message):
            layout.addWidget(widget)

    def _connect(self) -> None:
        finder = self._finder
        self.find_button.clicked.connect(self._find)
        self.threshold.valueChanged.connect(finder.set_threshold)
        self.threshold.reset_requested.connect(lambda: finder.set_threshold(None))
        self.auto_button.clicked.connect(lambda: finder.set_threshold(None))
        self.share.valueChanged.connect(lambda value: finder.set_min_tissue(value / 100))
        self.share.reset_requested.connect(lambda: finder.set_min_tissue(None))
        self.share_button.clicked.connect(lambda: finder.set_min_tissue(None))
        for tool, button in self.tools.items():
            button.clicked.connect(
                lambda is_on, tool=tool: finder.set_tool(tool if is_on else None)
            )
        self.brush.valueChanged.connect(finder.set_brush_um)
        self.undo_button.clicked.connect(finder.undo)
        self.discard_button.clicked.connect(finder.discard)
        self.load_button.clicked.connect(self._pick_mask)
        self.save_button.clicked.connect(self._pick_target)
        for kind, toggle in self.toggles.items():
            toggle.toggled.connect(lambda is_on, kind=kind: self._overlay.set_visible(kind, is_on))
        finder.changed.connect(self.show_state)
        finder.failed.connect(self.message.complain)
        self._overlay.visibility_changed.connect(self._show_visibility)
        self._overlay.slide_changed.connect(self._forget_message)

    def show_state(self) -> None:
        """Show what is known of the slide that is meant."""
        info, state = self._overlay.slide, self._finder.state
        self.find_button.setEnabled(
            info is not None and info.mpp is not None and not self._finder.is_busy
        )
        self._details.setVisible(state is not None)
        self._details.setEnabled(info is not None and info.mpp is not None)
        if state is not None:
            self._show_values(state)
            self._show_visibility()
        self._show_counts(state)

    def open_mask(self, path: Path) -> None:
        """Lay a saved mask over the slide, or say why not."""
        try:
            self._finder.load_mask(path)
        except DreSlclError as error:
            self.message.complain(str(error))
        else:
            self.message.tell(f"Opened the mask '{path.name}'.")

    def save_mask(self, path: Path) -> None:
        """Save the mask of the slide that is meant, or say why not."""
        info = self._overlay.slide
        mask = None if info is None else self._finder.mask(info.path)
        if mask is None:
            return
        try:
            mask.save(path)
        except DreSlclError as error:
            self.message.complain(str(error))
        else:
            self.message.tell(f"Saved the mask as '{path.name}'.")

    def _show_values(self, state: TissueState) -> None:
        threshold = state.auto_threshold if state.threshold is None else state.threshold
        wanted = state.auto_min_tissue if state.min_tissue is None else state.min_tissue
        share = round(100 * wanted)
        auto_share = max(1, round(100 * state.auto_min_tissue))
        _show_on(self.threshold, _THRESHOLDS, threshold, state.auto_threshold)
        _show_on(self.share, _SHARES, max(1, share), auto_share)
        brush_um = round(state.brush_um)
        if self.brush.value() != brush_um:  # else leave alone what is being typed
            self.brush.blockSignals(True)
            self.brush.setValue(brush_um)
            self.brush.blockSignals(False)
        self.threshold_text.setText(str(threshold))
        self.share_text.setText(f"{share} %" if share else "<1 %")
        self.auto_button.setEnabled(state.threshold is not None)
        self.share_button.setEnabled(state.min_tissue is not None)
        for tool, button in self.tools.items():
            button.setChecked(state.tool == tool)
        self.discard_button.setEnabled(state.is_painted)

    def _show_visibility(self) -> None:
        for kind, toggle in self.toggles.items():
            layer = self._overlay.layer(kind)
            toggle.setEnabled(layer is not None)
            toggle.blockSignals(True)
            toggle.setChecked(layer is not None and layer.visible)
            toggle.blockSignals(False)

    def _show_counts(self, state: TissueState | None) -> None:
        if self._finder.is_busy:
            self.counts.tell("Reading the slide…")
        elif state is None or state.has_failed or not self._details.isEnabled():
            self.counts.tell("")
        elif state.grid is None:
            self.counts.tell("Counting tiles…")
        else:
            self.counts.tell(preview_text(state.grid, state.n_unseen))

    def _forget_message(self, _: object = None) -> None:
        self.message.tell("")

    def _find(self) -> None:
        self.message.tell("")
        self._finder.find()

    def _pick_mask(self) -> None:
        picked, _ = QFileDialog.getOpenFileName(self, "Open mask", self._usual_path(), _PATTERN)
        if picked:
            self.open_mask(Path(picked))

    def _pick_target(self) -> None:
        picked, _ = QFileDialog.getSaveFileName(self, "Save mask", self._usual_path(), _PATTERN)
        if picked:
            is_named = picked.endswith(MASK_SUFFIX)
            self.save_mask(Path(picked if is_named else picked + MASK_SUFFIX))

    def _usual_path(self) -> str:
        info = self._overlay.slide
        return "" if info is None else str(Path(info.path).with_suffix(MASK_SUFFIX))


def _show_on(slider: MarkedSlider, usual: tuple[int, int], value: int, mark: int) -> None:
    """Show a value and the mark; the range is the usual one, and as much wider as they need."""
    slider.blockSignals(True)
    if not slider.isSliderDown():  # the range must not move under the mouse
        slider.setRange(min(usual[0], value, mark), max(usual[1], value, mark))
    slider.setValue(value)
    slider.blockSignals(False)
    slider.set_mark(mark)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
