"""LegendLabel: what the colours of a drawing mean, in one wrapped line."""

from __future__ import annotations

import html
from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_dre_slcl.gui.note_label import NoteLabel

__all__ = ["LegendLabel"]


class LegendLabel(NoteLabel):
    """The one kind of label that shows HTML, which is its own; words of others are escaped."""

    def __init__(self, mark: str, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._mark = mark
        self.setTextFormat(Qt.TextFormat.RichText)

    def show_entries(self, entries: Iterable[tuple[str, str]], title: str = "") -> None:
        """Show entries, the colour of each as CSS knows it, then its words."""
        words = [f"<b>{html.escape(title)}</b>"] if title else []
        for color, text in entries:
            swatch = f'<span style="color:{html.escape(color)}">{self._mark}</span>'
            words.append(f"{swatch}&nbsp;{html.escape(text)}")
        self.setText("&ensp; ".join(words))
