"""Section: a part of a panel that is folded away behind its title until it is wanted."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["Section"]


class Section(QWidget):
    """A title to press, and below it what it hides.

    Parameters
    ----------
    title : str
        What is behind it.
    """

    toggled = Signal(bool)
    """Whether the section is open now."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QToolButton()
        self.setText(title)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self._content = QWidget()
        self._inner = QVBoxLayout(self._content)
        self._inner.setContentsMargins(4, 4, 4, 8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(self._content)
        self.button.toggled.connect(self._show)
        self._show(False)

    def addWidget(self, widget: QWidget) -> None:
        """Put a widget into the section."""
        self._inner.addWidget(widget)

    def text(self) -> str:
        """Return its title."""
        return str(self.button.text())

    def setText(self, title: str) -> None:
        """Call the section otherwise, such as with a count."""
        self.button.setText(title)
        self.button.setToolTip(tool_tip(f"Show or hide: {title}"))

    def content(self) -> QWidget:
        """Return what holds the widgets."""
        return self._content

    def isExpanded(self) -> bool:
        """Whether the section is open."""
        return bool(self.button.isChecked())

    def expand(self, animate: bool = False) -> None:
        """Open the section."""
        self.button.setChecked(True)

    def collapse(self, animate: bool = False) -> None:
        """Fold the section away."""
        self.button.setChecked(False)

    def _show(self, is_open: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._content.setVisible(is_open)
        self.toggled.emit(is_open)
