"""The button "Other images…": shows label, macro or thumbnail, after a warning, where asked to."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.notices import show_error
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.layers import LayerData, world_transform
from napari_dre_slcl.layers.layer_name import layer_name
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.slide.associated import PATIENT_WARNING, read_associated_image

__all__ = ["AssociatedImagesButton", "AssociatedImagesDialog"]

_USE = (
    "The plugin uses them for nothing else: not for tissue, training or prediction, and no result "
    "holds them. The image stays in this window, and in its screenshots, until you remove its "
    "layer."
)
_MARGIN = 0.05
_WIDTH_PX = 440
_LIST_HEIGHT_PX = 110


class AssociatedImagesDialog(QDialog):
    """Lists the names of the images and warns; Cancel is what Enter does.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.
    """

    def __init__(self, info: SlideInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Other images in {Path(info.path).name}")
        self.names = QListWidget()
        self.names.addItems(list(info.associated_images))
        self.names.setMaximumHeight(_LIST_HEIGHT_PX)
        self.buttons = QDialogButtonBox()
        self.show_button = QPushButton("Show the image")
        self.show_button.setAutoDefault(False)
        self.show_button.setEnabled(False)
        self.buttons.addButton(self.show_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setDefault(True)
        self.buttons.addButton(self.cancel_button, QDialogButtonBox.ButtonRole.RejectRole)
        self.setMinimumWidth(_WIDTH_PX)
        layout = QVBoxLayout(self)
        warning = PlainLabel(f"⚠ {PATIENT_WARNING}\n\n{_USE}")
        warning.setWordWrap(True)
        layout.addWidget(warning)
        layout.addWidget(self.names)
        layout.addWidget(self.buttons)
        self.names.itemSelectionChanged.connect(
            lambda: self.show_button.setEnabled(self.chosen() is not None)
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.cancel_button.setFocus()

    def chosen(self) -> str | None:
        """Return the name of the image that is chosen."""
        item = self.names.currentItem()
        return item.text() if item is not None and item.isSelected() else None


class AssociatedImagesButton(QPushButton):
    """Seen only while the slide that is meant has other images.

    Parameters
    ----------
    overlay : Overlay
        Knows which slide is meant.
    """

    image_read = Signal(object)
    """`LayerData` of an image that the user has asked for."""

    def __init__(self, overlay: Overlay, parent: QWidget) -> None:
        super().__init__("Other images…", parent)
        self.setToolTip("Label, macro or thumbnail of this file. They may show patient data.")
        self._info: SlideInfo | None = None
        overlay.slide_changed.connect(self.set_slide)
        self.clicked.connect(self.ask)
        self.set_slide(overlay.slide)

    def set_slide(self, info: SlideInfo | None) -> None:
        """Offer the other images of a slide."""
        self._info = info
        self.setVisible(info is not None and bool(info.associated_images))

    def ask(self) -> None:
        """Warn, let the user choose, and read what was chosen."""
        if self._info is None:
            return
        info = self._info
        dialog = AssociatedImagesDialog(info, self)
        name = dialog.chosen() if dialog.exec() else None
        dialog.deleteLater()
        if name is None:
            return
        try:
            self.image_read.emit(_layer(info, name))
        except DreSlclError as error:
            show_error(str(error))


def _layer(info: SlideInfo, name: str) -> LayerData:
    """Return an image as a layer of its own, left of the slide, a third as high."""
    pixels = read_associated_image(info.path, name)
    world = world_transform(info.mpp)
    size = world["scale"][0] * info.shape[0] / 3 / len(pixels)
    shift = -(pixels.shape[1] * size) - _MARGIN * info.shape[1] * world["scale"][1]
    options = {
        "name": layer_name(f"{name} (may show patient data)", Path(info.path).stem),
        "rgb": True,
        **world,
        "scale": (size, size),
        "translate": (0, shift),
    }
    return pixels, options, "image"
