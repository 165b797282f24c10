"""MessageLine: one sentence for the user inside a panel."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.gui.notices import show_error
from napari_dre_slcl.gui.plain_label import PlainLabel

__all__ = ["MessageLine"]


class MessageLine(PlainLabel):
    """A line that wraps, can be copied, and takes no room while it is empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.hide()

    def tell(self, sentence: str) -> None:
        """Show a sentence; an empty one hides the line."""
        self.setText(sentence)
        self.setVisible(bool(sentence))

    def complain(self, sentence: str) -> None:
        """Show an error here and as a napari notification."""
        self.tell(f"⚠ {sentence}")
        show_error(sentence)
