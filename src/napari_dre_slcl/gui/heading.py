"""A bold line above a part of a panel."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel

__all__ = ["heading"]


def heading(text: str) -> QLabel:
    """Return a label in bold type."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
