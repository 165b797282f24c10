"""The Slide tab: which slide is meant, what its file says, its pixel size and its tissue."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.associated_images import AssociatedImagesButton
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.pixel_size_box import PixelSizeBox
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.slide_thumbnail import SlideThumbnail
from napari_dre_slcl.gui.texts import slide_rows
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tissue_box import TissueBox
from napari_dre_slcl.slide import SlideInfo

__all__ = ["SlidePanel"]

_PATTERN = (
    "Slides (*.svs *.tif *.tiff *.ndpi *.mrxs *.scn *.svslide *.bif *.vms *.vmu *.dcm);;All (*)"
)
_NO_SLIDE = "No slide is open. Drop a slide file on the canvas, or open one here."


class SlidePanel(QWidget):
    """The slide that is meant: overview, facts, pixel size, tissue.

    Parameters
    ----------
    session : Session
        Knows which slide is meant, and finds its tissue.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._overlay = session.overlay
        self._build(session, colors)
        self._connect()
        self.show_slide(self._overlay.slide)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.thumbnail.set_colors(colors)

    def _build(self, session: Session, colors: ThemeColors) -> None:
        self.open_button = QPushButton("Open slide…")
        self.open_button.setToolTip("Opens a slide file, as dropping it on the canvas does.")
        self.thumbnail = SlideThumbnail(session.overlay, session.view, session.background, colors)
        self._facts = QFormLayout()
        self._facts.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.pixel_size = PixelSizeBox(self._overlay)
        self.tissue = TissueBox(session.tissue, self._overlay)
        self.message = MessageLine()
        self.other_images = AssociatedImagesButton(self._overlay, self)
        layout = QVBoxLayout(self)
        layout.addWidget(self.open_button)
        layout.addWidget(self.thumbnail)
        layout.addLayout(self._facts)
        for widget in (self.message, self.pixel_size, self.tissue, self.other_images):
            layout.addWidget(widget)
        layout.addStretch()

    def _connect(self) -> None:
        self.open_button.clicked.connect(self._pick)
        self._overlay.slide_changed.connect(self.show_slide)

    def show_slide(self, info: SlideInfo | None) -> None:
        """Show the facts of a slide, or that there is none."""
        while self._facts.rowCount():
            self._facts.removeRow(0)
        for name, value in [] if info is None else slide_rows(info):
            label = PlainLabel(value)
            label.setWordWrap(True)
            self._facts.addRow(f"{name}:", label)
        self.tissue.setVisible(info is not None)
        self.message.tell(_NO_SLIDE if info is None else "")

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

    def _pick(self) -> None:
        picked, _ = QFileDialog.getOpenFileName(self, "Open slide", "", _PATTERN)
        if picked:
            self.open_path(Path(picked))
