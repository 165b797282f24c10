"""The Slide tab: which slide is meant, what its file says, its pixel size and its tissue."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.associated_images import AssociatedImagesButton
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.texts import slide_rows, tissue_text
from napari_dre_slcl.slide import SlideInfo, open_slide
from napari_dre_slcl.tiles import TileGrid, tile_slide

__all__ = ["SlidePanel"]

_PATTERN = (
    "Slides (*.svs *.tif *.tiff *.ndpi *.mrxs *.scn *.svslide *.bif *.vms *.vmu *.dcm);;All (*)"
)
_NO_SLIDE = "No slide is open. Drop a slide file on the canvas, or open one here."


class SlidePanel(QWidget):
    """Facts of the slide that is meant.

    Parameters
    ----------
    overlay : Overlay
        Knows which slide is meant.
    background : Background
        Finds tissue.
    """

    def __init__(
        self, overlay: Overlay, background: Background, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._overlay = overlay
        self._background = background
        self._build()
        self._connect()
        self.show_slide(overlay.slide)

    def _build(self) -> None:
        self.open_button = QPushButton("Open slide…")
        self._facts = QFormLayout()
        self._facts.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.mpp_field = QDoubleSpinBox()
        self.mpp_field.setDecimals(4)
        self.mpp_field.setRange(0.05, 20.0)
        self.mpp_field.setSingleStep(0.01)
        self.mpp_field.setValue(0.25)
        self.mpp_field.setSuffix(" µm")
        self.mpp_field.setToolTip("Edge of a level-0 pixel. 0.25 µm is usual for 40x, 0.5 for 20x.")
        self.mpp_button = QPushButton("Use this pixel size")
        self._mpp_row = QWidget()
        row = QHBoxLayout(self._mpp_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.mpp_field)
        row.addWidget(self.mpp_button)
        self.tissue_button = QPushButton("Find tissue")
        self.tissue_button.setToolTip("Shows the tiles that training and prediction would use.")
        self.message = MessageLine()
        self.other_images = AssociatedImagesButton(self._overlay, self)
        layout = QVBoxLayout(self)
        layout.addWidget(self.open_button)
        layout.addLayout(self._facts)
        layout.addWidget(self.other_images)
        layout.addWidget(self._mpp_row)
        layout.addWidget(self.tissue_button)
        layout.addWidget(self.message)
        layout.addStretch()

    def _connect(self) -> None:
        self.open_button.clicked.connect(self._pick)
        self.mpp_button.clicked.connect(lambda: self._overlay.set_mpp(self.mpp_field.value()))
        self.tissue_button.clicked.connect(self.find_tissue)
        self._overlay.slide_changed.connect(self.show_slide)

    def show_slide(self, info: SlideInfo | None) -> None:
        """Show the facts of a slide, or that there is none."""
        while self._facts.rowCount():
            self._facts.removeRow(0)
        for name, value in [] if info is None else slide_rows(info):
            label = QLabel(value)
            label.setWordWrap(True)
            self._facts.addRow(f"{name}:", label)
        has_mpp = info is not None and info.mpp is not None
        self._mpp_row.setVisible(info is not None)
        self.tissue_button.setEnabled(has_mpp)
        if info is not None and info.mpp is not None:
            self.mpp_field.setValue(info.mpp)
        if info is None:
            self.message.tell(_NO_SLIDE)
        elif has_mpp:
            self.message.tell("")
        else:
            self.message.tell(
                "The file states no pixel size. Give it above; tiles and predictions need it."
            )

    def facts(self) -> dict[str, str]:
        """Return the facts that are shown, by name."""
        shown = {}
        for row in range(self._facts.rowCount()):
            name, value = (
                self._facts.itemAt(row, role).widget()  # type: ignore[union-attr]
                for role in (QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole)
            )
            shown[name.text().rstrip(":")] = value.text()  # type: ignore[union-attr]
        return shown

    def open_path(self, path: Path) -> None:
        """Open a slide, or say why not."""
        try:
            self._overlay.open_slide(path)
        except DreSlclError as error:
            self.message.complain(str(error))

    def find_tissue(self) -> None:
        """Lay the tile grid over the slide in the background and show it."""
        info = self._overlay.slide
        if info is None:
            return
        self.tissue_button.setEnabled(False)
        self.message.tell("Finding tissue…")
        self._background.run(
            "tissue",
            _tile,
            info,
            on_done=lambda grid: self._show_tissue(info.path, grid),
            on_error=self._complain_of_tissue,
        )

    def _pick(self) -> None:
        picked, _ = QFileDialog.getOpenFileName(self, "Open slide", "", _PATTERN)
        if picked:
            self.open_path(Path(picked))

    def _show_tissue(self, path: str, grid: TileGrid) -> None:
        self.tissue_button.setEnabled(True)
        self._overlay.show_tissue(path, grid)
        self.message.tell(tissue_text(grid))

    def _complain_of_tissue(self, sentence: str) -> None:
        self.tissue_button.setEnabled(True)
        self.message.complain(sentence)


def _tile(info: SlideInfo) -> TileGrid:
    with open_slide(info.path, info.mpp) as slide:
        return tile_slide(slide)
