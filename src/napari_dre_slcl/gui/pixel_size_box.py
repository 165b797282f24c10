"""PixelSizeBox: what is doubtful about the pixel size of the slide, and the way out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.pixel_size_dialog import PixelSizeDialog
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.slide.pixel_size import MPP_RANGE, WAYS

__all__ = ["PixelSizeBox", "doubt_text"]

_USUAL_MPP = 0.25


class PixelSizeBox(QWidget):
    """Tells of a doubtful pixel size and opens the dialog that settles it.

    Parameters
    ----------
    overlay : Overlay
        Knows which slide is meant.
    """

    def __init__(self, overlay: Overlay, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._overlay = overlay
        self.dialog: PixelSizeDialog | None = None
        self._build()
        self.use_button.clicked.connect(self._use_field)
        self.compare_button.clicked.connect(self.open_dialog)
        overlay.slide_changed.connect(self.show_slide)
        self.show_slide(overlay.slide)

    def _build(self) -> None:
        self.field = QDoubleSpinBox()
        self.field.setDecimals(4)
        self.field.setRange(*MPP_RANGE)
        self.field.setSingleStep(0.01)
        self.field.setValue(_USUAL_MPP)
        self.field.setSuffix(" µm")
        self.field.setToolTip("Edge of a level-0 pixel. 0.25 µm is usual for 40x, 0.5 for 20x.")
        self.use_button = QPushButton("Use this pixel size")
        self.use_button.setToolTip("For as long as the slide is open here; nothing is stored.")
        self.compare_button = QPushButton("Compare with tissue…")
        self.compare_button.setToolTip(
            "Shows tissue of this slide beside scale bars, and remembers the pixel size that fits."
        )
        self.message = MessageLine()
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.addWidget(self.field)
        row.addWidget(self.use_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Pixel size"))
        layout.addWidget(self.message)
        layout.addWidget(self.compare_button)
        layout.addLayout(row)

    def show_slide(self, info: SlideInfo | None) -> None:
        """Tell what is doubtful about a slide's pixel size; nothing where it is sound."""
        self.setVisible(info is not None)
        self.message.tell("" if info is None else doubt_text(info))
        if info is not None:
            # Never the size of the slide before: one click would give it to this one.
            self.field.setValue(info.mpp or _USUAL_MPP)

    def open_dialog(self) -> None:
        """Open the dialog for the slide that is meant, beside the window, which stays usable."""
        info = self._overlay.slide
        if info is None:
            return
        if self.dialog is not None:
            self.dialog.close()
        self.dialog = PixelSizeDialog(info, self._overlay.background, self)
        self.dialog.answered.connect(partial(self._use, info.path))
        self.dialog.forgotten.connect(partial(self._use, info.path, None, None))
        self.dialog.finished.connect(self._on_closed)
        self.dialog.show()

    def _use_field(self) -> None:
        info = self._overlay.slide
        if info is not None:
            self._use(info.path, self.field.value(), None)

    def _use(self, path: str, mpp: float | None, table: Path | None) -> None:
        try:
            self._overlay.set_mpp(mpp, "user" if table is None else "stored answer", path)
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        if table is not None:
            self.message.tell(f"Remembered in '{table}'. The slide itself is unchanged.")

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None


def doubt_text(info: SlideInfo) -> str:
    """Return the gravest doubt about a slide's pixel size, empty where there is none."""
    doubts = [found for found in info.findings if found.severity != "note"]
    if not doubts:
        return ""
    more = f" (The dialog tells {len(doubts) - 1} more.)" if len(doubts) > 1 else ""
    return f"⚠ {doubts[0].sentence.replace(WAYS, 'below')}{more}"
