"""PlainLabel: a label that shows its text as it stands, whoever wrote the words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_dre_slcl.plain_text import visible

__all__ = ["PlainLabel"]


class PlainLabel(QLabel):
    """A label that never takes text for HTML.

    Qt's own label does where a text begins like a tag: a slide by the name of
    ``<img src=file:///...>`` would have a file loaded.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        """Show another text."""
        super().setText(visible(text or "", keep="\n"))
