"""PlainLabel: a label that shows its text as it stands, whoever wrote the words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QStatusBar, QWidget

from napari_dre_slcl.plain_text import visible

__all__ = ["PlainLabel", "make_status_bar_plain"]


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


def make_status_bar_plain(window: QWidget) -> None:
    """Have napari's status bar, which names the file under the mouse, take no name for HTML."""
    for bar in window.findChildren(QStatusBar):
        for label in bar.findChildren(QLabel):
            label.setTextFormat(Qt.TextFormat.PlainText)
