"""NoteLabel: a few sentences that wrap and are never cut off."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.gui.plain_label import PlainLabel

__all__ = ["NoteLabel"]


class NoteLabel(PlainLabel):
    """A label that asks for the height that its text needs at the width it gets.

    Qt's own wrapped label asks for a height by its preferred width; inside a folded section it is
    given no more than that.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def setText(self, text: str | None) -> None:
        """Show another text."""
        super().setText(text)
        self._fit(self.width())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Ask for another height at another width."""
        super().resizeEvent(event)
        if event is not None and event.size().width() != event.oldSize().width():
            self._fit(event.size().width())

    def _fit(self, width: int) -> None:
        self.setMinimumHeight(max(0, self.heightForWidth(width)))
