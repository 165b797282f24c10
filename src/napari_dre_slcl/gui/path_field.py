"""PathField: a file or folder, typed or picked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["PathField"]


class PathField(QWidget):
    """A line for a path with a button that opens a file dialog.

    Parameters
    ----------
    kind : {"file", "folder", "new folder"}
        What is picked.
    title : str
        Of the dialog.
    pattern : str
        Filter of the dialog for files, such as ``Tables (*.csv)``.
    """

    valueChanged = Signal(object)

    def __init__(
        self,
        kind: Literal["file", "folder", "new folder"],
        title: str,
        pattern: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._kind = kind
        self._title = title
        self._pattern = pattern
        self._line = QLineEdit()
        self._line.setPlaceholderText(title)
        self._line.textChanged.connect(lambda: self.valueChanged.emit(self.value()))
        button = QPushButton("…")
        button.setToolTip(tool_tip(title))
        button.setAccessibleName(title)
        button.setFixedWidth(32)
        button.clicked.connect(self._pick)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._line)
        layout.addWidget(button)

    def value(self) -> Path | None:
        """Return the path, or None where the line is empty."""
        text = self._line.text().strip()
        return Path(text).expanduser() if text else None

    def setValue(self, path: Path | str | None) -> None:
        """Show a path."""
        self._line.setText("" if path is None else str(path))
        self._line.setToolTip(tool_tip(self._line.text()))
        self._line.setCursorPosition(len(self._line.text()))

    def _pick(self) -> None:
        start = str(self.value() or Path.cwd())
        if self._kind == "file":
            picked, _ = QFileDialog.getOpenFileName(self, self._title, start, self._pattern)
        elif self._kind == "folder":
            picked = QFileDialog.getExistingDirectory(self, self._title, start)
        else:
            picked, _ = QFileDialog.getSaveFileName(
                self, self._title, start, options=QFileDialog.Option.ShowDirsOnly
            )
        if picked:
            self.setValue(picked)
